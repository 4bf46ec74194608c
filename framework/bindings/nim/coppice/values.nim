## What is sent and received, the errors, and the handles that own what the library gives out; see the module coppice.
##
## Any thread: a handle is counted by atomic operations, and everything else is copied.
import std/[atomics, locks, math, tables]
import abi

when not (defined(gcOrc) or defined(gcArc)):
  {.error: "coppice closes what it owns by destructors: compile with --mm:orc".}

# ---- errors

type
  CoppiceError* = object of CatchableError
    ## What a call came back with. `code` is a number of the one table (docs/errors.md), `codeName` its name.
    code*: int
    codeName*: string
  TimeoutError* = object of CoppiceError ## the time limit passed
  DownError* = object of CoppiceError ## the actor has ended, or never existed
  MailboxFullError* = object of CoppiceError ## the receiver's mailbox is at its bound
  UnreachableError* = object of CoppiceError ## no link leads to the actor's node
  NoHandlerError* = object of CoppiceError ## the receiver takes no such message
  NoReplyError* = object of CoppiceError ## the receiver has dropped the request
  NotFoundError* = object of CoppiceError ## nothing has that name
  NameTakenError* = object of CoppiceError ## a living actor, or node, has that name
  WrongProtocolError* = object of CoppiceError ## the value is of another kind, or does not fit
  StoppingError* = object of CoppiceError ## the actor or its node is asked to end
  FailedError* = object of CoppiceError ## the other side answered with an error of its own: its words
  InvalidArgumentError* = object of CoppiceError ## a value out of its documented range
  ClosedError* = object of CoppiceError ## it was closed, or the request answered
  NodeLostError* = object of CoppiceError ## the actor's node has ended, or was out of reach for too long
  TooLargeError* = object of CoppiceError ## beyond a limit of what can be sent

const
  codeTimeout* = 1
  codeNotFound* = 10
  codeWrongProtocol = 13
  codeStopping* = 17
  codeInvalidArgument = 19
  codeTooLarge = 29
  mostDepth = 32 # as coppice_add has it

proc errorOf*(code: int, text: string): ref CoppiceError =
  template made(T: typedesc): ref CoppiceError = (ref CoppiceError)((ref T)())
  result = case code
    of codeTimeout: made TimeoutError
    of 2: made DownError
    of 3: made MailboxFullError
    of 4: made UnreachableError
    of 6: made NoHandlerError
    of 7: made NoReplyError
    of codeNotFound: made NotFoundError
    of 11: made NameTakenError
    of codeWrongProtocol: made WrongProtocolError
    of codeStopping: made StoppingError
    of 18: made FailedError
    of codeInvalidArgument: made InvalidArgumentError
    of 21: made ClosedError
    of 22: made NodeLostError
    of codeTooLarge: made TooLargeError
    else: made CoppiceError
  result.code = code
  result.codeName = $coppice_code_name(code.cint)
  result.msg = if text.len > 0: text else: result.codeName

proc check*(code: cint) =
  if code != 0: raise errorOf(code, $coppice_error_text())

check coppice_check_version(headerMajor, headerMinor)

proc nameOf*(text: string): cstring =
  ## For arguments that end at their terminating zero.
  if '\0' in text: raise errorOf(codeInvalidArgument, "a name or path must not have a zero character")
  text.cstring

proc nameOrNone*(text: string): cstring =
  ## The same, which is left out if it is empty.
  if text.len > 0: nameOf(text) else: nil

# ---- handles

type
  Owned* = object
    ## Owns a handle of the library, together with its copies: the last one closes it.
    at: ptr Counted
  Counted = object
    count: Atomic[int]
    closed: Atomic[bool]
    handle: RawHandle
    keeps: Owned # of an actor: its node
    lock: Lock # of `peeked`
    peeked: seq[Owned] # of an actor: mail that was peeked at and not received; both have the same handle

proc `=destroy`*(one: var Owned)
proc `=copy`*(to: var Owned, one: Owned)

