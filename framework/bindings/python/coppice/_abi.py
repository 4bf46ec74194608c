"""The C interface (coppice.h, coppice_space.h) as ctypes sees it: the library, its functions with their types, and codes as exceptions.

Any thread: ctypes lets go of the interpreter's lock while a function runs.
"""
from __future__ import annotations

import ctypes
import ctypes.util
import os
from ctypes import POINTER, byref, c_char_p, c_double, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any

HEADER_MAJOR, HEADER_MINOR = 1, 2
FOREVER = 2**64 - 1
HANDLER = ctypes.CFUNCTYPE(None, c_void_p, c_uint64, c_uint64)


class NodeOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("tree", c_char_p),
        ("parent", c_char_p),
        ("listen", c_char_p),
        ("secret_file", c_char_p),
        ("secret_env", c_char_p),
        ("hold_ms", c_uint64),
        ("join_ms", c_uint64),
        ("log_level", c_int32),
        ("linger_ms", c_uint64),
    ]


class ActorOptions(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("mailbox", c_uint32), ("stops_node", c_int32)]


class View(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("mail", c_uint64),
        ("what", c_int32),
        ("kind", c_int32),
        ("integer", c_int64),
        ("real", c_double),
        ("bytes", c_void_p),
        ("length", c_size_t),
    ]


class SpaceOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("directory", c_char_p),
        ("slot_bytes", c_uint64),
        ("total_bytes", c_uint64),
        ("slots", c_uint32),
    ]


class SlotPointerStruct(ctypes.Structure):
    _fields_ = [
        ("space", c_uint64),
        ("offset", c_uint64),
        ("count", c_uint64),
        ("slot", c_uint32),
        ("generation", c_uint32),
        ("filling", c_uint32),
        ("object_bytes", c_uint32),
    ]


class Error(Exception):
    """What a call came back with. `code` is a number of the one table (docs/errors.md), `name` its name."""

    code = -1

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.name = _name(code)

    def __str__(self) -> str:
        text = super().__str__()
        return text if text else self.name


class Timeout(Error, TimeoutError):
    """The time limit passed."""


class Down(Error):
    """The actor has ended, or never existed."""


class MailboxFull(Error):
    """The receiver's mailbox is at its bound."""


class Unreachable(Error, ConnectionError):
    """No link leads to the actor's node."""


class NotFound(Error, LookupError):
    """Nothing has that name."""


class NameTaken(Error):
    """A living actor, or node, has that name."""


class Stopping(Error):
    """The actor or its node is asked to end."""


class Failed(Error):
    """The other side answered with an error of its own: its words."""


class Closed(Error):
    """The handle was closed."""


class NodeLost(Error, ConnectionError):
    """The actor's node has ended, or was out of reach for too long."""


class OutcomeUnknown(Error):
    """It is not known whether what was sent has arrived."""


class BadMessage(Error):
    """Something is damaged: a message, or a slot whose writer died."""


class InvalidArgument(Error, ValueError):
    """A value out of its documented range."""


_classes = {
    1: Timeout,
    2: Down,
    3: MailboxFull,
    4: Unreachable,
    10: NotFound,
    11: NameTaken,
    17: Stopping,
    18: Failed,
    19: InvalidArgument,
    21: Closed,
    22: NodeLost,
    23: OutcomeUnknown,
    28: BadMessage,
}

_handle = c_uint64
_out = POINTER(c_uint64)
_text = [c_char_p, c_size_t]
_bytes = [c_char_p, c_size_t]  # ctypes passes a bytes object as it is, zeros included
_from_to = [_handle, _handle]

