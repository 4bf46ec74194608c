"""Coppice for Python: actors of a Coppice tree, by its C library.

    import coppice

    with coppice.Node(tree="app") as node, node.actor("till") as me:
        shop = me.find("/app/shop")
        me.send(shop, "hello")
        print(me.ask(shop, {"price of": "tea"}))
        for mail in me:                       # until the actor is asked to end
            if mail.is_request:
                mail.reply(mail.value)

Values are None, bool, int (64 bits), float, str, bytes, list, dict, Ref, Tagged and Record. Errors are exceptions, one class for
each that programs handle, all of them `coppice.Error` with the code of the one table. With asyncio: `async for mail in actor`,
`await actor.ask_async(...)`. A program that a supervisor starts is one line: `sys.exit(coppice.run_as_child(main))`.

Memory that processes share: `Space`, and `with space.slot("image").write() as page: ...`, without copies.

The library is libcoppice.so.1, or what COPPICE_LIBRARY names. After fork() it refuses to work: use the "spawn" method of
multiprocessing, or a child of your own tree.
"""
from ._abi import (
    BadMessage,
    Closed,
    Down,
    Error,
    Failed,
    InvalidArgument,
    MailboxFull,
    NameTaken,
    NodeLost,
    NotFound,
    OutcomeUnknown,
    Stopping,
    Timeout,
    Unreachable,
)
from ._actors import Actor, LogHandler, Mail, Node, is_child, run_as_child
from ._space import Guard, Slot, SlotHolder, SlotPointer, SlotReport, Space, WriteGuard
from ._values import Record, Ref, Tagged, type_id

__all__ = [
    "Actor",
    "BadMessage",
    "Closed",
    "Down",
    "Error",
    "Failed",
    "Guard",
    "InvalidArgument",
    "LogHandler",
    "Mail",
    "MailboxFull",
    "NameTaken",
    "Node",
    "NodeLost",
    "NotFound",
    "OutcomeUnknown",
    "Record",
    "Ref",
    "Slot",
    "SlotHolder",
    "SlotPointer",
    "SlotReport",
    "Space",
    "Stopping",
    "Tagged",
    "Timeout",
    "Unreachable",
    "WriteGuard",
    "is_child",
    "run_as_child",
    "type_id",
]
