"""Python objects as values of Coppice, and back.

    None bool int float str bytes list tuple dict Ref Tagged Record   ->   the value of that kind; a tuple is a list
"""
from __future__ import annotations

import ctypes
from collections.abc import Mapping
from ctypes import byref, c_char_p, c_double, c_int, c_int64, c_size_t, c_uint64, c_void_p
from dataclasses import dataclass, field
from typing import Any

from ._abi import View, call, library, made, name_argument, text_argument

NOTHING, BOOL, INT, UINT, REAL, TEXT, BYTES, LIST, RECORD, MAP, REF, TAGGED = range(12)
_simple = frozenset((BOOL, INT, UINT, REAL, TEXT, BYTES))


class Handle:
    """Owns a handle of the library; closed with the object, by close(), or by leaving a `with`."""

    __slots__ = ("_handle", "__weakref__")

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def close(self) -> None:
        handle, self._handle = self._handle, 0
        if handle:
            call("close", handle)

    def __enter__(self):  # noqa: ANN204: Self is not in the typing of 3.10
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        handle, self._handle = getattr(self, "_handle", 0), 0
        if handle and library is not None:  # it is None when the interpreter ends
            library.coppice_close(handle)


class Ref(Handle):
    """Leads to an actor, wherever it runs, also after it was restarted."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and library.coppice_same(self._handle, other._handle) == 0

    __hash__ = None  # type: ignore[assignment]  # what it leads to may change

    def __repr__(self) -> str:
        text = ctypes.create_string_buffer(1024)
        return "<Ref closed>" if library.coppice_ref_text(self._handle, text, 1024) else f"<Ref {text.value.decode()}>"


@dataclass(frozen=True)
class Tagged:
    """Bytes of an encoding of your own (Protocol Buffers, JSON, ...), and a number that says which."""

    tag: int
    content: bytes


@dataclass
class Record:
    """Fields in order, as of a C++ aggregate. `type`: the C++ name of the message type that it is, "shop::order", or that name's
    number in what was received; "": of none."""

    fields: list[Any] = field(default_factory=list)
    type: str | int = ""


def type_id(name: str) -> int:
    """The number of a message type, by its C++ name."""
    return library.coppice_type_id(name_argument(name))


def _integer(number: int) -> int:
    if -(2**63) <= number < 2**63:
        return made("new_int64", number)
    if 0 <= number < 2**64:
        return made("new_uint64", number)
    raise OverflowError(f"{number} does not fit 64 bits")


def to_handle(value: Any) -> int:
    """A new value of the library's; whoever has it closes it, or gives it to another one."""
    if value is None:
        return made("new_nothing")
    if isinstance(value, bool):
        return made("new_bool", value)
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return made("new_double", value)
    if isinstance(value, str):
        return made("new_text", *text_argument(value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        content = bytes(value)
        return made("new_bytes", content, len(content))
    if isinstance(value, Ref):
        return made("new_ref", value._handle)
    if isinstance(value, Tagged):
        return made("new_tagged", value.tag, value.content, len(value.content))
    if isinstance(value, Record):
        if isinstance(value.type, str):
            return _filled(made("new_record", name_argument(value.type) or None), value.fields)
        return _filled(made("new_record_of", value.type), value.fields)
    if isinstance(getattr(value, "record", None), Record):  # a SlotPointer
        return to_handle(value.record)
    if isinstance(value, (list, tuple)):
        return _filled(made("new_list"), value)
    if isinstance(value, Mapping):
        return _mapped(made("new_map"), value)
    raise TypeError(f"{type(value).__name__} cannot be sent: it is no value of Coppice")


def _filled(whole: int, parts: Any) -> int:
    try:
        for part in parts:
            call("add", whole, to_handle(part))  # takes the part, whatever comes of it
    except BaseException:
        library.coppice_close(whole)
        raise
    return whole


def _mapped(whole: int, pairs: Mapping[Any, Any]) -> int:
    try:
        for key, mapped in pairs.items():
            first = to_handle(key)
            try:
                second = to_handle(mapped)
            except BaseException:
                library.coppice_close(first)
                raise
            call("put", whole, first, second)
    except BaseException:
        library.coppice_close(whole)
        raise
    return whole


def _got(name: str, handle: int, out: Any) -> Any:
    call(name, handle, byref(out))
    return out.value


def _content(name: str, handle: int) -> bytes:
    at, size = c_void_p(), c_size_t()
    call(name, handle, byref(at), byref(size))
    return ctypes.string_at(at.value, size.value) if size.value else b""


def _parts(name: str, handle: int) -> list[Any]:
    return [from_handle(made(name, handle, i)) for i in range(_got("value_size", handle, c_size_t()))]


def _hashable(key: Any) -> Any:
    return tuple(_hashable(part) for part in key) if isinstance(key, list) else key


def _at_a_glance(view: View) -> Any:
    kind = view.kind
    if kind == TEXT:
        return ctypes.string_at(view.bytes, view.length).decode()
    if kind == BYTES:
        return ctypes.string_at(view.bytes, view.length) if view.length else b""
    if kind == REAL:
        return view.real
    if kind == BOOL:
        return bool(view.integer)
    return view.integer if kind == INT else view.integer % 2**64


def read(handle: int, view: View | None = None) -> Any:
    """What a value holds, or what a mail brought, of which that is the view."""
    if view is not None and handle and view.kind in _simple:
        return _at_a_glance(view)
    kind = _got("value_kind_of", handle, c_int())
    if kind == TEXT:
        return _content("get_text", handle).decode()
    if kind == INT:
        return _got("get_int64", handle, c_int64())
    if kind == UINT:
        return _got("get_uint64", handle, c_uint64())
    if kind == BOOL:
        return bool(_got("get_bool", handle, c_int()))
    if kind == REAL:
        return _got("get_double", handle, c_double())
    if kind == BYTES:
        return _content("get_bytes", handle)
    if kind == LIST:
        return _parts("value_at", handle)
    if kind == MAP:
        keys = _parts("value_key", handle)
        return {_hashable(key): mapped for key, mapped in zip(keys, _parts("value_at", handle))}
    if kind == RECORD:
        return Record(_parts("value_at", handle), _got("value_type", handle, c_uint64()) or "")
    if kind == REF:
        return Ref(made("get_ref", handle))
    if kind == TAGGED:
        tag, at, size = c_uint64(), c_void_p(), c_size_t()
        call("get_tagged", handle, byref(tag), byref(at), byref(size))
        return Tagged(tag.value, ctypes.string_at(at.value, size.value) if size.value else b"")
    return None


def from_handle(handle: int) -> Any:
    """What a value holds. Closes the handle."""
    try:
        return read(handle)
    finally:
        library.coppice_close(handle)
