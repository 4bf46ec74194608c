"""pyzmq's side of suite languages: sockets of type PAIR; languages.py says what a side does."""
import sys

import zmq

import game

socket = zmq.Context().socket(zmq.PAIR)


def ask():
    socket.send(game.WISH)
    return game.seen_in(socket.recv())


def far():
    seen = 0
    while True:
        content = socket.recv()
        seen += 1
        if content[0]:
            socket.send(game.answer(content, seen))
            seen = 0


if sys.argv[1] == "far":
    socket.bind(sys.argv[2])
    print("ready", flush=True)
    far()
else:
    socket.connect(sys.argv[2])
    game.play(sys.argv[3], float(sys.argv[4]), ask, lambda: socket.send(game.EMPTY))