proc destroyed(at: ptr Counted) =
  if not at.closed.exchange(true): discard coppice_close(at.handle)
  deinitLock(at.lock)
  `=destroy`(at[])
  deallocShared(at)

proc `=destroy`*(one: var Owned) =
  if one.at != nil and one.at.count.fetchSub(1, moAcquireRelease) == 1: destroyed(one.at)
  one.at = nil

proc `=copy`*(to: var Owned, one: Owned) =
  if to.at == one.at: return
  if one.at != nil: discard one.at.count.fetchAdd(1, moRelaxed)
  `=destroy`(to)
  to.at = one.at

proc own*(handle: RawHandle): Owned =
  result.at = createShared(Counted)
  result.at.count.store(1)
  result.at.handle = handle
  initLock(result.at.lock)

proc own*(handle: RawHandle, keeps: Owned): Owned =
  result = own(handle)
  result.at.keeps = keeps

proc raw*(one: Owned): RawHandle =
  if one.at == nil: 0'u64 else: one.at.handle

proc close*(one: Owned) =
  # The number stays: the library knows that it is closed, and says so to who still uses it.
  if one.at == nil or one.at.closed.exchange(true): return
  let code = coppice_close(one.at.handle)
  var keeps: Owned
  var peeked: seq[Owned] # both are given back without the lock
  withLock one.at.lock:
    swap(keeps, one.at.keeps)
    swap(peeked, one.at.peeked)
  check code

proc mailOf*(actor: Owned, handle: RawHandle, isTaken: bool): Owned =
  ## The one owner of that handle: what was peeked at comes again when it is received.
  withLock actor.at.lock:
    var kept: seq[Owned]
    for one in actor.at.peeked:
      if one.at.closed.load: continue
      if one.at.handle == handle:
        result = one
        if isTaken: continue
      kept.add one
    if result.at == nil:
      result = own(handle)
      if not isTaken: kept.add result
    actor.at.peeked = kept

# ---- refs

type
  Ref* = object
    ## Leads to an actor, wherever it runs, also after it was restarted.
    own: Owned

proc refOf*(handle: RawHandle): Ref = Ref(own: own(handle))
proc close*(one: Ref) = one.own.close()
proc handle*(one: Ref): RawHandle =
  ## For calls of the module coppice/abi.
  one.own.raw

proc `==`*(a, b: Ref): bool =
  ## Both lead to the same actor.
  coppice_same(a.handle, b.handle) == 0

proc `$`*(one: Ref): string =
  ## For people.
  var text: array[1024, char]
  if coppice_ref_text(one.handle, cast[cstring](addr text), text.len.csize_t) == 0: $cast[cstring](addr text)
  else: "closed ref"

# ---- values

type
  ValueKind* = enum
    vkNothing, vkBool, vkInt, vkUint, vkReal, vkText, vkBytes, vkList, vkRecord, vkMap, vkRef, vkTagged

  Value* = object
    ## What is sent and received.
    case kind*: ValueKind
    of vkNothing: discard
    of vkBool: boolean*: bool
    of vkInt: integer*: int64
    of vkUint: unsigned*: uint64
    of vkReal: real*: float64
    of vkText: text*: string
    of vkBytes: bytes*: seq[byte]
    of vkList: elements*: seq[Value]
    of vkRecord:
      fields*: seq[Value]
      typeId*: uint64 ## its message type; 0: none
    of vkMap: entries*: seq[tuple[key, mapped: Value]]
    of vkRef: target*: Ref
    of vkTagged:
      tag*: uint64
      content*: seq[byte]

