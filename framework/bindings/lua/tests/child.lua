-- The child of tests/capi/languages_test.cpp: gives back what it is asked, tells its process, asks another child for each kind of
-- value, and fails as it is told.
local coppice = require "coppice"

local function process_id()
    local file <close> = assert(io.open("/proc/self/stat"))
    return file:read("n")
end

local same

local function same_parts(a, b)
    if #a ~= #b then return false end
    for i = 1, #a do
        if not same(a[i], b[i]) then return false end
    end
    return true
end

local function pairs_of(map)
    local all = {}
    for key, mapped in pairs(map) do all[#all + 1] = {key, mapped} end
    return all
end

function same(a, b)
    local kind = coppice.kind(a)
    if kind == "tagged" then b = coppice.as_tagged(b) end -- within a record it has come back as one
    if kind ~= coppice.kind(b) then return false end
    if kind == "nothing" then return true end
    if kind == "real" and a ~= a then return b ~= b end
    if kind == "map" then return same_parts(pairs_of(a), pairs_of(b)) end
    if kind == "list" or kind == "record" then return a.type == b.type and same_parts(a, b) end
    return a == b
end

local function ask_for_all(me, path, large)
    local to <close> = me:find(path)
    local own <close> = me.ref
    local values = {
        coppice.null, true, false, 0, -1, math.maxinteger, math.mininteger, coppice.uint("18446744073709551615"), 0.5,
        -math.huge, 0 / 0, 5e-324, "", "with a zero \0 inside", "four bytes: \u{1D11E}", ("x"):rep(large), coppice.bytes(""),
        coppice.bytes("\0\xFF"), coppice.bytes(("\xAB"):rep(large)), {}, {1, {"two", coppice.null}}, coppice.map(),
        coppice.map {{"price", 2.5}, {7, {true}}}, own, coppice.record {1, "x"},
        coppice.tagged(coppice.uint("18446744073709551615"), "\0{}"),
    }
    local wrong = {}
    for _, value in ipairs(values) do
        local answered, answer = pcall(me.ask, me, to, coppice.record {value}, 60)
        if not answered or not same(value, answer) then
            local told = answered and coppice.show(answer) or tostring(answer)
            wrong[#wrong + 1] = (coppice.show(value) .. ": " .. told):sub(1, 300)
        end
        if coppice.kind(answer) == "ref" then answer:close() end
    end
    return wrong
end

local function child(me)
    for each in me:mails() do
        local mail <close> = each
        local asked = mail.value
        if mail.kind ~= "request" then
            error(asked, 0)
        elseif #asked == 0 then
            mail:reply(process_id())
        elseif #asked == 1 then
            mail:reply(asked[1])
        else
            mail:reply(ask_for_all(me, asked[1], asked[2]))
        end
    end
end

os.exit(coppice.run_as_child(child))
