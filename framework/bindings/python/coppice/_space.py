"""The shared memory of a tree (coppice_space.h, docs/space.md): spaces, slots, and guards as context managers.

What a guard shows is a memoryview on the shared memory itself, which is not copied; numpy and struct take it as any other buffer.
"""
from __future__ import annotations

import builtins
import ctypes
import os
import struct
from collections.abc import Mapping
from ctypes import byref, c_int, c_uint64, c_void_p, sizeof
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple

from ._abi import SlotPointerStruct, SpaceOptions, call, made, milliseconds, name_argument
from ._values import Handle, Record, from_handle


class SlotPointer(NamedTuple):
    """`count` objects of `object_bytes` each in the arena of a slot, valid in every process of the tree. It is sent as a
    record of its numbers, which C++ actors have as slot_ptr; of a received one: SlotPointer.of(record)."""

    space: int
    offset: int
    count: int
    slot: int
    generation: int
    filling: int
    object_bytes: int

    @property
    def record(self) -> Record:
        return Record(list(self))

    @classmethod
    def of(cls, record: Record) -> SlotPointer:
        fields = record.fields
        if len(fields) != 7 or not all(isinstance(n, int) and 0 <= n < 2**64 for n in fields):
            raise ValueError("no slot pointer, which is a record of seven numbers")
        return cls(*fields)


@dataclass(frozen=True)
class SlotHolder:
    who: str  # the path of an actor; "": a process alone
    pid: int
    use: str  # "reading", "writing", "waiting_to_write"
    stopped: bool  # by a signal or a debugger


@dataclass(frozen=True)
class SlotReport:
    name: str
    bytes: int
    used: int  # of the arena, when it was last written
    writes: int  # since it was reserved
    damaged: bool
    holders: list[SlotHolder] = field(default_factory=list)
    damaged_by: SlotHolder | None = None  # the writer that died


def _holder(told: Mapping[str, Any]) -> SlotHolder:
    return SlotHolder(told["who"], told["pid"], told["use"], told["stopped"])


def _report(told: Mapping[str, Any]) -> SlotReport:
    by = told.get("damaged_by")
    return SlotReport(
        told["name"],
        told["bytes"],
        told["used"],
        told["writes"],
        told["damaged"],
        [_holder(one) for one in told["holders"]],
        _holder(by) if by else None,
    )


class Guard(Handle):
    """The right to read a slot, until it is closed: `with slot.read(5.0) as page:`.

    At its end its views are released: ValueError for who still uses one. What was made of a view (an array of numpy) stays
    readable memory, which others may then write into.
    """

    __slots__ = ("_slot", "_views")

    def __init__(self, handle: int, slot: Slot) -> None:
        self._slot = slot  # maps the memory
        self._views: list[memoryview] = []
        super().__init__(handle)

    def view(self, pointer: SlotPointer, format: str = "B") -> memoryview:
        """The objects that it points to, without a copy: items of that format of `struct` ("d", "i"), or bytes of whatever there
        is. ValueError: it points to nothing, or into another slot. NotFound: the slot was released, or emptied since. BadMessage:
        it leads out of what is used, or to objects of another size."""
        as_bytes = format == "B"
        size = 0 if as_bytes else struct.calcsize(format)
        at = c_void_p()
        given = SlotPointerStruct(*pointer)
        call(self._function, self._handle, byref(given), size, _alignment(format), byref(at))
        length = pointer.count * pointer.object_bytes
        memory = (ctypes.c_ubyte * length).from_address(at.value or 0)
        memory._slot = self._slot  # mapped for as long as anybody has a view
        view = self._shown(memoryview(memory).cast("B"))
        if not as_bytes:
            view = view.cast(format)
        self._views.append(view)
        return view

    _function = "objects"

    def _shown(self, view: memoryview) -> memoryview:
        return view.toreadonly()

    @property
    def used(self) -> int:
        """Bytes of the arena."""
        return self._state()[0]

    @property
    def capacity(self) -> int:
        return self._state()[1]

    def _state(self) -> tuple[int, int, bool]:
        used, capacity, damaged = c_uint64(), c_uint64(), c_int()
        call("guard_state", self._handle, byref(used), byref(capacity), byref(damaged))
        return used.value, capacity.value, bool(damaged.value)

    def close(self) -> None:
        self._end_views()
        super().close()

    def _end_views(self) -> None:
        views, self._views = self._views, []
        for view in views:
            try:
                view.release()
            except BufferError:  # something was made of it, which keeps the memory
                pass


