## Coppice for Nim: actors of a Coppice tree, by its C library.
##
##     let me = joinTree("app", "till")
##     let shop = me.find("/app/shop")
##     me.send(shop, "hello")
##     echo me.ask(shop, {"price of": "tea"})
##     for mail in me:                       # until the actor is asked to end
##       if mail.isRequest: mail.reply(mail.value)
##
## Nodes, actors, mail and refs may be copied, and given to other threads: the last copy closes what it stands for, and close()
## does so at once. What can be sent is all that `toValue` takes. Texts are UTF-8. Time limits are in milliseconds, and
## `forever`. Errors are exceptions, one type for each that programs handle, all of them `CoppiceError` with the code of the one table.
##
## Any thread; one at a time receives for an actor. To be compiled with --mm:orc; --threads:on is for the program's own threads.
import std/[options, strutils]
import coppice/abi
import coppice/values

export values except Owned, own, raw, refOf, mailOf, built, taken, at, withHandle, check, errorOf, nameOf, nameOrNone, copiedText,
  codeTimeout, codeNotFound, codeStopping

const forever* = -1 ## a time limit

type
  Node* = object
    ## This process's part in a tree. When it is closed, it leaves the tree, and its actors end.
    own: Owned
  Actor* = object
    ## A mailbox of this process, with a name in the tree. It keeps its node open.
    own: Owned
  MailKind* = enum
    mkNone, mkMessage, mkRequest, mkAnswer, mkEnded
  Mail* = object
    ## What an actor has received. A request that is closed without a reply is answered with no_reply.
    own: Owned
    kind: MailKind
    value: Value
  LogLevel* {.pure.} = enum
    default, trace, debug, info, warn, error, off

proc close*(one: Node) = one.own.close()
proc close*(one: Actor) = one.own.close()
proc close*(one: Mail) = one.own.close()
proc handle*(one: Node): RawHandle = one.own.raw
proc handle*(one: Actor): RawHandle = one.own.raw
proc handle*(one: Mail): RawHandle = one.own.raw

proc limitOf(ms: int): uint64 =
  if ms < 0: foreverMs else: ms.uint64

proc bytesOf(text: string): tuple[at: cstring, size: csize_t] =
  (text.cstring, text.len.csize_t)

# ---- mail

proc readMail(own: sink Owned): Mail =
  var kind: cint
  var value: RawHandle
  check coppice_mail_kind_of(own.raw, kind)
  check coppice_mail_value(own.raw, value)
  Mail(kind: kind.MailKind, value: taken(value), own: own)

proc kind*(mail: Mail): MailKind = mail.kind
proc value*(mail: Mail): lent Value =
  ## What was sent. Of one that tells an end: its reason, in words.
  mail.value
proc isRequest*(mail: Mail): bool =
  ## Its sender waits for reply() or fail().
  mail.kind == mkRequest
proc hasEnded*(mail: Mail): bool =
  ## A monitored actor has ended: `number` is what monitor() gave.
  mail.kind == mkEnded
proc number*(mail: Mail): uint64 =
  check coppice_mail_number(mail.handle, result)
proc sender*(mail: Mail): Option[Ref] =
  ## None: nobody says so.
  var sender: RawHandle
  let code = coppice_mail_sender(mail.handle, sender)
  if code == codeNotFound: return
  check code
  some refOf(sender)

proc reply*[T](mail: Mail, answer: T) =
  ## Answers a request, once, from any thread.
  mixin toValue
  let request = mail.handle
  withHandle(toValue(answer), proc(v: RawHandle): cint = coppice_reply(request, v))
proc fail*(mail: Mail, text: string) =
  ## Its sender gets FailedError, with this text.
  let (at, size) = bytesOf(text)
  check coppice_fail(mail.handle, at, size)

# ---- actors

proc path*(me: Actor): string =
  var at: cstring
  var size: csize_t
  check coppice_path(me.handle, at, size)
  copiedText(at, size)

proc self*(me: Actor): Ref =
  ## A ref to itself.
  var own: RawHandle
  check coppice_self(me.handle, own)
  refOf(own)

proc find*(me: Actor, path: string): Ref =
  ## NotFoundError: that node has no such actor. UnreachableError: no link leads to that node.
  var target: RawHandle
  check coppice_find(me.handle, nameOf(path), target)
  refOf(target)

