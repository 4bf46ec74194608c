-- The binding against the library, within one process; as a supervised child it is tested in tests/capi.
local coppice = require "coppice"
local helpers = require "helpers"

local here = arg[0]:match("^(.*/)") or "./"
local tree -- its name is looked for on the whole machine
do
    local file <close> = assert(io.open("/proc/self/stat"))
    tree = "lua-test-" .. file:read("n")
end
local long = 60 -- seconds; a test that needs them has failed

-- ---- what tests say

local tests = {}

-- test("what it says", function) runs in order; the functions are given a node with two actors, and a ref to the second.
local function test(name, run) tests[#tests + 1] = {name = name, run = run} end

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

-- The same kind, the same content; maps in the same order.
function same(a, b)
    local kind = coppice.kind(a)
    if kind ~= coppice.kind(b) then return false end
    if kind == "nothing" then return true end
    if kind == "real" then return a == b and 1 / a == 1 / b or a ~= a and b ~= b end
    if kind == "map" then return same_parts(pairs_of(a), pairs_of(b)) end
    if kind == "list" or kind == "record" then return a.type == b.type and same_parts(a, b) end
    return a == b
end

local function expect(got, wanted, what)
    if not same(got, wanted) then
        error(("%s is %s, not %s"):format(what or "it", coppice.show(got):sub(1, 200), coppice.show(wanted):sub(1, 200)), 2)
    end
end

-- The call raises an error of that code; gives its text.
local function expect_error(code, run, ...)
    local done, told = pcall(run, ...)
    if done then error("no error was raised", 2) end
    if type(told) ~= "table" then error("a plain error was raised: " .. tostring(told), 2) end
    expect(told.code, code, "the code of '" .. tostring(told) .. "'")
    if told.text == "" or told.name == "" then error("the error has no words", 2) end
    return told.text
end

-- The call raises an error of Lua's own, as for wrong arguments of any function.
local function expect_complaint(words, run, ...)
    local done, told = pcall(run, ...)
    if done or type(told) ~= "string" or not told:find(words, 1, true) then
        error(("it told '%s', not '%s'"):format(tostring(told), words), 2)
    end
end

local function receive(actor)
    local mail, why = actor:receive(long)
    return mail or error(why)
end

-- ---- values

local uint_max = "18446744073709551615"

local function every_value()
    return {
        coppice.null, true, false, 0, -1, 2 ^ 31 | 0, math.maxinteger, math.mininteger, coppice.uint("9223372036854775808"),
        coppice.uint(uint_max), 0.0, -0.0, 0.5, -1.5, 2.0, math.huge, -math.huge, 0 / 0, 5e-324, 1.7976931348623157e308,
        "", "text", "with a zero \0 inside", "four bytes: \u{1D11E}", coppice.bytes(""), coppice.bytes("\0\xFF"),
        coppice.bytes("looks like text"), {}, {1, {2.5, {"three", coppice.null}}}, {{}, coppice.map()}, coppice.map(),
        coppice.map {{"price", 2.5}, {7, {true}}}, coppice.map {{"z", 1}, {"a", 2}, {"m", 3}},
        coppice.map {{coppice.null, 1}, {0 / 0, 2}, {2.0, 3}, {{"a", "list"}, 4}, {coppice.bytes("b"), coppice.null}, {false, 5}},
        coppice.tagged(0, ""), coppice.tagged(coppice.uint(uint_max), "\0{}"), coppice.record {},
        coppice.record {1, "x", {coppice.null}}, coppice.record({1}, coppice.type_id("shop::order")),
    }
end

test("values arrive as they were sent", function(_, a, b, to_b)
    for _, value in ipairs(every_value()) do
        for _, wait in ipairs {0, long} do
            a:send(to_b, value, wait)
            local mail <close> = receive(b)
            expect(mail.kind, "message")
            expect(mail.value, value)
        end
        a:send(to_b, {value, {value}})
        local mail <close> = receive(b)
        if coppice.kind(value) == "tagged" then
            expect(coppice.as_tagged(mail.value[1]), value)
            expect(coppice.as_tagged(mail.value[2][1]), value)
        else
            expect(mail.value, {value, {value}})
        end
    end
end)

test("what arrived is given back as it came", function(_, a, b, to_b)
    for _, value in ipairs(every_value()) do
        a:send(to_b, value)
        local first <close> = receive(b)
        a:send(to_b, first.value)
        local second <close> = receive(b)
        expect(second.value, value)
    end
end)

test("nil is nothing, and nothing is nil unless it is a part", function(_, a, b, to_b)
    a:send(to_b)
    a:send(to_b, nil)
    a:send(to_b, coppice.null)
    for _ = 1, 3 do
        local mail <close> = receive(b)
        assert(mail.value == nil)
    end
    a:send(to_b, {coppice.null})
    local mail <close> = receive(b)
    assert(mail.value[1] == coppice.null)
end)

test("a plain table is a list if its keys are 1 to its length, else a map", function(_, a, b, to_b)
    for kind, tables in pairs {list = {{}, {1}, {1, 2, 3}}, map = {{x = 1}, {1, 2, x = 3}, {[2] = 1}, {[0] = 1}, {[1.5] = 1}}} do
        for _, each in ipairs(tables) do
            expect(coppice.kind(each), kind)
            a:send(to_b, each)
            local mail <close> = receive(b)
            expect(coppice.kind(mail.value), kind)
            local count = 0
            for key, mapped in pairs(each) do
                expect(mail.value[key], mapped)
                count = count + 1
            end
            expect(#mail.value, count)
        end
    end
end)

test("a map is looked up, changed and walked through in order", function()
    local key = coppice.bytes("key")
    local map = coppice.map {{"a", 1}, {2, "two"}, {coppice.null, "none"}, {key, "by content"}}
    expect(#map, 4)
    expect(map.a, 1)
    expect(map[2], "two")
    expect(map[coppice.null], "none")
    expect(map[coppice.bytes("key")], "by content")
    assert(map.close == nil and map[0 / 0] == nil and map[{}] == nil)
    map.a = 10
    map.b = 11
    map[2] = nil
    map.nobody = nil
    local walked = {}
    for k, v in pairs(map) do walked[#walked + 1] = {k, v} end
    expect(walked, {{"a", 10}, {coppice.null, "none"}, {key, "by content"}, {"b", 11}})
    expect(map.b, 11)
    for i = 1, 20000 do map[i] = i end
    expect(map[20000], 20000)
    expect(#map, 20004)
end)

test("unsigned numbers have a type of their own where an integer has no room", function(_, a, b, to_b)
    expect(tostring(coppice.uint(-1)), uint_max)
    expect(coppice.uint(uint_max).bits, -1)
    expect(coppice.uint(5) == coppice.uint("5"), true)
    expect(coppice.uint(5) == coppice.uint(6), false)
    a:send(to_b, coppice.uint(5))
    local mail <close> = receive(b)
    expect(mail.value, 5)
    expect_complaint("beyond 64 bits", coppice.uint, "18446744073709551616")
    expect_complaint("digits", coppice.uint, "-1")
    expect_complaint("digits", coppice.uint, "")
    expect_complaint("negative", coppice.tagged, -1, "")
end)

test("sixteen mebibytes arrive", function(_, a, b, to_b)
    for _, value in ipairs {("x"):rep(16 << 20), coppice.bytes(("\xAB"):rep(16 << 20))} do
        a:send(to_b, value)
        local mail <close> = receive(b)
        expect(mail.value, value)
    end
end)

test("thirty-two levels arrive, one more is told, and a table within itself, too", function(_, a, b, to_b)
    local nested = {}
    for _ = 2, 32 do nested = {nested} end
    a:send(to_b, nested)
    local mail <close> = receive(b)
    expect(mail.value, nested)
    expect_error(coppice.TOO_LARGE, a.send, a, to_b, {nested})
    expect_error(coppice.TOO_LARGE, a.send, a, to_b, coppice.map {{1, nested}})
    expect_error(coppice.TOO_LARGE, a.send, a, to_b, coppice.record {nested})
    local own = {}
    own[1] = own
    expect_error(coppice.TOO_LARGE, a.send, a, to_b, own)
end)

test("what is no value is refused, nothing is sent and nothing is left open", function(_, a, b, to_b)
    local closed = a.ref
    closed:close()
    expect_error(coppice.CLOSED, a.send, a, to_b, {closed})
    local before = coppice.open_handles()
    local named = coppice.record {1}
    named.name = "fields have no names"
    local untyped = coppice.record {1}
    untyped.type = {}
    for _, value in ipairs {print, coroutine.create(print), io.stdout, a, setmetatable({}, {}), named, untyped} do
        for _, whole in ipairs {{value}, {1, {x = value}}, coppice.map {{1, 2}, {3, value}}, coppice.map {{value, 1}}} do
            expect_error(coppice.INVALID_ARGUMENT, a.send, a, to_b, whole)
        end
    end
    expect_error(coppice.INVALID_ARGUMENT, a.send, a, to_b, "no UTF-8: \xFF")
    expect_error(coppice.INVALID_ARGUMENT, a.send, a, to_b, {"a surrogate: \xED\xA0\x80"})
    expect_error(coppice.INVALID_ARGUMENT, a.send, a, to_b, coppice.record({}, "a\0b"))
    expect(coppice.open_handles(), before)
    assert(coppice.kind(print) == nil and coppice.kind(setmetatable({}, {})) == nil)
    expect(select(2, b:receive(0)).code, coppice.TIMEOUT)
end)

test("a ref leads back, and is equal to another one to the same actor", function(_, a, b, to_b)
    do
        local own <close> = a.ref
        a:send(to_b, {own})
        expect(own == to_b, false)
    end
    do
        local mail <close> = receive(b)
        local back <close> = mail.value[1]
        local sender <close> = mail.sender
        expect(back == sender, true)
        expect(back ~= to_b, true)
        b:send(back, "here")
    end
    local mail <close> = receive(a)
    expect(mail.value, "here")
    assert(tostring(to_b):find("/b", 1, true))
end)

test("a node sends without being anybody", function(node, _, b, to_b)
    node:send(to_b, 1)
    local mail <close> = receive(b)
    assert(mail.sender == nil)
end)

-- ---- ask

local function with_peer(a, run)
    local own <close> = a.ref
    local thread = helpers.start(here .. "peer.lua", tree, a.path)
    local mail <close> = receive(a)
    expect(mail.value, "ready")
    local peer <close> = mail.sender
    local done, why = pcall(run, peer)
    a:stop(peer)
    helpers.join(thread)
    if not done then error(why, 0) end
end

test("a request to another state on another thread is answered with every value", function(_, a)
    with_peer(a, function(peer)
        for _, value in ipairs(every_value()) do
            local answer = a:ask(peer, value, long)
            local kind = coppice.kind(value)
            if kind == "tagged" then answer[1] = coppice.as_tagged(answer[1]) end
            if kind == "record" then value.type = nil end -- of a part it is not told to other nodes
            expect(answer, {value})
        end
        local own <close> = a.ref
        local answer = a:ask(peer, own, long)
        expect(answer[1] == own, true)
        answer[1]:close()
    end)
end)

test("a request that fails, or is not answered, raises why", function(_, a, _, to_b)
    with_peer(a, function(peer)
        expect(expect_error(coppice.FAILED, a.ask, a, peer, {"fail", "it cannot be done"}, long), "it cannot be done")
        expect_error(coppice.NO_REPLY, a.ask, a, peer, {"drop"}, long)
    end)
    expect_error(coppice.TIMEOUT, a.ask, a, to_b, "nobody receives", 0.01)
end)

test("a request is answered later, after another one", function(_, a)
    with_peer(a, function(peer)
        local late = a:ask_later(peer, {"later"}, long)
        expect(a:ask(peer, 1, long), {1})
        local mail <close> = a:receive_answer(long)
        expect(mail.number, late)
        expect(mail.kind, "answer")
        expect(mail.value, "late")
        assert(mail.error == nil)
    end)
end)

test("an answer is received from behind other mail, and tells why there is none", function(_, a, b, to_b)
    local own <close> = a.ref
    b:send(own, "before")
    local number = a:ask_later(to_b, "question", long)
    do
        local mail <close> = receive(b)
        expect(mail.kind, "request")
        mail:fail("no idea")
        expect_error(coppice.CLOSED, mail.reply, mail, 1)
    end
    do
        local mail <close> = a:receive_answer(long)
        expect(mail.number, number)
        expect(mail.error.code, coppice.FAILED)
        expect(mail.error.text, "no idea")
    end
    local found = a:find_later("/" .. tree .. "/b")
    do
        local mail <close> = a:receive_answer(long)
        expect(mail.number, found)
        local sender <close> = mail.sender
        expect(sender == to_b, true)
    end
    local sent = a:send_later(to_b, "sent", long)
    do
        local mail <close> = a:receive_answer(long)
        expect(mail.number, sent)
        assert(mail.error == nil)
    end
    local mail <close> = receive(a)
    expect(mail.value, "before")
end)

test("a request whose mail is closed without a reply tells so", function(_, a, b, to_b)
    a:ask_later(to_b, 1, long)
    receive(b):close()
    local mail <close> = a:receive_answer(long)
    expect(mail.error.code, coppice.NO_REPLY)
    expect(mail.error.name, "no_reply")
end)

-- ---- mail

test("receiving waits as long as it is told, and gives nil and why", function(_, _, b)
    for _, limit in ipairs {0, -1, 0.001, 0.02} do
        local mail, why = b:receive(limit)
        assert(mail == nil)
        expect(why.code, coppice.TIMEOUT)
        expect(why.name, "timeout")
    end
    expect_complaint("number", b.receive, b, "soon")
    expect_complaint("no number", b.receive, b, 0 / 0)
end)

test("mail comes in order", function(_, a, b, to_b)
    for number = 1, 1000 do a:send(to_b, number) end
    for number = 1, 1000 do
        local mail <close> = receive(b)
        expect(mail.value, number)
    end
end)

test("the descriptor is readable while there is mail", function(_, a, b, to_b)
    local descriptor = b:descriptor()
    expect(helpers.is_readable(descriptor, 0), false)
    a:send(to_b, "wake up")
    expect(helpers.is_readable(descriptor, long * 1000), true)
    b:receive(0):close()
    expect(helpers.is_readable(descriptor, 0), false)
end)

test("mail that is peeked at stays, and is the same when it is received", function(_, a, b, to_b)
    a:send(to_b, "first")
    a:send(to_b, "second")
    local peeked = b:peek(long)
    expect(peeked.value, "first")
    assert(b:peek(0) == peeked)
    peeked:close()
    expect(peeked.kind, "message")
    local received <close> = receive(b)
    assert(received == peeked)
    local sender <close> = received.sender
    expect(sender ~= nil, true)
    received:close()
    expect_error(coppice.CLOSED, function() return received.sender end)
    do
        local second <close> = b:peek(long)
        expect(second.value, "second")
    end
    b:close() -- also what was peeked at and never received
end)

test("mail ends where the actor is asked to end", function(_, a, b, to_b)
    a:send(to_b, "the last")
    a:stop(to_b)
    local got = {}
    for each in b:mails() do
        local mail <close> = each
        got[#got + 1] = mail.value
    end
    expect(got, {"the last"})
    local mail, why = b:receive(long)
    assert(mail == nil)
    expect(why.code, coppice.STOPPING)
end)

test("the end of an actor is told to who monitors it", function(_, a, b, to_b)
    local number = a:monitor(to_b)
    b:close()
    do
        local mail <close> = receive(a)
        expect(mail.kind, "ended")
        expect(mail.number, number)
        expect(coppice.kind(mail.value), "text")
    end
    expect_error(coppice.DOWN, a.send, a, to_b, 1)
    a:forget_monitor(number)
end)

test("actors are asked to end in time, and killed", function(node, a, _, to_b)
    a:shutdown(to_b, 0.01)
    local victim <close> = node:actor("victim")
    local to <close> = victim.ref
    local number = a:monitor(to)
    node:kill(to)
    local mail <close> = receive(a)
    expect(mail.number, number)
end)

test("an actor gives up with its reason", function(_, a, b, to_b)
    a:monitor(to_b)
    b:give_up("no flour")
    b:close()
    local mail <close> = receive(a)
    assert(mail.value:find("no flour", 1, true), mail.value)
end)

test("what is published reaches the others of the group", function(_, a, b)
    a:join("news")
    b:join("news")
    expect(a:publish("news", {it = "rains"}), 1)
    do
        local mail <close> = receive(b)
        expect(mail.value.it, "rains")
    end
    expect(select(2, a:receive(0)).code, coppice.TIMEOUT)
    b:leave("news")
    expect(a:publish("news", 1), 0)
end)

test("a full mailbox is told", function(node, a)
    local small <close> = node:actor("small", {mailbox = 1})
    local to <close> = small.ref
    local sent, told
    repeat sent, told = pcall(a.send, a, to, "the library takes some ahead", 1) until not sent
    expect(told.code, coppice.TIMEOUT)
    expect_error(coppice.MAILBOX_FULL, a.send, a, to, "full")
end)

-- ---- names, misuse

test("names are taken once, and found only where somebody has them", function(node, a)
    expect_error(coppice.NAME_TAKEN, node.actor, node, "a")
    expect_error(coppice.BAD_NAME, node.actor, node, "no/name")
    local missing = expect_error(coppice.NOT_FOUND, a.find, a, "/" .. tree .. "/nobody")
    assert(missing:find("nobody", 1, true))
    expect_error(coppice.UNREACHABLE, node.find, node, "/elsewhere/nobody")
    expect_error(coppice.NOT_FOUND, coppice.node, {tree = "a-tree-that-does-not-run"})
    expect_complaint("zero", a.find, a, "/a\0b")
    expect(a.path, "/" .. tree .. "/a")
    local nameless <close> = node:actor()
    assert(#nameless.path > #tree + 2)
end)

test("a node joins another one by its endpoint, with a secret", function(node)
    local secret = os.tmpname()
    local file = assert(io.open(secret, "w"))
    file:write("a secret of at least so many bytes")
    file:close()
    assert(os.execute("chmod 600 " .. secret))
    local endpoint = "unix://" .. secret .. ".socket"
    do
        local up <close> = coppice.node {name = tree .. "-up", listen = {endpoint}, secret_file = secret, log_level = "off"}
        local there <close> = up:actor("there")
        local down <close> = coppice.node {name = tree .. "-down", parent = endpoint, secret_file = secret, log_level = "off"}
        local me <close> = down:actor("me")
        local to <close> = me:find("/" .. tree .. "-up/there")
        me:send(to, "by the endpoint")
        local mail <close> = receive(there)
        expect(mail.value, "by the endpoint")
    end
    os.remove(secret)
    assert(node)
end)

test("what was closed is told as such", function(node, a, b, to_b)
    local c = node:actor("c")
    c:close()
    c:close()
    for _, run in ipairs {
        function() return c.path end, function() return c.ref end, function() return c:receive(0) end,
        function() return c:descriptor() end, function() return c:send(to_b, 1) end, function() return c:mails() end,
    } do
        local text = expect_error(coppice.CLOSED, run)
        assert(text:find("actor", 1, true))
    end
    local ref = a.ref
    ref:close()
    expect_error(coppice.CLOSED, a.send, a, ref, 1)
    expect_error(coppice.CLOSED, a.ask, a, ref, 1)
    expect(ref == to_b, false)
    assert(tostring(ref))
    expect(b.path, "/" .. tree .. "/b")
end)

test("objects of another kind are refused", function(node, a, _, to_b)
    expect_complaint("coppice.ref", a.send, a, a, 1)
    expect_complaint("coppice.ref", a.send, a, "/a/path", 1)
    expect_complaint("coppice.actor", a.send, to_b, to_b, 1)
    expect_complaint("coppice.actor", a.receive, node)
    for _, wrong in ipairs {io.stdout, coppice.null, coppice.bytes("x"), coppice.map(), 1, {}} do
        expect_complaint("coppice.", node.close, wrong)
        expect_complaint("coppice.", a.close, wrong)
    end
    expect_complaint("no option 'nmae'", coppice.node, {nmae = "x"})
    expect_complaint("option 'hold'", coppice.node, {hold = "long"})
    expect_complaint("option 'log_level'", coppice.node, {log_level = "loud"})
    expect_complaint("option 'name'", coppice.node, {name = "a\0b"})
    expect_complaint("mailbox", node.actor, node, "c", {mailbox = -1})
    expect_complaint("no option", node.actor, node, "c", {size = 1})
    expect_complaint("invalid option 'loud'", a.log, a, "text", "loud")
    expect(getmetatable(node), false)
end)

test("an error has a code, a name, words, and the line that called", function(_, a)
    local _, told = pcall(function() a:find("/elsewhere/nobody") end)
    expect(told.code, coppice.UNREACHABLE)
    expect(told.name, "unreachable")
    assert(tostring(told):find("coppice_test.lua:%d+: "), tostring(told))
    assert(tostring(told):find(told.text, 1, true))
    expect(coppice.TIMEOUT, 1)
    expect(coppice.TOO_LARGE, 29)
end)

test("a process that nobody supervises is no child", function()
    expect(coppice.is_child(), false)
    expect_error(coppice.NOT_FOUND, coppice.run_as_child, print)
    expect_complaint("function", coppice.run_as_child, "print")
end)

test("what nobody has any more is closed by the collector", function(node, a, b, to_b)
    local before = coppice.open_handles()
    for number = 1, 100 do
        local _ = node:actor("dropped" .. number), a.ref
        a:send(to_b, number)
        receive(b)
    end
    collectgarbage()
    collectgarbage()
    expect(coppice.open_handles(), before)
end)

test("an error between leaves nothing open", function(_, a, b, to_b)
    local before = coppice.open_handles()
    a:send(to_b, 1)
    pcall(function()
        local mail <close> = receive(b)
        local own <close> = a.ref
        error(mail.value)
    end)
    expect(coppice.open_handles(), before)
end)

-- ---- threads, programs

test("two states on two threads take no notice of one another", function(_, a)
    local threads, peers = {}, {}
    for i = 1, 2 do
        threads[i] = helpers.start(here .. "peer.lua", tree, a.path)
        local mail <close> = receive(a)
        peers[i] = mail.sender
    end
    local asked = {}
    for number = 1, 500 do asked[a:ask_later(peers[number % 2 + 1], number, long)] = number end
    for _ = 1, 500 do
        local mail <close> = a:receive_answer(long)
        expect(mail.value, {asked[mail.number]})
    end
    for i = 1, 2 do
        a:stop(peers[i])
        peers[i]:close()
        helpers.join(threads[i])
    end
end)

test("the example says hello and is told the price", function(node)
    local shop <close> = node:actor("shop")
    local program = assert(io.popen(("'%s' '%s../examples/hello.lua' %s %s"):format(arg[-1], here, tree, shop.path)))
    do
        local mail <close> = receive(shop)
        expect(mail.value, "hello")
    end
    do
        local mail <close> = receive(shop)
        expect(mail.value["price of"], "tea")
        mail:reply(2.5)
    end
    expect(program:read("a"), "2.5\n")
    assert(program:close())
end)

-- ---- run

local failed = 0
for _, each in ipairs(tests) do
    local done, why = xpcall(function()
        local node <close> = coppice.node {name = tree, log_level = "off"}
        local a <close> = node:actor("a")
        local b <close> = node:actor("b")
        local to_b <close> = a:find("/" .. tree .. "/b")
        each.run(node, a, b, to_b)
    end, function(what) return debug.traceback(tostring(what)) end)
    collectgarbage()
    collectgarbage()
    if done and coppice.open_handles() > 0 then
        done, why = false, coppice.open_handles() .. " handles are left open"
    end
    print((done and "ok: " or "FAILED: ") .. each.name .. (done and "" or "\n" .. why))
    failed = failed + (done and 0 or 1)
end
print(failed == 0 and ("%d tests passed"):format(#tests) or ("%d of %d tests FAILED"):format(failed, #tests))
os.exit(failed == 0, true)
