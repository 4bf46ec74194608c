-- The other side of the tests, in a Lua state and a node of its own: peer.lua TREE PATH, which hears that it is ready.
-- It answers a request by what it is asked: {"fail", text}, {"drop"}, {"later"}, which is answered after the next request, or any
-- other value, which it gives back within a list.
local coppice = require "coppice"

local tree, path = ...
local node <close> = coppice.node {tree = tree, log_level = "error"}
local me <close> = node:actor("far")
local waiting

local function answer(mail)
    local first = coppice.kind(mail.value) == "list" and mail.value[1]
    if first == "later" then
        waiting = mail
        return
    elseif first == "fail" then
        mail:fail(mail.value[2])
    elseif first ~= "drop" then
        local value = mail.value
        if value == nil then value = coppice.null end
        mail:reply {value}
    end
    mail:close()
    if waiting then
        waiting:reply("late")
        waiting:close()
        waiting = nil
    end
end

do
    local to <close> = me:find(path)
    me:send(to, "ready")
end
for mail in me:mails() do
    if mail.kind == "request" then answer(mail) else mail:close() end
end
