"""A child of a supervisor that adds up numbers where they lie, in memory that it shares with others: space.py SPACE.

It is asked with a pointer into the slot "image", and answers with the sum; it doubles the numbers on the way.
"""
import sys

import coppice
from coppice import SlotPointer, Space


# [space]
def add_up(me: coppice.Actor) -> None:
    with Space(sys.argv[1], by=me) as studio, studio.slot("image") as image:
        for mail in me:
            with mail:
                if not mail.is_request:
                    continue
                pointer = SlotPointer.of(mail.value.fields[0])
                try:
                    with image.write(within=5.0) as page:  # an exception would leave the slot damaged
                        numbers = page.view(pointer, "d")  # the shared memory itself, as a memoryview
                        total = sum(numbers)
                        for i, number in enumerate(numbers):
                            numbers[i] = 2 * number
                except coppice.Error as error:  # Timeout names who has it, BadMessage who died with it
                    mail.fail(str(error))
                else:
                    mail.reply(total)
# [/space]


if __name__ == "__main__":
    sys.exit(coppice.run_as_child(add_up))
