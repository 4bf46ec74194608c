"""Spaces, slots and guards within one process; between processes they are tested in tests/capi."""
import array
import gc
import os
import struct
import tempfile
import threading
import unittest

import coppice
from coppice import BadMessage, NotFound, SlotPointer, Space, _abi

try:
    import numpy
except ImportError:
    numpy = None


class WithASpace(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.addCleanup(folder.cleanup)
        self.directory = folder.name
        self.space = Space.create("studio", directory=self.directory)
        self.image = self.space.reserve("image", 4096)
        self.addCleanup(self.end)

    def end(self) -> None:
        self.image.close()
        self.space.close()
        gc.collect()
        self.assertEqual(_abi.library.coppice_open_handles(), 0, "handles are left open")

    def filled(self, numbers=(1.5, 2.5)) -> SlotPointer:
        with self.image.write() as page:
            return page.put(array.array("d", numbers))


class Views(WithASpace):
    def test_show_what_others_have_written_without_a_copy(self) -> None:
        with self.image.write() as page:
            pointer = page.allocate(3, "i")
            page.view(pointer, "i")[1] = -7
        with Space("studio", directory=self.directory) as there, there.slot("image") as again, again.read() as page:
            self.assertEqual(page.view(pointer, "i").tolist(), [0, -7, 0])
            self.assertEqual((page.used, page.capacity), (12, 4096))
            self.assertEqual(len(page.view(pointer)), 12)

    def test_of_a_guard_that_reads_cannot_be_written(self) -> None:
        pointer = self.filled()
        with self.image.read() as page:
            view = page.view(pointer, "d")
            self.assertTrue(view.readonly)
            with self.assertRaises(TypeError):
                view[0] = 1.0

    def test_end_with_their_guard(self) -> None:
        pointer = self.filled()
        with self.image.read() as page:
            view = page.view(pointer, "d")
            part = view[1:]
        with self.assertRaises(ValueError):
            view[0]
        self.assertEqual(part[0], 2.5, "what was made of it keeps the memory")

    def test_keep_the_memory_though_all_is_closed(self) -> None:
        pointer = self.filled()
        slot = self.space.slot("image")
        with slot.read() as page:
            part = page.view(pointer, "d")[0:2]
        del slot, page
        gc.collect()
        self.assertEqual(part.tolist(), [1.5, 2.5])
        del part
        gc.collect()

    def test_of_formats_have_their_alignment(self) -> None:
        with self.image.write() as page:
            page.allocate(1, "b")
            self.assertEqual(page.allocate(1, "d").offset % 8, 0)
            with self.assertRaises(BadMessage):
                page.view(page.allocate(1, "d"), "i")

    @unittest.skipUnless(numpy, "numpy is not installed: tools/setup")
    def test_are_arrays_of_numpy_in_the_same_memory(self) -> None:
        with self.image.write() as page:
            pointer = page.put(numpy.arange(6, dtype=numpy.float64))
            numbers = numpy.asarray(page.view(pointer, "d"))
            numbers *= 2
        with self.image.read() as page:
            seen = numpy.frombuffer(page.view(pointer), dtype=numpy.float64)
            self.assertEqual(seen.sum(), 30.0)
            self.assertFalse(seen.flags.writeable)
            self.assertEqual(page.view(pointer, "d")[5], 10.0)


class Guards(WithASpace):
    def test_that_an_exception_leaves_damage_the_slot_until_it_is_repaired(self) -> None:
        pointer = self.filled()
        with self.assertRaises(KeyError), self.image.write() as page:
            page.view(pointer, "d")[0] = 0.0
            raise KeyError("half of it")
        with self.assertRaisesRegex(BadMessage, rf"its writer \[{os.getpid()}\] died"):
            self.image.read()
        report = self.image.report()
        self.assertTrue(report.damaged)
        self.assertEqual(report.damaged_by.pid, os.getpid())
        with self.image.repair() as page:
            self.assertTrue(page.was_damaged)
            page.view(pointer, "d")[0] = 1.5
        with self.image.read() as page:
            self.assertEqual(page.view(pointer, "d").tolist(), [1.5, 2.5])
        self.assertFalse(self.image.report().damaged)

    def test_wait_for_others_and_name_them(self) -> None:
        with coppice.Node("till", log_level=50) as node, node.actor("clerk") as clerk:
            with Space("studio", by=clerk, directory=self.directory) as mine, mine.slot("image") as slot:
                with slot.write():
                    with self.assertRaisesRegex(TimeoutError, "written by /till/clerk"):
                        self.image.read(0.02)
                    self.assertEqual([holder.who for holder in self.image.report().holders], ["/till/clerk"])

    def test_come_when_the_one_before_is_closed(self) -> None:
        page = self.image.read()
        got = threading.Event()

        def wait() -> None:
            with self.image.write(60):
                got.set()

        thread = threading.Thread(target=wait)
        thread.start()
        while not any(holder.use == "waiting_to_write" for holder in self.image.report().holders):
            self.assertFalse(got.is_set())
        page.close()
        thread.join()
        self.assertTrue(got.is_set())

    def test_that_were_closed_are_told_as_such(self) -> None:
        pointer = self.filled()
        page = self.image.read()
        page.close()
        with self.assertRaises(coppice.Error):
            page.view(pointer)


class Pointers(WithASpace):
    def test_are_checked_and_travel_in_messages(self) -> None:
        pointer = self.filled()
        with coppice.Node("till", log_level=50) as node, node.actor("a") as a, a.ref as me:
            a.send(me, pointer)
            with a.receive(60) as mail:
                self.assertEqual(SlotPointer.of(mail.value), pointer)
        with self.image.read() as page:
            with self.assertRaises(BadMessage):
                page.view(pointer._replace(count=1000))
            with self.assertRaises(ValueError):
                page.view(pointer._replace(generation=0))
            with self.assertRaises(NotFound):
                page.view(pointer._replace(filling=9))
        with self.image.write() as page:
            page.clear()
            with self.assertRaises(NotFound):
                page.view(pointer)
        with self.assertRaises(ValueError):
            SlotPointer.of(coppice.Record([1, 2]))

    def test_are_as_large_as_their_slot(self) -> None:
        with self.image.write() as page:
            page.put(bytes(4096))
            with self.assertRaisesRegex(coppice.Error, "0 of the slot's 4096 bytes are left"):
                page.allocate(1)


class Slots(WithASpace):
    def test_are_reserved_listed_and_released(self) -> None:
        with self.assertRaises(coppice.NameTaken):
            self.space.reserve("image", 10)
        self.filled((1.0,))
        self.assertEqual([(one.name, one.bytes, one.used) for one in self.space.list()], [("image", 4096, 8)])
        self.space.release("image")
        self.assertEqual(self.space.list(), [])
        with self.assertRaises(NotFound):
            self.image.read()

    def test_of_spaces_that_nobody_owns_are_not_found(self) -> None:
        with self.assertRaises(NotFound):
            Space("nobody", directory=self.directory)


class Layout(unittest.TestCase):
    def test_of_a_pointer_is_that_of_the_header(self) -> None:
        self.assertEqual(_abi.ctypes.sizeof(_abi.SlotPointerStruct), struct.calcsize("3Q4I"))


if __name__ == "__main__":
    unittest.main()
