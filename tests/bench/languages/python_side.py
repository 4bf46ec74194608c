"""The Python binding's side of suite languages; languages.py says what a side does."""
import sys

import coppice
import game


def far(me):
    seen = 0
    while True:
        with me.receive() as mail:
            seen += 1
            content = mail.value
            if content[0]:
                me.send(mail.sender, game.answer(content, seen), wait=None)
                seen = 0


def near(me, work, seconds):
    other = me.find("/far/end")

    def send(content=game.EMPTY):
        me.send(other, content, wait=None)  # for room: it would be a dead letter else

    def ask():
        send(game.WISH)
        with me.receive() as mail:
            return game.seen_in(mail.value)

    game.play(work, seconds, ask, send)


if sys.argv[1] == "far":
    with coppice.Node("far", listen=[sys.argv[2]]) as node, node.actor("end") as me:
        print("ready", flush=True)
        far(me)
else:
    with coppice.Node("near", parent=sys.argv[2]) as node, node.actor("end") as me:
        near(me, sys.argv[3], float(sys.argv[4]))
