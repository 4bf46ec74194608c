"""The child of tests/capi/languages_test.cpp, which says what a child does."""
import math
import os
import sys

import coppice
from coppice import Record, Tagged


def values(me: coppice.Actor, large: int) -> list:
    return [
        None,
        True,
        False,
        0,
        -1,
        2**63 - 1,
        -(2**63),
        2**64 - 1,
        0.5,
        -math.inf,
        math.nan,
        5e-324,
        "",
        "with a zero \0 inside",
        "four bytes: \U0001d11e",
        "x" * large,
        b"",
        b"\0\xff",
        b"\xab" * large,
        [],
        [1, ["two", None]],
        {},
        {"price": 2.5, 7: [True]},
        me.ref,
        Record([1, "x"]),
        Tagged(2**64 - 1, b"\0{}"),
    ]


def is_same(sent: object, back: object) -> bool:
    if isinstance(sent, float) and math.isnan(sent):
        return isinstance(back, float) and math.isnan(back)
    if isinstance(sent, Tagged) and isinstance(back, Record):  # as part of another value it travels as a record
        return back.fields == [sent.tag, sent.content]
    return type(sent) is type(back) and sent == back


def ask_for_all(me: coppice.Actor, path: str, large: int) -> list[str]:
    wrong = []
    with me.find(path) as to:
        for value in values(me, large):
            try:
                back = me.ask(to, Record([value]), 60)
            except coppice.Error as error:
                wrong.append(f"{value!r:.100}: {error}")
            else:
                if not is_same(value, back):
                    wrong.append(f"{value!r:.100} came back as {back!r:.100}")
    return wrong


def child(me: coppice.Actor) -> None:
    for mail in me:
        with mail:
            if not mail.is_request:
                raise RuntimeError(mail.value)
            asked = mail.value.fields
            if not asked:
                mail.reply(os.getpid())
            elif len(asked) == 1:
                mail.reply(asked[0])
            else:
                mail.reply(ask_for_all(me, *asked))


if __name__ == "__main__":
    sys.exit(coppice.run_as_child(child))