proc nothing*(): Value = Value(kind: vkNothing)
proc toValue*(v: Value): Value = v
proc toValue*(b: bool): Value = Value(kind: vkBool, boolean: b)
proc toValue*(n: int): Value = Value(kind: vkInt, integer: n.int64) # also for literals
proc toValue*(n: SomeSignedInt): Value = Value(kind: vkInt, integer: n.int64)
proc toValue*(n: SomeUnsignedInt): Value = Value(kind: vkUint, unsigned: n.uint64)
proc toValue*(x: SomeFloat): Value = Value(kind: vkReal, real: x.float64)
proc toValue*(text: string): Value = Value(kind: vkText, text: text)
proc toValue*(bytes: openArray[byte]): Value = Value(kind: vkBytes, bytes: @bytes)
proc toValue*(target: Ref): Value = Value(kind: vkRef, target: target)
proc toValue*[K, V](pairs: openArray[(K, V)]): Value
proc toValue*[T](parts: openArray[T]): Value =
  mixin toValue
  result = Value(kind: vkList)
  for part in parts: result.elements.add toValue(part)
proc toValue*[K, V](pairs: openArray[(K, V)]): Value =
  ## A map, as {"price": 2.5}.
  mixin toValue
  result = Value(kind: vkMap)
  for (key, mapped) in pairs: result.entries.add (key: toValue(key), mapped: toValue(mapped))
proc toValue*[K, V](pairs: Table[K, V] | OrderedTable[K, V]): Value =
  mixin toValue
  result = Value(kind: vkMap)
  for key, mapped in pairs: result.entries.add (key: toValue(key), mapped: toValue(mapped))

proc list*(parts: varargs[Value, toValue]): Value =
  ## Of elements of any kinds: list(1, "two", list()).
  Value(kind: vkList, elements: @parts)

proc toEntry*[K, V](pair: (K, V)): tuple[key, mapped: Value] =
  mixin toValue
  (key: toValue(pair[0]), mapped: toValue(pair[1]))
proc map*(pairs: varargs[tuple[key, mapped: Value], toEntry]): Value =
  ## With keys of any kinds: map(("price", 2.5), (7, true)).
  Value(kind: vkMap, entries: @pairs)

proc typeIdOf*(typeName: string): uint64 =
  ## The number of a message type, by its C++ name.
  coppice_type_id(nameOf(typeName))

proc record*(fields: varargs[Value, toValue]): Value =
  ## Fields in order.
  Value(kind: vkRecord, fields: @fields)
proc ofType*(v: sink Value, typeName: string): Value =
  ## A record as that message type, by its C++ name: record(1, "x").ofType("shop::order").
  if v.kind != vkRecord: raise errorOf(codeInvalidArgument, "only a record is of a message type")
  result = v
  result.typeId = typeIdOf(typeName)

proc tagged*(tag: uint64, content: openArray[byte]): Value =
  ## Bytes of an encoding of your own (Protocol Buffers, JSON, ...), and a number that says which.
  Value(kind: vkTagged, tag: tag, content: @content)

proc `==`*(a, b: Value): bool {.noSideEffect.} =
  ## Of one kind and content; NaN is equal to NaN, 0.0 not to -0.0.
  if a.kind != b.kind: return false
  case a.kind
  of vkNothing: true
  of vkBool: a.boolean == b.boolean
  of vkInt: a.integer == b.integer
  of vkUint: a.unsigned == b.unsigned
  of vkReal: cast[uint64](a.real) == cast[uint64](b.real) or (a.real.isNaN and b.real.isNaN)
  of vkText: a.text == b.text
  of vkBytes: a.bytes == b.bytes
  of vkList: a.elements == b.elements
  of vkRecord: a.typeId == b.typeId and a.fields == b.fields
  of vkMap: a.entries == b.entries
  of vkRef: (block: {.cast(noSideEffect).}: a.target == b.target)
  of vkTagged: a.tag == b.tag and a.content == b.content

const kindNames = ["nothing", "a boolean", "an integer", "an unsigned integer", "a real number", "a text", "bytes", "a list",
                   "a record", "a map", "a ref", "tagged"]

proc wrongKind(v: Value, wanted: string) {.noreturn.} =
  raise errorOf(codeWrongProtocol, "the value is " & kindNames[v.kind.ord] & ", not " & wanted)

