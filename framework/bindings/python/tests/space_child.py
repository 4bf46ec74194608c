"""A child of tests/capi/space_python_test.cpp: space_child.py SPACE. It is asked (what, pointer), of the slot "image":

"sum": what the numbers add up to. "half": writes half of them, answers its process, and keeps the guard, so that it is killed while it
writes. "repair": whether the slot was damaged, and makes it whole with sevens. An error is answered with its name and words.
"""
import os
import sys
from array import array

import coppice
from coppice import SlotPointer, Space


class Child:
    def __init__(self, image: coppice.Slot) -> None:
        self.image = image
        self.page: coppice.WriteGuard | None = None

    def sum(self, pointer: SlotPointer) -> float:
        with self.image.read(60) as page:
            return float(sum(page.view(pointer, "d")))

    def half(self, pointer: SlotPointer) -> int:
        self.page = self.image.write(60)
        numbers = self.page.view(pointer, "d")
        numbers[: len(numbers) // 2] = array("d", [-1.0] * (len(numbers) // 2))
        return os.getpid()

    def repair(self, pointer: SlotPointer) -> bool:
        with self.image.repair(60) as page:
            numbers = page.view(pointer, "d")
            numbers[:] = array("d", [7.0] * len(numbers))
            return page.was_damaged


def child(me: coppice.Actor) -> None:
    with Space(sys.argv[1], by=me) as studio, studio.slot("image") as image:
        own = Child(image)
        for mail in me:
            with mail:
                what, pointer = mail.value.fields
                try:
                    mail.reply(getattr(own, what)(SlotPointer.of(pointer)))
                except coppice.Error as error:
                    mail.fail(f"{error.name} {error}")


if __name__ == "__main__":
    sys.exit(coppice.run_as_child(child))
