"""Nodes, actors and mail; see the package's text."""
from __future__ import annotations

import asyncio
import ctypes
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from ctypes import byref, c_int, c_int32, c_size_t, c_uint64, c_void_p, sizeof
from typing import Any

from . import _abi
from ._abi import ActorOptions, Error, NodeOptions, call, library, made, milliseconds, name_argument, text_argument
from ._values import Handle, Ref, Tagged, from_handle, read, to_handle

_MESSAGE, _REQUEST, _ANSWER, _ENDED = 1, 2, 3, 4
_view_size = sizeof(_abi.View)
_levels = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)  # 2 to 5 of coppice_level


def _level_of_record(level: int) -> int:
    return 1 + sum(known <= level for known in _levels)


def _lowest_level(level: int) -> int:
    return 1 if level < logging.DEBUG else 2 + sum(known < level for known in _levels)


class Mail(Handle):
    """What an actor has received. A request that is closed without a reply is answered with `no_reply`."""

    __slots__ = ("_kind", "_value", "_view")

    def __init__(self, view: _abi.View) -> None:
        super().__init__(view.mail)
        self._kind = view.what
        self._view: _abi.View | None = view  # until it is read
        self._value: Any = None

    @property
    def value(self) -> Any:
        """What was sent. Of one that tells an end: its reason, in words."""
        if self._view is not None:
            self._value = read(self._handle, self._view)
            self._view = None
        return self._value

    @property
    def is_request(self) -> bool:
        """Its sender waits for reply() or fail()."""
        return self._kind == _REQUEST

    @property
    def has_ended(self) -> bool:
        """A monitored actor has ended: `number` is what monitor() gave."""
        return self._kind == _ENDED

    @property
    def number(self) -> int:
        return made("mail_number", self._handle)

    @property
    def sender(self) -> Ref | None:
        """None: nobody says so."""
        try:
            return Ref(made("mail_sender", self._handle))
        except _abi.NotFound:
            return None

    def reply(self, value: Any = None) -> None:
        """Answers a request, once, from any thread."""
        _with_value(value, lambda handle: call("reply", self._handle, handle))

    def fail(self, text: str) -> None:
        """Its sender gets Failed, with this text."""
        call("fail", self._handle, *text_argument(text))

    def __repr__(self) -> str:
        kind = {_MESSAGE: "message", _REQUEST: "request", _ANSWER: "answer", _ENDED: "end"}[self._kind]
        return f"<Mail {kind} {self.value!r}>"


def _next(actor: int, wait_ms: int) -> Mail:
    view = _abi.View(_view_size)
    call("receive_view", actor, wait_ms, view, None, 0)
    return Mail(view)


def _with_value(value: Any, use: Callable[[int], Any]) -> Any:
    handle = to_handle(value)
    try:
        return use(handle)
    finally:
        library.coppice_close(handle)


