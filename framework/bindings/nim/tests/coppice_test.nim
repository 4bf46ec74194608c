# The binding against the library, within one process; as a supervised child it is tested in tests/capi. With the path of the
# program hello as its argument, that example is run, too.
import std/[monotimes, options, os, osproc, posix, streams, strutils, tables, times]
import coppice
import coppice/abi

const long = 60_000 # for what takes no time

var
  tree = "test-nim-" & $getCurrentProcessId() # found by its name on the whole machine
  title = ""
  scenes, failures = 0

proc failed(what: string) =
  inc failures
  echo "FAILED ", title, ": ", what
  flushFile stdout

template expect(holds: bool, what = "") =
  if not holds: failed(astToStr(holds) & " " & what)

proc expectSame(got: Value, wanted: Value) =
  if got != wanted: failed(($got)[0 ..< min(200, ($got).len)] & " is not " & ($wanted)[0 ..< min(200, ($wanted).len)])

template expectRaised(T: typedesc, words: string, body: untyped) =
  try:
    body
    failed($T & " was not raised")
  except CoppiceError as error:
    if error.name != $T: failed($error.name & " (" & error.msg & ") instead of " & $T)
    elif words notin error.msg: failed(error.msg & " does not say " & words)

# Two actors of a tree, and a ref from one to the other; nothing of all that is left afterwards.
template scene(words: string, body: untyped) =
  block:
    proc run() =
      let node {.inject, used.} = openNode(tree, logLevel = LogLevel.off)
      let a {.inject, used.} = node.actor("a")
      let b {.inject, used.} = node.actor("b")
      let toB {.inject, used.} = a.find("/" & tree & "/b")
      body
    title = words
    try: run()
    except CatchableError as error: failed($error.name & ": " & error.msg)
    if openHandles() != 0: failed($openHandles() & " handles are left open")
    inc scenes

# ---- threads: of actors that they share

proc answerAll(actor: Actor) {.thread.} =
  for mail in actor:
    if mail.value == toValue("fail"): mail.fail("it cannot be done")
    elif mail.value != toValue("drop"): mail.reply(list(mail.value))

# Runs the body while b answers requests on a thread.
template whileServing(body: untyped) =
  var server: Thread[Actor]
  createThread(server, answerAll, b)
  try: body
  finally:
    a.stop(toB)
    joinThread(server)

type Asker = object
  actor: Actor
  to: Ref
  first, last: int
  wrong: ptr int

proc askAll(asker: Asker) {.thread.} =
  for number in asker.first .. asker.last:
    try:
      if asker.actor.ask(asker.to, number, long) != list(number): inc asker.wrong[]
    except CoppiceError: inc asker.wrong[]

proc replyLater(mail: Mail) {.thread.} =
  try: mail.reply(list(mail.value))
  except CoppiceError: discard

# ---- values