proc sendValue(me: Actor, to: Ref, v: Value, wait: int) =
  let (source, target) = (me.handle, to.handle)
  if wait == 0: # in one call
    case v.kind
    of vkNothing: check coppice_send_nothing(source, target)
    of vkBool: check coppice_send_bool(source, target, v.boolean.cint)
    of vkInt: check coppice_send_int64(source, target, v.integer)
    of vkUint: check coppice_send_uint64(source, target, v.unsigned)
    of vkReal: check coppice_send_double(source, target, v.real)
    of vkText: check coppice_send_text(source, target, v.text.cstring, v.text.len.csize_t)
    of vkBytes: check coppice_send_bytes(source, target, v.bytes.at, v.bytes.len.csize_t)
    of vkTagged: check coppice_send_tagged(source, target, v.tag, v.content.at, v.content.len.csize_t)
    of vkList, vkRecord, vkMap, vkRef:
      withHandle(v, proc(v: RawHandle): cint = coppice_send(source, target, v, 0))
  else:
    withHandle(v, proc(v: RawHandle): cint = coppice_send(source, target, v, limitOf(wait)))

proc send*[T](me: Actor, to: Ref, value: T, wait = 0) =
  ## Returns when it is on its way. `wait`: how long to wait for room in the receiver's mailbox.
  mixin toValue
  sendValue(me, to, toValue(value), wait)

proc ask*[T](me: Actor, to: Ref, value: T, within = 5000): Value =
  ## Sends a request and returns its answer. TimeoutError after that time; FailedError, NoReplyError and others at once.
  mixin toValue
  let (source, target) = (me.handle, to.handle)
  var answer: RawHandle
  let at = addr answer
  withHandle(toValue(value), proc(v: RawHandle): cint = coppice_ask(source, target, v, limitOf(within), at[]))
  taken(answer)

proc stop*(me: Actor, who: Ref) =
  ## Asks an actor to end when it has handled its mail.
  check coppice_stop(me.handle, who.handle)
proc shutdown*(me: Actor, who: Ref, within = 5000) =
  ## Asks it to end now, and kills it if that takes longer.
  check coppice_shutdown(me.handle, who.handle, limitOf(within))
proc kill*(me: Actor, who: Ref) =
  check coppice_kill(me.handle, who.handle)

proc monitor*(me: Actor, who: Ref): uint64 =
  ## Mail that hasEnded, with this number, comes when its present life ends; at once if it has none.
  check coppice_monitor(me.handle, who.handle, result)
proc demonitor*(me: Actor, number: uint64) =
  check coppice_forget_monitor(me.handle, number)

proc receive*(me: Actor, within = forever): Mail =
  ## The next mail. TimeoutError: there is none in time. StoppingError: the actor is asked to end.
  var mail: RawHandle
  check coppice_receive(me.handle, limitOf(within), mail)
  readMail(mailOf(me.own, mail, isTaken = true))

proc poll*(me: Actor, within = 0): Option[Mail] =
  ## None: there is none in time. For idle hooks and loops that watch the descriptor.
  var mail: RawHandle
  let code = coppice_receive(me.handle, limitOf(within), mail)
  if code == codeTimeout: return
  check code
  some readMail(mailOf(me.own, mail, isTaken = true))

proc peek*(me: Actor, within = forever): Mail =
  ## The mail that receive() would return, which stays where it is; unless it is closed, receive() returns it later.
  var mail: RawHandle
  check coppice_peek(me.handle, limitOf(within), mail)
  readMail(mailOf(me.own, mail, isTaken = false))

# The mail of a loop. A loop's variable keeps what it has until it is given the next; so it is only lent what is held here.
type Place = object
  at: ptr Mail
proc `=destroy`(place: var Place) =
  if place.at == nil: return
  `=destroy`(place.at[])
  dealloc(place.at)
  place.at = nil
proc `=copy`(to: var Place, place: Place) {.error.}

iterator items*(me: Actor): lent Mail =
  ## Its mail, until it is asked to end. Each is given back before the next one is waited for, unless it was copied.
  var place = Place(at: create(Mail))
  while true:
    var mail: RawHandle
    let code = coppice_receive(me.handle, foreverMs, mail)
    if code == codeStopping: break
    check code
    place.at[] = readMail(mailOf(me.own, mail, isTaken = true))
    yield place.at[]
    place.at[] = Mail()