class Actor(Handle):
    """A mailbox of this process, with a name in the tree. Iterated, it gives its mail until it is asked to end.

    Any thread; one at a time receives. In a program with asyncio: `async for mail in actor`, `await actor.ask_async(...)`.
    """

    __slots__ = ("_pump",)

    def __init__(self, handle: int) -> None:
        super().__init__(handle)
        self._pump: _Pump | None = None

    @property
    def path(self) -> str:
        at, size = c_void_p(), c_size_t()
        call("path", self._handle, byref(at), byref(size))
        return ctypes.string_at(at.value, size.value).decode() if size.value else ""

    @property
    def ref(self) -> Ref:
        return Ref(made("self", self._handle))

    # ---- others

    def find(self, path: str) -> Ref:
        """NotFound: that node has no such actor. Unreachable: no link leads to that node."""
        return Ref(made("find", self._handle, name_argument(path)))

    def send(self, to: Ref, value: Any = None, wait: float | None = 0) -> None:
        """Returns when it is on its way. `wait`: seconds to wait for room in the receiver's mailbox; None: for ever."""
        try:
            self._send_at_once(self._handle, to._handle, value)
        except _abi.MailboxFull:
            if wait == 0:
                raise
            at, ref, limit = self._handle, to._handle, milliseconds(wait)
            _with_value(value, lambda handle: call("send", at, ref, handle, limit))

    @staticmethod
    def _send_at_once(at: int, ref: int, value: Any) -> None:
        if isinstance(value, str):
            call("send_text", at, ref, *text_argument(value))
        elif isinstance(value, bytes):
            call("send_bytes", at, ref, value, len(value))
        elif isinstance(value, bool):
            call("send_bool", at, ref, value)
        elif isinstance(value, int) and -(2**63) <= value < 2**63:
            call("send_int64", at, ref, value)
        elif isinstance(value, float):
            call("send_double", at, ref, value)
        elif value is None:
            call("send_nothing", at, ref)
        elif isinstance(value, Tagged):
            call("send_tagged", at, ref, value.tag, value.content, len(value.content))
        else:
            _with_value(value, lambda handle: call("send", at, ref, handle, 0))

    def ask(self, to: Ref, value: Any = None, within: float | None = 5.0) -> Any:
        """Sends a request and returns its answer. Timeout after that many seconds; Failed, NoReply and others at once."""
        return from_handle(
            _with_value(value, lambda handle: made("ask", self._handle, to._handle, handle, milliseconds(within)))
        )

    def stop(self, who: Ref) -> None:
        """Asks an actor to end when it has handled its mail."""
        call("stop", self._handle, who._handle)

    def shutdown(self, who: Ref, within: float = 5.0) -> None:
        """Asks it to end now, and kills it if that takes longer."""
        call("shutdown", self._handle, who._handle, milliseconds(within))

    def kill(self, who: Ref) -> None:
        call("kill", self._handle, who._handle)

    def monitor(self, who: Ref) -> int:
        """Mail with has_ended and this number comes when its present life ends; at once if it has none."""
        return made("monitor", self._handle, who._handle)

    def demonitor(self, number: int) -> None:
        call("forget_monitor", self._handle, number)

    # ---- mail

    def receive(self, timeout: float | None = None) -> Mail:
        """The next mail. Timeout if there is none in so many seconds, Stopping if the actor is asked to end."""
        return _next(self._handle, milliseconds(timeout))

    def __iter__(self) -> Iterator[Mail]:
        while True:
            try:
                mail = self.receive()
            except _abi.Stopping:
                return
            yield mail

    def fileno(self) -> int:
        """Readable while there is mail or the actor is asked to end; for selectors and event loops. Not to be read or closed."""
        out = c_int()
        call("descriptor", self._handle, byref(out))
        return out.value

    # ---- groups

    def join(self, group: str) -> None:
        call("join", self._handle, name_argument(group))

    def leave(self, group: str) -> None:
        call("leave", self._handle, name_argument(group))

    def publish(self, group: str, value: Any = None) -> int:
        """To all members but this one; how many took it."""
        members = c_size_t()
        _with_value(value, lambda v: call("publish", self._handle, name_argument(group), v, byref(members)))
        return members.value

    # ---- itself

    def ready(self) -> None:
        """Of a child that announces it: it counts as started from now on."""
        call("ready", self._handle)

    def give_up(self, reason: str) -> None:
        """It ends in failure, with that reason."""
        call("give_up", self._handle, *text_argument(reason))

    def log(self, text: str, level: int = logging.INFO) -> None:
        """A record in the tree's log, with this actor's path. Levels as those of the module logging."""
        call("log", self._handle, _level_of_record(level), *text_argument(text))

    # ---- asyncio

    async def receive_async(self) -> Mail:
        """The next mail; Stopping if the actor is asked to end. Of the loop that was running when it was first called."""
        return await self._pumped().next()

    async def __aiter__(self) -> AsyncIterator[Mail]:
        while True:
            try:
                mail = await self.receive_async()
            except _abi.Stopping:
                return
            yield mail

    async def ask_async(self, to: Ref, value: Any = None, within: float | None = 5.0) -> Any:
        """As ask. Mail that is not an answer waits for receive_async."""
        pump = self._pumped()
        number = _with_value(
            value, lambda handle: made("ask_later", self._handle, to._handle, handle, milliseconds(within))
        )
        return await pump.answer_to(number)

    def close(self) -> None:
        if self._pump:
            self._pump.end()
            self._pump = None
        super().close()

    def _pumped(self) -> "_Pump":
        if self._pump is None:
            self._pump = _Pump(self, asyncio.get_running_loop())
        return self._pump


class LogHandler(logging.Handler):
    """Sends what a program logs by the module logging to the tree's log, under its actor's path."""

    def __init__(self, actor: Actor) -> None:
        super().__init__()
        self._actor = actor

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._actor.log(self.format(record), record.levelno)
        except Error:
            self.handleError(record)