proc allValues(): seq[Value] =
  @[
    nothing(),
    toValue(true),
    toValue(false),
    toValue(0),
    toValue(-1),
    toValue(1'i64 shl 31),
    toValue(high(int64)),
    toValue(low(int64)),
    toValue(5'u8),
    toValue(1'u64 shl 63),
    toValue(high(uint64)),
    toValue(0.0),
    toValue(-0.0),
    toValue(-1.5),
    toValue(Inf),
    toValue(NegInf),
    toValue(NaN),
    toValue(5e-324),
    toValue(""),
    toValue("text"),
    toValue("with a zero \0 inside"),
    toValue("four bytes: \u{1d11e}"),
    toValue(newSeq[byte]()),
    toValue([0'u8, 255]),
    list(),
    toValue([1, 2]),
    list(1, list(2.5, list("three", nothing()))),
    map(),
    toValue({"price of": "tea"}),
    map(("name", "tea"), (7, list([1'u8])), (nothing(), map((true, false))), (list(1), "a list is a key")),
    tagged(high(uint64), [0'u8, 123, 125]),
    tagged(0, []),
    record(),
    record(1, "x", list(nothing())),
    record(1).ofType("shop::order"),
  ]

scene "values arrive as they were sent":
  for v in allValues():
    a.send(toB, v)
    let mail = b.receive(long)
    expectSame(mail.value, v)
    expect mail.kind == mkMessage
    expect not mail.isRequest

scene "values arrive by waiting for room, too":
  for v in allValues():
    a.send(toB, v, wait = long)
    expectSame(b.receive(long).value, v)

scene "values arrive within a list":
  let all = allValues()
  a.send(toB, all)
  let back = b.receive(long).value
  expect back.len == all.len
  for i, v in all:
    if v.kind != vkTagged: expectSame(back[i], v)
    else: expect back[i].getTagged == v.getTagged # which comes as a record there

scene "values that differ are not equal":
  let all = allValues()
  expect toValue(NaN) == toValue(cast[float64](0x7ff8000000000001'i64))
  for i, v in all:
    for k, w in all: expect (v == w) == (i == k), $v & " and " & $w

scene "values are made of what Nim has":
  expectSame(toValue(@["a", "b"]), list("a", "b"))
  expectSame(toValue({7: "x"}.toOrderedTable), map((7, "x")))
  expectSame(toValue(1.5'f32), toValue(1.5))
  expectSame(toValue(@[{"x": 1}, {"x": 2}]), list(map(("x", 1)), map(("x", 2))))
  expectSame(toValue(cast[seq[byte]](@[1'u8, 2])), toValue([1'u8, 2]))

scene "values of 16 MiB arrive":
  let text = repeat('x', 16 shl 20)
  a.send(toB, text)
  expect b.receive(long).value.text == text
  let bytes = cast[seq[byte]](text)
  a.send(toB, bytes)
  expect b.receive(long).value.bytes == bytes

scene "values nest as deep as the library allows":
  var v = toValue("inside")
  for _ in 1 .. 32: v = list(v)
  a.send(toB, v)
  expectSame(b.receive(long).value, v)
  expectRaised(TooLargeError, "flatten"): a.send(toB, list(v))
  for _ in 1 .. 1000: v = list(v)
  expectRaised(TooLargeError, "flatten"): a.send(toB, v)

scene "values are read as what they are":
  expectRaised(WrongProtocolError, "not a text"): discard toValue(1).getText
  expectRaised(WrongProtocolError, "does not fit"): discard toValue(high(uint64)).getInt
  expectRaised(WrongProtocolError, "does not fit"): discard toValue(high(uint64)).getFloat
  expectRaised(WrongProtocolError, "does not fit"): discard toValue(-1).getUint
  expect toValue(-1).getFloat == -1.0
  expect toValue(7'u64).getInt == 7
  expect toValue(7).getUint == 7
  let v = map(("a", 1), ("b", true), ("c", "x"))
  expect v.find(toValue("b")).getBool
  expect v.find(toValue("d")).isNothing
  expectRaised(NotFoundError, "only 1"): discard list(1)[1]
  expectRaised(NotFoundError, "only 1"): discard list(1)[-1]
  expectRaised(WrongProtocolError, "not a list"): discard v[0]
  expect record().ofType("shop::order").typeId == typeIdOf("shop::order")
  expectRaised(InvalidArgumentError, "message type"): discard list().ofType("shop::order")
  var keys: seq[string]
  for key, mapped in v: keys.add key.getText
  expect keys == @["a", "b", "c"]

scene "values that cannot be sent are refused, and nothing is left":
  let before = openHandles()
  expectRaised(InvalidArgumentError, "no UTF-8"): a.send(toB, "gr\xfcn")
  expectRaised(InvalidArgumentError, "no UTF-8"): a.send(toB, list(1, map((list(2), "\xc0\x80"))))
  expectRaised(InvalidArgumentError, "`ref` is 0"): a.send(toB, list(Ref()))
  expectRaised(InvalidArgumentError, "`to` is 0"): a.send(Ref(), 1)
  expect openHandles() == before
  expectRaised(TimeoutError, "no mail"): discard b.receive(0)

scene "a ref leads back":
  a.send(toB, list(a.self))
  let mail = b.receive(long)
  let back = mail.value[0].getRef
  expect back == mail.sender.get
  expect back != toB
  expect ($back).len > 0
  b.send(back, "here")
  expectSame(a.receive(long).value, toValue("here"))

scene "copies of a ref are one until the last has gone":
  var copy = toB
  block:
    var other = copy
    let before = openHandles()
    copy = other
    other = Ref()
    expect openHandles() == before
  a.send(copy, 1)
  copy = Ref()
  a.send(toB, 2)
  expectSame(b.receive(long).value, toValue(1))
  expectSame(b.receive(long).value, toValue(2))

# ---- asking

scene "asking returns what was replied":
  whileServing:
    for v in allValues(): expectSame(a.ask(toB, v, long), list(v))

scene "asking raises what it came back with":
  whileServing:
    expectRaised(FailedError, "it cannot be done"): discard a.ask(toB, "fail", long)
    expectRaised(NoReplyError, "dropped"): discard a.ask(toB, "drop", long)
    try: discard a.ask(toB, "drop", long)
    except CoppiceError as error: expect error.code == 7 and error.codeName == "no_reply"

scene "asking has a limit":
  expectRaised(TimeoutError, "timeout"): discard a.ask(toB, "nobody receives", 10)

scene "asking by two threads gives each its own answers":
  whileServing:
    var askers: array[2, Thread[Asker]]
    var wrong: array[2, int]
    for i in 0 .. 1:
      createThread(askers[i], askAll, Asker(actor: a, to: toB, first: i * 1000, last: i * 1000 + 199, wrong: addr wrong[i]))
    joinThreads(askers)
    expect wrong == [0, 0], $wrong

scene "a request is answered once, by any thread":
  var wrong = 0
  var asker: Thread[Asker]
  createThread(asker, askAll, Asker(actor: a, to: toB, first: 5, last: 5, wrong: addr wrong))
  let mail = b.receive(long)
  expect mail.isRequest
  var later: Thread[Mail]
  createThread(later, replyLater, mail)
  joinThread(later)
  expectRaised(ClosedError, "answered before"): mail.reply(2)
  joinThread(asker)
  expect wrong == 0

# ---- mail

scene "mail is waited for and polled":
  expectRaised(TimeoutError, "no mail"): discard b.receive(0)
  expect b.poll().isNone
  let began = getMonoTime()
  expectRaised(TimeoutError, "no mail"): discard b.receive(10)
  expect inMilliseconds(getMonoTime() - began) >= 9
  a.send(toB, 1)
  expectSame(b.poll(long).get.value, toValue(1))

scene "mail wakes whoever waits for its descriptor":
  proc isReadable(fd, within: int): bool =
    var look = TPollfd(fd: fd.cint, events: POLLIN)
    poll(addr look, 1, within.cint) == 1
  expect not isReadable(b.descriptor, 0)
  a.send(toB, "wake up")
  expect isReadable(b.descriptor, long)
  discard b.receive(0)
  expect not isReadable(b.descriptor, 0)

scene "mail that is peeked at stays":
  a.send(toB, "first")
  a.send(toB, "second")
  let before = openHandles()
  block:
    let seen = b.peek(long)
    expectSame(seen.value, toValue("first"))
    expect b.peek(0).handle == seen.handle
    let mail = b.receive(0)
    expect mail.handle == seen.handle
    expectSame(mail.value, toValue("first"))
  expect openHandles() == before, "what was received is still open"
  b.peek(long).close() # and so it is gone
  expect b.poll().isNone
  a.send(toB, "third")
  discard b.peek(long) # it stays for whoever receives
  expectSame(b.receive(0).value, toValue("third"))

scene "mail ends with the actor":
  a.send(toB, "the last")
  a.stop(toB)
  var got = 0
  for mail in b:
    expectSame(mail.value, toValue("the last"))
    inc got
  expect got == 1
  expectRaised(StoppingError, "asked to end"): discard b.receive(long)

scene "mail tells the end of who is monitored":
  a.demonitor(a.monitor(toB))
  let number = a.monitor(toB)
  a.stop(toB)
  for mail in b: discard
  b.close()
  let mail = a.receive(long)
  expect mail.hasEnded and mail.kind == mkEnded
  expect mail.number == number
  expect mail.value.kind == vkText

scene "mail tells why an actor gave up":
  let number = a.monitor(toB)
  b.giveUp("no flour")
  b.close()
  let mail = a.receive(long)
  expect mail.hasEnded and mail.number == number
  expect "no flour" in mail.value.getText, mail.value.getText

scene "mail of an actor that is killed is lost":
  discard a.monitor(toB)
  a.kill(toB)
  expect a.receive(long).hasEnded
  for mail in b: failed("it has mail")
  a.shutdown(a.self, long)
  for mail in a: failed("it has mail")

scene "mail to a group reaches the others":
  a.join("news")
  b.join("news")
  expect a.publish("news", {"it": "rains"}) == 1
  expectSame(b.receive(long).value, map(("it", "rains")))
  b.leave("news")
  expect a.publish("news", 1) == 0

scene "mailboxes have a bound":
  let small = node.actor("small", mailbox = 4)
  let toSmall = a.find("/" & tree & "/small")
  var sent = 0
  expectRaised(TimeoutError, "timeout"):
    while sent < 10_000:
      a.send(toSmall, sent, wait = 1)
      inc sent
  expect sent >= 4

# ---- names and handles

scene "names are taken once, and found only where somebody has them":
  expectRaised(NameTakenError, "name_taken"): discard node.actor("a")
  expectRaised(NotFoundError, "not_found"): discard a.find("/" & tree & "/nobody")
  expectRaised(UnreachableError, "unreachable"): discard a.find("/elsewhere/nobody")
  expectRaised(NotFoundError, "a-tree-that-does-not-run"): discard joinTree("a-tree-that-does-not-run")
  expectRaised(InvalidArgumentError, "named"): discard joinTree("")
  expectRaised(InvalidArgumentError, "zero"): discard a.find("/" & tree & "\0/a")
  expect a.path == "/" & tree & "/a", a.path

scene "an actor keeps its node open":
  let far = joinTree(tree, "far")
  far.send(far.find("/" & tree & "/b"), "from the other node")
  expectSame(b.receive(long).value, toValue("from the other node"))

scene "handles that were closed are told as such":
  a.send(a.self, 1)
  let mail = a.receive(long)
  mail.close()
  expectRaised(ClosedError, "closed"): mail.fail("too late")
  b.close()
  b.close()
  expectRaised(ClosedError, "closed"): discard b.self
  toB.close()
  expectRaised(ClosedError, "closed"): a.send(toB, 1)
  node.close()
  expectRaised(ClosedError, "closed"): discard node.actor()
  expectRaised(InvalidArgumentError, "is 0"): discard Actor().receive(0)
  Actor().close()

scene "handles of another kind are refused":
  var made: RawHandle
  expect coppice_self(toB.handle, made) == 19 and made == 0

scene "who is no child is told":
  expect not isChild()
  expectRaised(NotFoundError, "supervisor"): discard runAsChild(proc(me: Actor) = discard)

# ---- examples

if paramCount() > 0:
  scene "hello says hello and is told the price":
    let hello = startProcess(paramStr(1), args = [tree, b.path], options = {})
    expectSame(b.receive(long).value, toValue("hello"))
    let mail = b.receive(long)
    expectSame(mail.value, map(("price of", "tea")))
    mail.reply(2.5)
    expect hello.outputStream.readAll() == "2.5\n"
    expect hello.waitForExit() == 0
    hello.close()

if failures > 0: quit($failures & " expectations failed", 1)
echo scenes, " scenes, all as expected"