proc descriptor*(me: Actor): int =
  ## Readable, for std/selectors and poll(), while there is mail or the actor is asked to end. Not to be read or closed.
  var number: cint
  check coppice_descriptor(me.handle, number)
  number.int

proc join*(me: Actor, group: string) =
  check coppice_join(me.handle, nameOf(group))
proc leave*(me: Actor, group: string) =
  check coppice_leave(me.handle, nameOf(group))
proc publish*[T](me: Actor, group: string, value: T): int {.discardable.} =
  ## To all members but this one; how many took it.
  mixin toValue
  let source = me.handle
  let name = nameOf(group)
  var members: csize_t
  let at = addr members
  withHandle(toValue(value), proc(v: RawHandle): cint = coppice_publish(source, name, v, at[]))
  members.int

proc ready*(me: Actor) =
  ## Of a child that announces it: it counts as started from now on.
  check coppice_ready(me.handle)
proc giveUp*(me: Actor, reason: string) =
  ## It ends in failure, with that reason.
  let (at, size) = bytesOf(reason)
  check coppice_give_up(me.handle, at, size)
proc log*(me: Actor, text: string, level = LogLevel.info) =
  ## A record in the tree's log, with this actor's path.
  let (at, size) = bytesOf(text)
  check coppice_log(me.handle, (if level == LogLevel.default: LogLevel.info else: level).cint, at, size)

# ---- nodes

proc openNode*(name = "", tree = "", parent = "", listen: openArray[string] = [], secretFile = "", secretEnv = "",
               hold = 0, joinWithin = 0, logLevel = LogLevel.default): Node =
  ## Joins the tree of that name on this machine, or at an endpoint ("tcp://host:4711?..."), or begins one of its own, which can
  ## be joined by its name. `listen`: where others can join below it. `hold`: how long the tree may be out of reach before it
  ## counts as lost; 0: 60,000. `joinWithin`: 0: 5,000, and no less.
  let endpoints = listen.join(",")
  var options = NodeOptionsAbi(
    size: sizeof(NodeOptionsAbi).csize_t,
    name: nameOrNone(name), tree: nameOrNone(tree), parent: nameOrNone(parent), listen: nameOrNone(endpoints),
    secretFile: nameOrNone(secretFile), secretEnv: nameOrNone(secretEnv),
    holdMs: limitOf(hold), joinMs: limitOf(joinWithin), logLevel: logLevel.int32)
  var node: RawHandle
  check coppice_open_node(addr options, node)
  Node(own: own(node))

proc actor*(node: Node, name = "", mailbox = 0): Actor =
  ## An actor of this process. `mailbox`: messages that may wait in it; 0: 65,536.
  var options = ActorOptionsAbi(size: sizeof(ActorOptionsAbi).csize_t, name: nameOrNone(name), mailbox: mailbox.uint32)
  var actor: RawHandle
  check coppice_open_actor(node.handle, addr options, actor)
  Actor(own: own(actor, node.own))

proc joinTree*(tree: string, actorName = ""): Actor =
  ## Joins the tree of that name on this machine with one actor.
  if tree.len == 0: raise errorOf(19, "a tree must be named")
  openNode(tree = tree).actor(actorName)

# ---- children

proc isChild*(): bool =
  ## True if a supervisor of a tree has started this process, and its place is not taken yet.
  coppice_is_child() == 1

proc runAsChild*(body: proc(me: Actor), announce = true): int =
  ## The main part of a program that a supervisor starts: takes its place in the tree, runs `body`, and returns the process's exit
  ## code. With announce = false the child counts as started when it calls ready(). An exception ends the actor in failure, with
  ## its words as the reason, and is raised.
  var nodeHandle, actorHandle: RawHandle
  check coppice_open_child(announce.cint, nodeHandle, actorHandle)
  let node = Node(own: own(nodeHandle))
  let me = Actor(own: own(actorHandle, node.own))
  try:
    body(me)
  except StoppingError:
    discard
  except Exception as failure:
    let (at, size) = bytesOf($failure.name & ": " & failure.msg)
    discard coppice_give_up(me.handle, at, size) # fails if it is ending already
    raise
  finally:
    me.close()
    node.close()
    result = coppice_exit_code() # waits until its parent has heard of it, also of what is raised

proc openHandles*(): int =
  ## Handles that are open in this process; for tests of leaks.
  coppice_open_handles().int
