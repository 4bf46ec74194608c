"""Says hello to an actor of a tree of this machine, and asks it something: hello.py TREE PATH."""
import sys

# [hello]
import coppice

with coppice.Node(tree=sys.argv[1]) as node, node.actor("hello") as me:
    shop = me.find(sys.argv[2])
    me.send(shop, "hello")
    print(me.ask(shop, {"price of": "tea"}))
# [/hello]
