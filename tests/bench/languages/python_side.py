"""The Python binding's side of suite languages; languages.py says what a side does."""
import sys
import time

import coppice


def ask(me, other):
    me.send(other, b"\1" + bytes(63), wait=None)
    with me.receive() as mail:
        return int.from_bytes(mail.value[8:16], "little")


def far(me):
    seen = 0
    while True:
        with me.receive() as mail:
            seen += 1
            content = mail.value
            if content[0]:
                me.send(mail.sender, content[:8] + seen.to_bytes(8, "little") + content[16:], wait=None)
                seen = 0


def round_trips(me, other, seconds):
    samples = []
    last = time.perf_counter()
    end = last + seconds
    while last < end:
        ask(me, other)
        now = time.perf_counter()
        samples.append(now - last)
        last = now
    return sorted(samples)[len(samples) // 2] * 1e6


def one_way(me, other, seconds):
    content, sent = bytes(64), 0
    begun = time.perf_counter()
    while time.perf_counter() < begun + seconds:
        for _ in range(64):
            me.send(other, content, wait=None)  # for room: it would be a dead letter else
        sent += 64
    if ask(me, other) != sent + 1:
        sys.exit("messages were lost")
    return sent / (time.perf_counter() - begun)


if sys.argv[1] == "far":
    with coppice.Node("far", listen=[sys.argv[2]]) as node, node.actor("end") as me:
        print("ready", flush=True)
        far(me)
else:
    with coppice.Node("near", parent=sys.argv[2]) as node, node.actor("end") as me:
        other = me.find("/far/end")
        work = round_trips if sys.argv[3] == "rtt" else one_way
        work(me, other, float(sys.argv[4]) * 0.3)
        print(work(me, other, float(sys.argv[4])))
