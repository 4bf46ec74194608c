"""The near side's game of suite languages in Python, the same over whatever carries it; languages.py says what is
played. One thread."""
import sys
import time

EMPTY = bytes(64)
WISH = b"\1" + bytes(63)


def answer(wish, seen):
    """What the far side answers: how many have come since its last answer."""
    return wish[:8] + seen.to_bytes(8, "little") + wish[16:]


def seen_in(answer):
    return int.from_bytes(answer[8:16], "little")


def round_trips(seconds, ask):
    samples = []
    last = time.perf_counter()
    end = last + seconds
    while last < end:
        ask()
        now = time.perf_counter()
        samples.append(now - last)
        last = now
    return sorted(samples)[len(samples) // 2] * 1e6


def one_way(seconds, ask, send):
    sent = 0
    begun = time.perf_counter()
    while time.perf_counter() < begun + seconds:
        for _ in range(64):
            send()
        sent += 64
    if ask() != sent + 1:
        sys.exit("messages were lost")
    return sent / (time.perf_counter() - begun)


def play(work, seconds, ask, send):
    """Prints the figure of `work`. `ask` sends WISH and returns what its answer has seen, `send` sends EMPTY."""
    def once(length):
        return round_trips(length, ask) if work == "rtt" else one_way(length, ask, send)
    once(seconds * 0.3)
    print(once(seconds))
