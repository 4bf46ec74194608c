# Control messages: what two nodes say to each other beside the mail of their actors. Who they are, how nodes are
# reached, where actors are, how actors that watch one another learn of an end.
#
# A control message is a single raw segment (no segment table) whose root is a Control. Bytes from before `welcome` come
# from nobody in particular: a reader limits what it spends on them.
# Evolution: members and fields are added at the end, with the next number; none is removed, renumbered or given another
# type. A reader takes a field that it does not find as 0 or empty, and ignores one that it does not know. A message of
# a kind that it does not know it refuses (wrong_version).
# Text is UTF-8; readers do not check that it is. Names have at most 255 bytes, paths and texts for people 4096.
@0x8ee7f8abf8ae4e21;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("coppice::schema");

struct Control {
  # One message. The pointer of its kind is never null.

  union {
    hello @0 :Hello;
    # To the neighbour: the first thing that both sides say.

    proof @1 :Proof;
    # To the neighbour: after `hello`, if secrets are used: that the sender knows theirs.

    refusal @2 :Refusal;
    # To the neighbour: why the link is not to be. It is the last message.

    welcome @3 :Welcome;
    # To the neighbour: the sender accepts. After both have said so the link carries mail.

    farewell @4 :Farewell;
    # To the neighbour: the sender's node is about to end, on purpose. It is the last message.

    routes @5 :Routes;
    # From a child to its parent: which nodes are reached through the child.

    locate @6 :Locate;
    # Which node has that name? Answered by `located`, by the first on the way up who knows.

    located @7 :Located;
    # The answer to `locate`.

    find @8 :Find;
    # To a node: which of its actors has that path? Answered by `found`.

    found @9 :Found;
    # The answer to `find`.

    watchActor @10 :WatchActor;
    # To the target's node: tell the watcher, by `downNotice`, when the target ends.

    unwatchActor @11 :UnwatchActor;
    # To the target's node: the watcher does not want to know any more.

    downNotice @12 :DownNotice;
    # To the watcher's node: what it monitors has ended.

    linkActors @13 :LinkActors;
    # To the node of `to`: the two actors are linked; when one ends, so does the other, unless it traps exits.

    unlinkActors @14 :UnlinkActors;
    # To the node of `to`: the two actors are no longer linked.

    exitNotice @15 :ExitNotice;
    # To the node of `to`: an actor has ended that it is linked to.

    endActor @16 :EndActor;
    # To the target's node: end it.

    introduce @17 :Introduce;
    # To the neighbour: some node sends it much by way of the sender, and could have a shortcut.

    offer @18 :Offer;
    # To a node: it may link to the sender by a shortcut, once.

    arenaMapped @19 :ArenaMapped;
    # To a node: its loans can be read here.

    loansReturned @20 :LoansReturned;
    # To a node: what it lent is not read here any more.

    ended @21 :Ended;
    # To the neighbour: a node has ended that it reaches over the sender. It is passed on through the whole tree.

    memberships @22 :Memberships;
    # To the neighbour: in which groups a node's actors are that it reaches over the sender. Passed on through the whole tree.
  }
}

enum Role {
  # What a node is to its neighbour.

  peer @0;
  # Neither above nor below it: the link carries no transit.

  child @1;
  # Below it: it announces by `routes` what is reached through it.

  parent @2;
  # Above it: the way to everything that is not announced.

  shortcut @3;
  # Somewhere else in the tree: the link carries what the two send each other, no transit and no routes. Said by the
  # connector, which has an offer.
}

struct Hello {
  version @0 :UInt16;
  # The protocol that the sender speaks.

  role @1 :Role;
  # What the sender is to the receiver.

  withSecret @2 :Bool;
  # `proof` follows. Both must say the same; it is not negotiated.

  pid @3 :UInt32;
  # The id of the sender's process, on the machine that `machine` names. 0: not told.

  node @4 :UInt64;
  # The sender's node id: 64 random bits, drawn when its process starts.

  name @5 :Text;
  # The sender's name, as in its configuration.

  challenge @6 :Data;
  # 32 random bytes, fresh for every connection. They go into both proofs.

  ancestors @7 :List(UInt64);
  # Ids of the nodes above the sender, its parent first, so that no loop is formed. At most 256.