proc need(v: Value, wanted: ValueKind) =
  if v.kind != wanted: wrongKind(v, kindNames[wanted.ord])

proc doesNotFit(wanted: string) {.noreturn.} =
  raise errorOf(codeWrongProtocol, "the number does not fit into " & wanted)

proc isNothing*(v: Value): bool = v.kind == vkNothing
proc getBool*(v: Value): bool =
  need(v, vkBool)
  v.boolean
proc getInt*(v: Value): int64 =
  if v.kind == vkUint:
    if v.unsigned > high(int64).uint64: doesNotFit("an integer of 64 bits")
    return v.unsigned.int64
  need(v, vkInt)
  v.integer
proc getUint*(v: Value): uint64 =
  if v.kind == vkUint: return v.unsigned
  need(v, vkInt)
  if v.integer < 0: doesNotFit("an unsigned integer of 64 bits")
  v.integer.uint64
proc getFloat*(v: Value): float64 =
  ## Also of an integer that it can hold.
  if v.kind in {vkInt, vkUint}:
    let whole = v.getInt
    if whole notin -(1'i64 shl 53) .. (1'i64 shl 53): doesNotFit("a real number")
    return whole.float64
  need(v, vkReal)
  v.real
proc getText*(v: Value): string =
  need(v, vkText)
  v.text
proc getBytes*(v: Value): seq[byte] =
  need(v, vkBytes)
  v.bytes
proc getRef*(v: Value): Ref =
  need(v, vkRef)
  v.target
proc getTagged*(v: Value): tuple[tag: uint64, content: seq[byte]] =
  ## Also of the record as which it comes within another value.
  if v.kind == vkTagged: return (v.tag, v.content)
  if v.kind == vkRecord and v.typeId == 0 and v.fields.len == 2 and v.fields[0].kind in {vkInt, vkUint} and
      v.fields[1].kind == vkBytes:
    return (v.fields[0].getUint, v.fields[1].bytes)
  wrongKind(v, kindNames[vkTagged.ord])

proc len*(v: Value): int =
  ## Elements of a list, fields of a record, pairs of a map.
  case v.kind
  of vkList: v.elements.len
  of vkRecord: v.fields.len
  of vkMap: v.entries.len
  else: wrongKind(v, "a list, a record or a map")

proc `[]`*(v: Value, index: int): Value =
  ## An element of a list, or a field of a record.
  if v.kind notin {vkList, vkRecord}: wrongKind(v, "a list or a record")
  if index notin 0 ..< v.len:
    raise errorOf(codeNotFound, "there is no element " & $index & ", only " & $v.len & " from 0 on")
  if v.kind == vkList: v.elements[index] else: v.fields[index]

proc find*(v: Value, key: Value): Value =
  ## The value of the first such key of a map; nothing if it has none.
  need(v, vkMap)
  for entry in v.entries:
    if entry.key == key: return entry.mapped

iterator items*(v: Value): Value =
  ## Of a list or a record.
  for i in 0 ..< v.len: yield v[i]

iterator pairs*(v: Value): tuple[key, mapped: Value] =
  ## Of a map, in their order.
  need(v, vkMap)
  for entry in v.entries: yield entry

# ---- their handles

proc at*(bytes: openArray[byte]): pointer =
  if bytes.len > 0: unsafeAddr bytes[0] else: nil

