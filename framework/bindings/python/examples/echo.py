"""A child of a supervisor that gives back whatever it is asked.

In C++: child("echo", in_process("python3", {"echo.py"})). In a deployment file: program = "python3", arguments = ["echo.py"].
"""
import sys

import coppice


# [echo]
def echo(me: coppice.Actor) -> None:
    for mail in me:  # until its supervisor ends it
        with mail:
            if mail.is_request:
                mail.reply(mail.value)
            else:
                me.log(f"got {mail.value!r}")


if __name__ == "__main__":
    sys.exit(coppice.run_as_child(echo))
# [/echo]