class WriteGuard(Guard):
    """The right to read and write a slot, alone. Leaving its `with` publishes what was written; an exception that leaves it marks
    the slot as damaged, as the death of this process would."""

    __slots__ = ()
    _function = "objects_to_write"

    def _shown(self, view: memoryview) -> memoryview:
        return view

    def allocate(self, count: int, format: str = "B") -> SlotPointer:
        """Room for so many items of that format of `struct` behind what is used. They hold what was there before."""
        out = SlotPointerStruct()
        call("allocate", self._handle, count, struct.calcsize(format), _alignment(format), byref(out))
        return SlotPointer(*(getattr(out, name) for name, _ in SlotPointerStruct._fields_))

    def put(self, data: Any) -> SlotPointer:
        """Room for a buffer's items (bytes, an array, an array of numpy), and its content there."""
        with memoryview(data) as source:
            pointer = self.allocate(source.nbytes // source.itemsize if source.itemsize else 0, source.format)
            with source.cast("B") as content:
                self.view(pointer)[:] = content
        return pointer

    def clear(self) -> None:
        """Empties the arena: earlier pointers into it are refused from now on."""
        call("clear", self._handle)

    @property
    def was_damaged(self) -> bool:
        """Of a guard of repair()."""
        return self._state()[2]

    def abandon(self) -> None:
        """Ends it without publishing: the slot is damaged."""
        self._end_views()
        handle, self._handle = self._handle, 0
        if handle:
            call("abandon", handle)

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()


def _alignment(format: str) -> int:
    size = struct.calcsize(format)
    return struct.calcsize("@c" + format.lstrip("@=<>!")) - size if size else 1


class Slot(Handle):
    """A slot of a space, mapped in this process. Waiting is limited: Timeout, whose text names who has it. BadMessage: its writer
    died, and its text names it."""

    __slots__ = ()

    def read(self, within: float | None = 5.0) -> Guard:
        return Guard(made("read_slot", self._handle, milliseconds(within)), self)

    def write(self, within: float | None = 5.0) -> WriteGuard:
        return WriteGuard(made("write_slot", self._handle, milliseconds(within)), self)

    def repair(self, within: float | None = 5.0) -> WriteGuard:
        """As write(), also of a damaged slot, which is whole when the guard ends."""
        return WriteGuard(made("repair_slot", self._handle, milliseconds(within)), self)

    def reset(self, within: float | None = 5.0) -> None:
        """Makes it whole and empty."""
        call("reset_slot", self._handle, milliseconds(within))

    def report(self) -> SlotReport:
        return _report(from_handle(made("slot_report", self._handle)))


class Space(Handle):
    """A space of that name that another process owns, or one of this process's own: Space.create(). `by`: the actor or node in
    whose name it waits, and by whose path others know it; None: this process alone."""

    __slots__ = ()

    def __init__(self, name: str, *, by: Handle | None = None, directory: str | os.PathLike[str] | None = None) -> None:
        options = SpaceOptions(size=sizeof(SpaceOptions), directory=name_argument(directory))
        super().__init__(made("open_space", by._handle if by else 0, name_argument(name), byref(options)))

    @classmethod
    def create(
        cls,
        name: str,
        *,
        by: Handle | None = None,
        directory: str | os.PathLike[str] | None = None,
        slots: int = 0,
        slot_bytes: int = 0,
        total_bytes: int = 0,
    ) -> Space:
        """Owns it until it is closed. 0: 1,024 slots, of 1 GiB each and 4 GiB together at most."""
        options = SpaceOptions(
            size=sizeof(SpaceOptions),
            directory=name_argument(directory),
            slot_bytes=slot_bytes,
            total_bytes=total_bytes,
            slots=slots,
        )
        space = cls.__new__(cls)
        Handle.__init__(space, made("create_space", by._handle if by else 0, name_argument(name), byref(options)))
        return space

    def reserve(self, name: str, size: int, within: float | None = 5.0) -> Slot:
        """Makes a slot of so many bytes, of memory that is there."""
        return Slot(made("reserve_slot", self._handle, name_argument(name), size, milliseconds(within)))

    def slot(self, name: str) -> Slot:
        """Opens one. NotFound, Closed."""
        return Slot(made("open_slot", self._handle, name_argument(name)))

    def release(self, name: str, within: float | None = 5.0) -> None:
        """Gives it up, whoever reserved it."""
        call("release_slot", self._handle, name_argument(name), milliseconds(within))

    def list(self) -> builtins.list[SlotReport]:
        return [_report(one) for one in from_handle(made("list_slots", self._handle))]
