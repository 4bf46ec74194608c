#!/usr/bin/env python3
"""A stock WebSocket client, Debian's python3-websockets, against a gateway that echoes: stock_client.py PORT

Handshake, subprotocol, texts, bytes, fragments, ping, both closes, and an origin that is not let in. Prints "ok"; else
the exception, and exit status 1. Exit status 77: the package is not installed.
"""
import asyncio
import sys

try:
    import websockets
except ImportError:
    sys.exit(77)


async def in_parts(*parts):
    for part in parts:
        yield part


async def play(port):
    url = f"ws://127.0.0.1:{port}"
    async with websockets.connect(f"{url}/talk", subprotocols=["two", "one"], max_size=None, compression="deflate") as socket:
        assert socket.subprotocol == "one", socket.subprotocol
        for message in ["", "hello", "Grüße 🌳", b"", bytes(range(256)) * 300, "y" * 900_000]:
            await socket.send(message)
            assert await socket.recv() == message
        await socket.send(in_parts("one ", "", "two ", "three"))
        assert await socket.recv() == "one two three"
        await socket.send(in_parts(b"\x00", b"\xff"))
        assert await socket.recv() == b"\x00\xff"
        await (await socket.ping(b"are you there?"))
        await socket.send("close me")
        try:
            await socket.recv()
            raise AssertionError("not closed")
        except websockets.exceptions.ConnectionClosedError as closed:
            assert (closed.rcvd.code, closed.rcvd.reason) == (4001, "as you wish"), closed
    async with websockets.connect(f"{url}/polite") as socket:
        await socket.close(4444, "from Python")
        assert socket.close_code == 4444
    try:
        await websockets.connect(f"{url}/stranger", origin="https://evil.example")
        raise AssertionError("let in")
    except websockets.exceptions.InvalidStatusCode as refused:
        assert refused.status_code == 403, refused


asyncio.run(play(int(sys.argv[1])))
print("ok")