# Names of functions that return a code, with the types of their arguments.
_functions = {
    "check_version": [c_uint32, c_uint32],
    "close": [_handle],
    "open_node": [POINTER(NodeOptions), _out],
    "open_actor": [_handle, POINTER(ActorOptions), _out],
    "flush": [_handle, c_uint64],
    "open_child": [c_int, _out, _out],
    "ready": [_handle],
    "give_up": [_handle, *_text],
    "path": [_handle, POINTER(c_void_p), POINTER(c_size_t)],
    "find": [_handle, c_char_p, _out],
    "self": [_handle, _out],
    "ref_text": [_handle, c_char_p, c_size_t],
    "same": [_handle, _handle],
    "send_nothing": _from_to,
    "send_bool": [*_from_to, c_int],
    "send_int64": [*_from_to, c_int64],
    "send_uint64": [*_from_to, c_uint64],
    "send_double": [*_from_to, c_double],
    "send_text": [*_from_to, *_text],
    "send_bytes": [*_from_to, *_bytes],
    "send_tagged": [*_from_to, c_uint64, *_bytes],
    "send": [*_from_to, _handle, c_uint64],
    "ask": [*_from_to, _handle, c_uint64, _out],
    "ask_later": [*_from_to, _handle, c_uint64, _out],
    "receive": [_handle, c_uint64, _out],
    "receive_view": [_handle, c_uint64, POINTER(View), c_void_p, c_size_t],
    "peek": [_handle, c_uint64, _out],
    "descriptor": [_handle, POINTER(c_int)],
    "mail_kind_of": [_handle, POINTER(c_int)],
    "mail_value": [_handle, _out],
    "mail_sender": [_handle, _out],
    "mail_number": [_handle, _out],
    "mail_code": [_handle, POINTER(c_int)],
    "reply": [_handle, _handle],
    "fail": [_handle, *_text],
    "new_nothing": [_out],
    "new_bool": [c_int, _out],
    "new_int64": [c_int64, _out],
    "new_uint64": [c_uint64, _out],
    "new_double": [c_double, _out],
    "new_text": [*_text, _out],
    "new_bytes": [*_bytes, _out],
    "new_tagged": [c_uint64, *_bytes, _out],
    "new_ref": [_handle, _out],
    "new_list": [_out],
    "new_map": [_out],
    "new_record": [c_char_p, _out],
    "new_record_of": [c_uint64, _out],
    "add": [_handle, _handle],
    "put": [_handle, _handle, _handle],
    "value_kind_of": [_handle, POINTER(c_int)],
    "get_bool": [_handle, POINTER(c_int)],
    "get_int64": [_handle, POINTER(c_int64)],
    "get_uint64": [_handle, POINTER(c_uint64)],
    "get_double": [_handle, POINTER(c_double)],
    "get_text": [_handle, POINTER(c_void_p), POINTER(c_size_t)],
    "get_bytes": [_handle, POINTER(c_void_p), POINTER(c_size_t)],
    "get_tagged": [_handle, POINTER(c_uint64), POINTER(c_void_p), POINTER(c_size_t)],
    "get_ref": [_handle, _out],
    "value_size": [_handle, POINTER(c_size_t)],
    "value_at": [_handle, c_size_t, _out],
    "value_key": [_handle, c_size_t, _out],
    "value_type": [_handle, _out],
    "join": [_handle, c_char_p],
    "leave": [_handle, c_char_p],
    "publish": [_handle, c_char_p, _handle, POINTER(c_size_t)],
    "monitor": [_handle, _handle, _out],
    "forget_monitor": [_handle, c_uint64],
    "stop": _from_to,
    "shutdown": [*_from_to, c_uint64],
    "kill": _from_to,
    "log": [_handle, c_int, *_text],
    "create_space": [_handle, c_char_p, POINTER(SpaceOptions), _out],
    "open_space": [_handle, c_char_p, POINTER(SpaceOptions), _out],
    "reserve_slot": [_handle, c_char_p, c_uint64, c_uint64, _out],
    "open_slot": [_handle, c_char_p, _out],
    "release_slot": [_handle, c_char_p, c_uint64],
    "slot_report": [_handle, _out],
    "list_slots": [_handle, _out],
    "read_slot": [_handle, c_uint64, _out],
    "write_slot": [_handle, c_uint64, _out],
    "repair_slot": [_handle, c_uint64, _out],
    "reset_slot": [_handle, c_uint64],
    "abandon": [_handle],
    "guard_state": [_handle, POINTER(c_uint64), POINTER(c_uint64), POINTER(c_int)],
    "allocate": [_handle, c_uint64, c_uint32, c_uint32, POINTER(SlotPointerStruct)],
    "clear": [_handle],
    "objects": [_handle, POINTER(SlotPointerStruct), c_uint32, c_uint32, POINTER(c_void_p)],
    "objects_to_write": [_handle, POINTER(SlotPointerStruct), c_uint32, c_uint32, POINTER(c_void_p)],
}


# The same, callable.
_calls: dict[str, Any] = {}


def _load() -> ctypes.CDLL:
    named = os.environ.get("COPPICE_LIBRARY")
    library = ctypes.CDLL(named or ctypes.util.find_library("coppice") or "libcoppice.so.1")
    for name, arguments in _functions.items():
        function = getattr(library, "coppice_" + name)
        function.restype = c_int
        function.argtypes = arguments
        _calls[name] = function
    for name in ("error_text", "code_name"):
        getattr(library, "coppice_" + name).restype = c_char_p
    library.coppice_code_name.argtypes = [c_int]
    library.coppice_open_handles.restype = c_size_t
    library.coppice_type_id.restype = c_uint64
    library.coppice_type_id.argtypes = [c_char_p]
    return library


library = _load()


def _name(code: int) -> str:
    return library.coppice_code_name(code).decode()


def error_of(code: int, text: str = "") -> Error:
    return _classes.get(code, Error)(code, text)


def check(code: int) -> None:
    if code:
        raise error_of(code, library.coppice_error_text().decode(errors="replace"))


check(library.coppice_check_version(HEADER_MAJOR, HEADER_MINOR))


def call(name: str, *arguments: object) -> None:
    """Calls coppice_NAME and raises what it comes back with."""
    if code := _calls[name](*arguments):
        check(code)


def made(name: str, *arguments: object) -> int:
    """The handle, or number, that coppice_NAME puts into its last argument."""
    out = c_uint64()
    call(name, *arguments, byref(out))
    return out.value


def milliseconds(seconds: float | None) -> int:
    """None: for ever. A time that is not nothing is at least a millisecond."""
    if seconds is None:
        return FOREVER
    if seconds <= 0:
        return 0
    return min(max(int(seconds * 1000), 1), FOREVER)


def text_argument(text: str) -> tuple[bytes, int]:
    encoded = text.encode()
    return encoded, len(encoded)


def name_argument(text: str | os.PathLike[str] | None) -> bytes | None:
    """For arguments that end at their terminating zero."""
    if text is None:
        return None
    encoded = os.fspath(text).encode()
    if b"\0" in encoded:
        raise ValueError("a name must not have a zero character")
    return encoded
