# Says hello to an actor of a tree of this machine, and asks it something: hello TREE PATH.
# [hello]
import std/os
import coppice

let me = joinTree(paramStr(1), "hello")
let shop = me.find(paramStr(2))
me.send(shop, "hello")
echo me.ask(shop, {"price of": "tea"})
# [/hello]
