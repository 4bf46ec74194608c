"""The child of tests/capi/languages_test.cpp: gives back what it is asked, tells its process, and fails as it is told."""
import os
import sys

import coppice


def child(me: coppice.Actor) -> None:
    for mail in me:
        with mail:
            if not mail.is_request:
                raise RuntimeError(mail.value)
            asked = mail.value.fields
            mail.reply(asked[0] if asked else os.getpid())


if __name__ == "__main__":
    sys.exit(coppice.run_as_child(child))
