// script_prelude: the part of what scripts can call that is written in Lua itself. It runs once in each new state, before the
// script; `P` is what C++ gives to it alone. What loops in here is counted as the script's own work; that is why the functions of
// `table` that loop by a length which a script can make up stand here, too.
#pragma once

namespace coppice::actors::script_parts {

/// What Lua calls it; errors name the script's own place instead.
inline constexpr const char* prelude_name = "=coppice";

inline constexpr const char* prelude = R"lua(
local P = ...
local error, type, select, rawget, rawset, pcall = error, type, select, rawget, rawset, pcall
local raw_getmetatable, raw_setmetatable = getmetatable, setmetatable

-- ---- coroutines: one that waits for something makes the script wait; its resumer does not notice
local create, resume, yield, status, close =
    coroutine.create, coroutine.resume, coroutine.yield, coroutine.status, coroutine.close
local wait = P.wait
local function step(co, ...)
    local ok, first = ...
    if ok and first == wait then return step(co, resume(co, yield(wait))) end
    return ...
end
local function unwrap(ok, ...)
    if ok then return ... end
    error((...), 0)
end
function coroutine.resume(co, ...) return step(co, resume(co, ...)) end
function coroutine.wrap(f)
    local co = create(f)
    return function(...) return unwrap(step(co, resume(co, ...))) end
end
-- A coroutine that has failed is not looked into again: what it left open would be closed without limits.
function coroutine.close(co)
    if status(co) == "dead" then return true end
    return close(co)
end

-- ---- what Lua runs without counting has no place here: handlers of errors before the stack unwinds, finalizers
local function handled(handler, ok, ...)
    if ok then return true, ... end
    local handled_ok, said = pcall(handler, ...)
    return false, said
end
function xpcall(f, handler, ...) return handled(handler, pcall(f, ...)) end
function setmetatable(t, mt)
    if type(mt) == "table" and rawget(mt, "__gc") ~= nil then
        error("setmetatable: __gc is not available in scripts", 2)
    end
    return raw_setmetatable(t, mt)
end
local raw_collect = collectgarbage
function collectgarbage(what)
    if what ~= "count" then error("collectgarbage: only 'count' is available in scripts", 2) end
    return raw_collect("count")
end

-- ---- code from text
local raw_load, charge = load, P.charge
function load(text, name, mode, ...)
    if type(text) ~= "string" then error("load takes a text in scripts, not a " .. type(text), 2) end
    charge(#text)
    return raw_load(text, name == nil and "=(load)" or name, "t", ...)
end
local loaded, loading = {}, {}
function require(name)
    if type(name) ~= "string" then error("require: expected the name of a module", 2) end
    if loaded[name] ~= nil then return loaded[name] end
    if loading[name] then error("module '" .. name .. "' requires itself", 2) end
    local text = P.read_module(name)
    charge(#text)
    local f, why = raw_load(text, "@" .. name .. ".lua", "t")
    if not f then error(why, 0) end
    loading[name] = true
    local made = f(name)
    loading[name] = nil
    if made == nil then made = true end
    loaded[name] = made
    return made
end

-- ---- tables
local function plain(what, t)
    if type(t) == "table" and raw_getmetatable(t) then
        error(what .. ": a table with a metatable is not taken in scripts", 3)
    end
end
-- What they do for each element, in instructions; unpack counts what it gives.
for name, price in pairs { sort = 20, concat = 1, unpack = 0 } do
    local raw = table[name]
    table[name] = function(t, ...)
        plain("table." .. name, t)
        if type(t) == "table" then charge(#t * price) end
        return raw(t, ...)
    end
end
function table.insert(t, ...)
    local n = select("#", ...)
    if n == 1 then
        t[#t + 1] = (...)
        return
    end
    if n ~= 2 then error("table.insert: wrong number of arguments", 2) end
    local at, v = ...
    local size = #t + 1
    if at < 1 or at > size then error("table.insert: position out of bounds", 2) end
    for i = size, at + 1, -1 do t[i] = t[i - 1] end
    t[at] = v
end
function table.remove(t, at)
    local size = #t
    if at == nil then at = size end
    if size ~= 0 and (at < 1 or at > size + 1) then error("table.remove: position out of bounds", 2) end
    local v = t[at]
    for i = at, size - 1 do t[i] = t[i + 1] end
    if at <= size then t[size] = nil end
    return v
end
function table.move(from, first, last, at, to)
    to = to or from
    if last < first then return to end
    if at > last or at <= first or to ~= from then
        for i = 0, last - first do to[at + i] = from[first + i] end
    else
        for i = last - first, 0, -1 do to[at + i] = from[first + i] end
    end
    return to
end
local raw_rep = string.rep
function string.rep(s, n, between)
    if s == "" and (between or "") == "" then return "" end  -- Lua's own counts to n
    return raw_rep(s, n, between)
end
raw_getmetatable("").__metatable = false

-- ---- coppice: values
local function marked(mt) return function(t) return raw_setmetatable(t or {}, mt) end end
coppice.list, coppice.map = marked(P.list), marked(P.map)
function coppice.record(name, ...)
    if name ~= nil then
        if type(name) ~= "string" then error("coppice.record: expected the name of a type, or nil", 2) end
        P.name_type(name)
    end
    local r = { ... }
    for i = 1, select("#", ...) do if r[i] == nil then r[i] = coppice.nothing end end
    r.type = name
    return raw_setmetatable(r, P.record)
end
function coppice.tagged(tag, content) return coppice.record("coppice::tagged", tag, content) end
-- The fields of a type by name, in their order; the result makes records of it.
function coppice.type(name, ...)
    local names, at = { ... }, {}
    for i, field in ipairs(names) do
        if type(field) ~= "string" or field == "type" then error("coppice.type: a field has a name, which is not 'type'", 2) end
        at[field] = i
    end
    local mt = { coppice_record = true, __metatable = false }
    function mt.__index(r, key)
        local i = at[key]
        if i then
            local v = rawget(r, i)
            if v == coppice.nothing then return nil end
            return v
        end
    end
    function mt.__newindex(r, key, v)
        local i = at[key] or key
        if math.type(i) ~= "integer" then error("a " .. name .. " has no field " .. tostring(key), 2) end
        if v == nil then v = coppice.nothing end
        rawset(r, i, v)
    end
    P.name_type(name, mt)
    return function(fields)
        local r = { type = name }
        for i = 1, #names do r[i] = coppice.nothing end
        raw_setmetatable(r, mt)
        for key, v in next, fields or {} do
            if not at[key] then error("a " .. name .. " has no field " .. tostring(key), 2) end
            rawset(r, at[key], v)
        end
        return r
    end
end
P.error_table.__tostring = function(e) return e.code == e.text and e.code or e.code .. ": " .. e.text end
P.error_table.__metatable = false

-- ---- coppice: mail
local mail = {}
function mail:reply(v) return P.reply(rawget(self, "owed"), v) end
function mail:fail(text) return P.refuse(rawget(self, "owed"), text) end
P.mail_table.__index = mail
P.mail_table.__metatable = false
function coppice.mails(options)
    return function() return (coppice.receive(options)) end
end

-- ---- coppice: timers
local timer = {}
function timer:cancel() P.cancel(rawget(self, "number")) end
local timer_table = { __index = timer, __metatable = false }
local function timed(start)
    return function(seconds, f) return raw_setmetatable({ number = start(seconds, f) }, timer_table) end
end
coppice.after, coppice.every = timed(P.after), timed(P.every)

-- ---- log
local function line(...)
    local parts = {}
    for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
    return table.concat(parts, " ")
end
for _, level in ipairs { "debug", "info", "warn", "error" } do
    local write = P[level]
    coppice.log[level] = function(...) write(line(...)) end
end
print = coppice.log.info
)lua";

}  // namespace coppice::actors::script_parts
