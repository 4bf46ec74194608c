-- A child of a supervisor that gives back whatever it is asked.
-- In C++: child("echo", in_process("lua5.4", {"echo.lua"})). In a deployment file: program = "lua5.4", arguments = ["echo.lua"].

-- [echo]
local coppice = require "coppice"

local function echo(me)
    for each in me:mails() do -- until its supervisor ends it
        local mail <close> = each
        if mail.kind == "request" then
            mail:reply(mail.value)
        else
            me:log("got " .. coppice.show(mail.value))
        end
    end
end

os.exit(coppice.run_as_child(echo))
-- [/echo]