class _Pump:
    """Takes an actor's mail for one event loop: answers go to who asked, the rest waits. The loop's thread."""

    most = 256  # that wait here; more stay in the mailbox, so that its bound holds

    def __init__(self, actor: Actor, loop: asyncio.AbstractEventLoop) -> None:
        self._handle = actor._handle
        self._loop = loop
        self._descriptor = actor.fileno()
        self._waiting: asyncio.Queue[Mail] = asyncio.Queue()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._early: dict[int, Mail] = {}
        self._stopping = asyncio.Event()
        self._reads = False
        self._read(True)

    def _read(self, on: bool) -> None:
        if on == self._reads:
            return
        self._reads = on
        if on:
            self._loop.add_reader(self._descriptor, self._take)
        else:
            self._loop.remove_reader(self._descriptor)

    def _take(self) -> None:
        while self._waiting.qsize() < self.most or self._asked:
            try:
                mail = _next(self._handle, 0)
            except _abi.Timeout:
                return
            except Error as end:
                self._ended(end)
                return
            if mail._kind == _ANSWER:
                self._answered(mail)
            else:
                self._waiting.put_nowait(mail)
        self._read(False)

    def _ended(self, why: Error) -> None:
        self._read(False)
        self._stopping.set()
        for future in self._asked.values():
            if not future.done():
                future.set_exception(_abi.error_of(why.code, str(why)))
        self._asked.clear()

    def _answered(self, mail: Mail) -> None:
        future = self._asked.pop(mail.number, None)
        if future is None:
            self._early[mail.number] = mail
            return
        if not future.done():  # else who asked has gone on
            self._settle(future, mail)

    @staticmethod
    def _settle(future: asyncio.Future[Any], mail: Mail) -> None:
        code = c_int()
        call("mail_code", mail._handle, byref(code))
        with mail:
            if code.value:
                future.set_exception(_abi.error_of(code.value, str(mail.value)))
            else:
                future.set_result(mail.value)

    async def answer_to(self, number: int) -> Any:
        future: asyncio.Future[Any] = self._loop.create_future()
        if number in self._early:
            self._settle(future, self._early.pop(number))
        elif self._stopping.is_set():
            raise _abi.error_of(17)
        else:
            self._asked[number] = future
            self._read(True)
        return await future

    async def next(self) -> Mail:
        if self._waiting.empty() and not self._stopping.is_set():
            self._read(True)
            arrival = asyncio.ensure_future(self._waiting.get())
            stop = asyncio.ensure_future(self._stopping.wait())
            try:
                await asyncio.wait({arrival, stop}, return_when=asyncio.FIRST_COMPLETED)
                if arrival.done():
                    return arrival.result()
            finally:
                stop.cancel()
                if not arrival.done():
                    arrival.cancel()
        if not self._waiting.empty():
            return self._waiting.get_nowait()
        raise _abi.error_of(17, "the actor is asked to end")

    def end(self) -> None:
        self._ended(_abi.error_of(21, "the actor was closed"))


class Node(Handle):
    """This process's part in a tree: joins the tree of that name on this machine, or at an endpoint, or begins one of its own.

    A node that is closed leaves the tree, and its actors end. What they sent last is waited for, `linger` seconds at most:
    OutcomeUnknown tells what may not have arrived.
    """

    __slots__ = ()

    def __init__(
        self,
        name: str | None = None,
        *,
        tree: str | None = None,
        parent: str | None = None,
        listen: Iterable[str] = (),
        secret_file: str | os.PathLike[str] | None = None,
        secret_env: str | None = None,
        hold: float = 60.0,
        join_within: float = 5.0,
        log_level: int = logging.INFO,
        linger: float = 2.0,
    ) -> None:
        options = NodeOptions(
            size=sizeof(NodeOptions),
            name=name_argument(name),
            tree=name_argument(tree),
            parent=name_argument(parent),
            listen=name_argument(",".join(listen)) or None,
            secret_file=name_argument(secret_file),
            secret_env=name_argument(secret_env),
            hold_ms=milliseconds(hold),
            join_ms=milliseconds(join_within),
            log_level=_lowest_level(log_level),
            linger_ms=max(milliseconds(linger), 1),
        )
        super().__init__(made("open_node", byref(options)))

    def flush(self, within: float | None = 5.0) -> None:
        """Waits until what this thread has sent has come to the nodes that it was sent to. Timeout: the text says what has not."""
        call("flush", self._handle, milliseconds(within))

    def actor(self, name: str | None = None, *, mailbox: int = 0) -> Actor:
        """An actor of this process. `mailbox`: messages that may wait in it; 0: 65,536."""
        options = ActorOptions(size=sizeof(ActorOptions), name=name_argument(name), mailbox=mailbox, stops_node=0)
        return Actor(made("open_actor", self._handle, byref(options)))


def is_child() -> bool:
    """True if a supervisor of a tree has started this process, and its place is not taken yet."""
    return library.coppice_is_child() == 1


def run_as_child(function: Callable[[Actor], None], *, announce: bool = True) -> int:
    """The main function of a program that a supervisor starts: takes its place in the tree, runs `function(actor)`, and returns the
    process's exit code. With announce=False the child counts as started when it calls actor.ready(). An exception ends the
    actor in failure, with its words as the reason, and is raised."""
    node, actor = c_uint64(), c_uint64()
    call("open_child", int(announce), byref(node), byref(actor))
    with Handle(node.value), Actor(actor.value) as me:
        try:
            function(me)
        except _abi.Stopping:
            pass
        except BaseException as failure:
            try:
                me.give_up(f"{type(failure).__name__}: {failure}")
            except Error:  # it is ending already
                pass
            raise
    return library.coppice_exit_code()
