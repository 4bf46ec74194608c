-- Says hello to an actor of a tree of this machine, and asks it something: hello.lua TREE PATH.

-- [hello]
local coppice = require "coppice"

local node <close> = coppice.node {tree = arg[1]}
local me <close> = node:actor("hello")
local shop <close> = me:find(arg[2])
me:send(shop, "hello")
print(me:ask(shop, {["price of"] = "tea"}))
-- [/hello]