proc built*(v: Value, depth = 0): RawHandle =
  ## A new value of the library's; whoever has it closes it, or gives it to another one.
  if depth > mostDepth:
    raise errorOf(codeTooLarge, "lists, records and maps within one another are limited to " & $mostDepth &
      ": flatten what you send")
  case v.kind
  of vkNothing: check coppice_new_nothing(result)
  of vkBool: check coppice_new_bool(v.boolean.cint, result)
  of vkInt: check coppice_new_int64(v.integer, result)
  of vkUint: check coppice_new_uint64(v.unsigned, result)
  of vkReal: check coppice_new_double(v.real, result)
  of vkText: check coppice_new_text(v.text.cstring, v.text.len.csize_t, result)
  of vkBytes: check coppice_new_bytes(v.bytes.at, v.bytes.len.csize_t, result)
  of vkTagged: check coppice_new_tagged(v.tag, v.content.at, v.content.len.csize_t, result)
  of vkRef: check coppice_new_ref(v.target.handle, result)
  of vkList: check coppice_new_list(result)
  of vkRecord: check coppice_new_record_of(v.typeId, result)
  of vkMap: check coppice_new_map(result)
  var isWhole = false
  defer:
    if not isWhole: discard coppice_close(result)
  case v.kind
  of vkList, vkRecord:
    for part in (if v.kind == vkList: v.elements else: v.fields):
      check coppice_add(result, built(part, depth + 1)) # takes the part, whatever comes of it
  of vkMap:
    for entry in v.entries:
      let key = built(entry.key, depth + 1)
      var mapped = 0'u64
      try: mapped = built(entry.mapped, depth + 1)
      except CatchableError:
        discard coppice_close(key)
        raise
      check coppice_put(result, key, mapped)
  else: discard
  isWhole = true

proc withHandle*(v: Value, use: proc(handle: RawHandle): cint {.gcsafe.}) =
  let handle = built(v)
  let code = use(handle)
  let error = if code != 0: errorOf(code, $coppice_error_text()) else: nil # before closing, which may fail, too
  discard coppice_close(handle)
  if error != nil: raise error

proc copied(at: pointer, size: csize_t): seq[byte] =
  result = newSeq[byte](size)
  if size > 0: copyMem(addr result[0], at, size)

proc copiedText*(at: cstring, size: csize_t): string =
  result = newString(size)
  if size > 0: copyMem(addr result[0], at, size)

proc taken*(handle: RawHandle): Value =
  ## What a value of the library's holds. Closes it.
  proc part(handle: RawHandle, index: int): Value =
    var one: RawHandle
    check coppice_value_at(handle, index.csize_t, one)
    taken(one)
  proc key(handle: RawHandle, index: int): Value =
    var one: RawHandle
    check coppice_value_key(handle, index.csize_t, one)
    taken(one)

  defer: discard coppice_close(handle)
  var
    number: cint
    size: csize_t
    text: cstring
    bytes: pointer
    target: RawHandle
  check coppice_value_kind_of(handle, number)
  let kind = number.ValueKind
  result = Value(kind: kind)
  case kind
  of vkNothing: discard
  of vkBool:
    check coppice_get_bool(handle, number)
    result.boolean = number != 0
  of vkInt: check coppice_get_int64(handle, result.integer)
  of vkUint: check coppice_get_uint64(handle, result.unsigned)
  of vkReal: check coppice_get_double(handle, result.real)
  of vkText:
    check coppice_get_text(handle, text, size)
    result.text = copiedText(text, size)
  of vkBytes:
    check coppice_get_bytes(handle, bytes, size)
    result.bytes = copied(bytes, size)
  of vkTagged:
    check coppice_get_tagged(handle, result.tag, bytes, size)
    result.content = copied(bytes, size)
  of vkRef:
    check coppice_get_ref(handle, target)
    result.target = refOf(target)
  of vkList:
    check coppice_value_size(handle, size)
    for i in 0 ..< size.int: result.elements.add part(handle, i)
  of vkRecord:
    check coppice_value_type(handle, result.typeId)
    check coppice_value_size(handle, size)
    for i in 0 ..< size.int: result.fields.add part(handle, i)
  of vkMap:
    check coppice_value_size(handle, size)
    for i in 0 ..< size.int: result.entries.add (key: key(handle, i), mapped: part(handle, i))

proc `$`*(v: Value): string =
  ## For people.
  let handle = built(v)
  var text: array[4096, char]
  discard coppice_value_text(handle, cast[cstring](addr text), text.len.csize_t)
  discard coppice_close(handle)
  $cast[cstring](addr text)