  machine @8 :Text;
  # Equal for processes that see one another's process ids. At most 255 bytes; empty: not told.

  token @9 :Data;
  # Of a shortcut's connector: the 16 bytes of the receiver's offer. Else empty.
}

struct Proof {
  code @0 :Data;
  # 32 bytes: HMAC-SHA-256 with the shared secret as key, of the handshake's transcript. That is three parts, each
  # after its length in bytes as 64 bits, little endian: the text "coppice 1 proof of the connector" or "coppice 1 proof
  # of the acceptor", by who proves; the connector's Hello message, the acceptor's, each as it was sent.
}

struct Refusal {
  code @0 :UInt8;
  # The reason's number in docs/errors.md. A reader takes one that it does not know as `failed`.

  text @1 :Text;
  # What happened and what can be done, for people.
}

struct Welcome {
  seenAs @0 :Text;
  # The receiver's address, as the sender's transport tells it, for people and for nodes that listen on all addresses:
  # "10.0.0.7:34712", "unix pid 4711". At most 255 bytes; may be empty.
}

struct Farewell {
  text @0 :Text;
  # Why, for people.
}

struct NamedNode {
  node @0 :UInt64;
  # The node's id.

  name @1 :Text;
  # The node's name.
}

struct Routes {
  complete @0 :Bool;
  # `added` is all there is: the receiver forgets what it was told before.

  added @1 :List(NamedNode);
  # Nodes that are reached through the sender from now on. At most 65536; more need several messages.

  removed @2 :List(UInt64);
  # Ids of nodes that are not reached through the sender any more. At most 65536.
}

struct Locate {
  query @0 :UInt64;
  # Number of the question, chosen by who asks; the answer repeats it.

  name @1 :Text;
  # The name of the node that is looked for.
}

struct Located {
  query @0 :UInt64;
  # The question's number.

  node @1 :UInt64;
  # The id of the node of that name. 0: nobody has it.

  name @2 :Text;
  # The name that was looked for.
}

struct Find {
  query @0 :UInt64;
  # Number of the question, chosen by who asks; the answer repeats it.

  path @1 :Text;
  # The actor's path.

  types @2 :List(UInt64);
  # Types of the messages that the actor must take: FNV-1a, 64 bits, of their declared names. At most 4096.
}

struct Found {
  query @0 :UInt64;
  # The question's number.

  actor @1 :UInt64;
  # The actor's id within its node. 0 with an error.

  incarnation @2 :UInt32;
  # How often the actor was started, counted from 1. 0 with an error.

  code @3 :UInt8;
  # 0, or the error's number in docs/errors.md. A reader takes one that it does not know as `failed`.

  text @4 :Text;
  # More about the error, for people.

  node @5 :UInt64;
  # The actor's node, if it is not the sender: one below it, of which it has asked. 0: the sender.
}

struct WatchActor {
  monitor @0 :UInt64;
  # Number of the monitor, chosen by the watcher.

  watcher @1 :UInt64;
  # The actor that wants to know; its id within the sender's node.

  target @2 :UInt64;
  # The actor that is watched; its id within the receiver's node.

  incarnation @3 :UInt32;
  # Which start of the target is meant. 0: whichever lives.
}

struct UnwatchActor {
  monitor @0 :UInt64;
  # The monitor's number.

  watcher @1 :UInt64;
  # The actor that wanted to know.

  target @2 :UInt64;
  # The actor that is watched.
}

enum ExitKind {
  # How an actor ended. A reader takes a kind that it does not know as `error`.

  normal @0;
  # Its function returned.

  stopped @1;
  # It ended after it was asked to.

  killed @2;
  # It was killed, at its time limit or by request.

  error @3;
  # An exception left it.

  failed @4;
  # It ended itself and said why.

  linked @5;
  # An actor that it was linked to ended.

  startFailed @6;
  # It ended, or was not ready in time, while it was being started.

  intensity @7;
  # A supervisor met more ends of children than it restarts.

  abandoned @8;
  # It did not reach an await after it was killed, and was left behind.

  noActor @9;
  # There was no such actor.

  significant @10;
  # A supervisor ended because its significant child did.

  nodeLost @11;
  # Its node has ended, or was out of reach for too long.

  limitReached @12;
  # Its node takes no more monitors or links from the other one. The actor may well be alive.

