# The child of tests/capi/languages_test.cpp, which says what a child does.
import std/[os, sequtils, strutils]
import coppice

proc allValues(me: Actor, large: int): seq[Value] =
  @[
    nothing(),
    toValue(true),
    toValue(false),
    toValue(0),
    toValue(-1),
    toValue(high(int64)),
    toValue(low(int64)),
    toValue(high(uint64)),
    toValue(0.5),
    toValue(NegInf),
    toValue(NaN),
    toValue(5e-324),
    toValue(""),
    toValue("with a zero \0 inside"),
    toValue("four bytes: \u{1d11e}"),
    toValue(repeat('x', large)),
    toValue(newSeq[byte]()),
    toValue([0'u8, 0xff]),
    toValue(newSeqWith(large, 0xab'u8)),
    list(),
    list(1, list("two", nothing())),
    map(),
    map(("price", 2.5), (7, list(true))),
    toValue(me.self),
    record(1, "x"),
    tagged(high(uint64), [0'u8, '{'.byte, '}'.byte]),
  ]

proc isSame(sent, back: Value): bool =
  # A tagged value within another one comes as a record, which getTagged reads, too.
  if sent.kind == vkTagged: sent.getTagged == back.getTagged
  else: sent == back

proc askForAll(me: Actor, path: string, large: int): Value =
  result = list()
  let far = me.find(path)
  for sent in allValues(me, large):
    var wrong = ""
    try:
      if not isSame(sent, me.ask(far, record(sent), within = 60_000)): wrong = "came back as another value"
    except CoppiceError as error: wrong = error.codeName & ": " & error.msg
    if wrong.len > 0: result.elements.add toValue(($sent)[0 ..< min(80, ($sent).len)] & ": " & wrong)

proc child(me: Actor) =
  for mail in me:
    if not mail.isRequest: raise newException(CatchableError, mail.value.getText)
    let asked = mail.value
    case asked.len
    of 0: mail.reply(getCurrentProcessId())
    of 1: mail.reply(asked[0])
    of 2: mail.reply(askForAll(me, asked[0].getText, asked[1].getInt.int))
    else: mail.fail("a request has no field, one, or two")

quit runAsChild(child)
