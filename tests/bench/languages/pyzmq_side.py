"""pyzmq's side of suite languages: sockets of type PAIR; languages.py says what a side does."""
import sys
import time

import zmq

socket = zmq.Context().socket(zmq.PAIR)


def ask():
    socket.send(b"\1" + bytes(63))
    return int.from_bytes(socket.recv()[8:16], "little")


def far():
    seen = 0
    while True:
        content = socket.recv()
        seen += 1
        if content[0]:
            socket.send(content[:8] + seen.to_bytes(8, "little") + content[16:])
            seen = 0


def round_trips(seconds):
    samples = []
    last = time.perf_counter()
    end = last + seconds
    while last < end:
        ask()
        now = time.perf_counter()
        samples.append(now - last)
        last = now
    return sorted(samples)[len(samples) // 2] * 1e6


def one_way(seconds):
    content, sent = bytes(64), 0
    begun = time.perf_counter()
    while time.perf_counter() < begun + seconds:
        for _ in range(64):
            socket.send(content)
        sent += 64
    if ask() != sent + 1:
        sys.exit("messages were lost")
    return sent / (time.perf_counter() - begun)


if sys.argv[1] == "far":
    socket.bind(sys.argv[2])
    print("ready", flush=True)
    far()
else:
    socket.connect(sys.argv[2])
    work = round_trips if sys.argv[3] == "rtt" else one_way
    work(float(sys.argv[4]) * 0.3)
    print(work(float(sys.argv[4])))