  processEnded @13;
  # Its process ended before the actor did.

  unresponsive @14;
  # Its process gave no sign of life, or a handler there did not return, for too long.

  notStarted @15;
  # Its process could not be started.
}

struct ExitReason {
  kind @0 :ExitKind;
  # How it ended.

  text @1 :Text;
  # What happened, for people. A writer cuts what is longer than 4096 bytes.

  origin @2 :Text;
  # Path of the actor in which it happened. A writer cuts what is longer than 4096 bytes.

  inHand @3 :Text;
  # Type name of the message that the actor had received last. A writer cuts what is longer than 255 bytes.

  code @4 :UInt8;
  # 0, or an error's number in docs/errors.md that says more. A reader takes one that it does not know as `failed`.
}

struct DownNotice {
  monitor @0 :UInt64;
  # The monitor's number.

  watcher @1 :UInt64;
  # The actor that wants to know.

  target @2 :UInt64;
  # The actor that has ended.

  reason @3 :List(ExitReason);
  # How it ended; each further entry is the cause of the one before. At least 1, at most 32.
}

struct LinkActors {
  from @0 :UInt64;
  # The sender's actor.

  to @1 :UInt64;
  # The receiver's actor.

  incarnation @2 :UInt32;
  # Which start of `to` is meant. 0: whichever lives.
}

struct UnlinkActors {
  from @0 :UInt64;
  # The sender's actor.

  to @1 :UInt64;
  # The receiver's actor.
}

struct ExitNotice {
  from @0 :UInt64;
  # The actor that has ended.

  to @1 :UInt64;
  # The actor that was linked to it.

  reason @2 :List(ExitReason);
  # How it ended; each further entry is the cause of the one before. At least 1, at most 32.
}

enum Ending {
  # How an actor is to be ended; or that it is to wait, or to go on.

  stop @0;
  # It handles what it has been sent, then ends.

  shutdown @1;
  # The same within a time; then it is killed.

  kill @2;
  # At its next await.

  pause @3;
  # It ends not: it, and all below it, take no mail but what tells of ends, until they are resumed.

  resume @4;
  # Ends a pause.
}

struct EndActor {
  target @0 :UInt64;
  # The actor to be ended.

  how @1 :Ending;
  # How. A reader refuses (wrong_version) one that it does not know.

  withinNs @2 :UInt64;
  # Nanoseconds that a shutdown may take.
}

struct Introduce {
  node @0 :UInt64;
  # The id of the node that sends much to the receiver. A receiver ignores one that it reaches another way.
}

struct Offer {
  token @0 :Data;
  # 16 random bytes, fresh for every offer: who links shows them, once, within 10 s. Empty if there are no endpoints.

  endpoints @1 :List(Text);
  # URIs at which the sender listens, without options. At most 16; empty: it cannot be reached, but could link itself to
  # the receiver, by an answer.

  machine @2 :Text;
  # The sender's, as in `hello`: what is of one machine only is of use to those who have the same.

  pid @3 :UInt32;
  # The sender's process.

  isAnswer @4 :Bool;
  # To an offer that could not be used. It is not answered itself.
}

struct ArenaMapped {
  arena @0 :UInt64;
  # The id of the memory, as it stands at its beginning. Holds for as long as the sender lives.
}

struct LoansReturned {
  numbers @0 :List(UInt64);
  # Of the loans. At most 4096. One that the receiver does not know it ignores.
}

struct Ended {
  node @0 :UInt64;
  # The id of the node that has ended, and does not come back under it.

  died @1 :Bool;
  # It said no farewell: its process has died.

  text @2 :Text;
  # What happened, for people.
}

struct Membership {
  group @0 :Text;
  # The group's name.

  actor @1 :UInt64;
  # The member; its id within its node.
}

struct Memberships {
  node @0 :UInt64;
  # The id of the members' node. 0: the sender has said now what it knew when the link came up, and of nodes that it has not named
  # it knows no members.

  complete @1 :Bool;
  # `joined` is all there is: the receiver forgets what it was told of that node before.

  joined @2 :List(Membership);
  # In these groups they are from now on. At most 4096; more need several messages.

  left @3 :List(Membership);
  # In these they are not any more. At most 4096.
}
