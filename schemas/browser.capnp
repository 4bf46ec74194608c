# What a browser and its host say to each other: one BrowserFrame in each binary message of a WebSocket, as a single raw
# segment (no segment table). docs/browser.md tells who says what when.
#
# Kinds from 16 on are numbered. Both sides keep what they have numbered until it is acknowledged, and send it again over
# the next connection; the receiver drops what it has taken before.
@0xa9d4d1a7f6a3e05b;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("coppice::schema");

struct BrowserFrame {
  kind @0 :UInt16;
  # 1 hello, 2 resume, 3 welcome, 4 refused, 5 acknowledge, 6 ping, 7 pong; 16 mail, 17 ask, 18 answer, 19 failure,
  # 20 join, 21 leave, 22 publish, 23 find, 24 found, 25 monitor, 26 demonitor, 27 down, 28 bye. Others close the
  # connection.

  code @1 :UInt16;
  # Of refused, failure and bye: a number of docs/errors.md. Of down: the kind of the end (exit_kind). Of hello and
  # resume: the version of this protocol, 1.

  flags @2 :UInt32;
  # Of resume, 1: a new page goes on with the session of another one, whose memory is gone. Others are ignored.

  sequence @3 :UInt64;
  # Position among what this side has numbered, from 1. Of kinds that are not numbered: 0.

  acknowledged @4 :UInt64;
  # All of the other side up to this number is taken and need not be kept. Of every kind.

  taken @5 :UInt64;
  # Of the browser: how many pieces of mail (mail, ask, down) its page has taken since its first hello or the last resume
  # with flag 1. The host sends at most `window` more than that, but for `down`.

  correlation @6 :UInt64;
  # Ties answer, found and failure to what they answer; chosen by who asks, in numbers of its own. Of monitor, demonitor
  # and down: the browser's number of the monitor. 0: nobody waits.

  actor @7 :UInt64;
  # Number of an actor, given by the host: whom it goes to, or, from the host, whom it is from. 0: nobody.

  type @8 :UInt64;
  # Of a payload that is a whole message of a type: its id, as in an envelope. 0: of none.

  time @9 :UInt64;
  # Milliseconds. Of ask: until the asker gives up; 0: as long as the host lets it. Of welcome: how long a session without
  # a connection is held.

  window @10 :UInt32;
  # Of welcome: pieces of mail that may be at the browser and not taken by its page, and frames of the browser that may be
  # unacknowledged.

  bytes @11 :UInt32;
  # Of welcome: bytes that a payload may have, at most.

  text @12 :Text;
  # A name, a path, a group, or words for people. At most 4,096 bytes.

  payload @13 :Data;
  # A value as in value.capnp: a raw segment whose root is a Value or a Record. Of hello and resume: the session's token,
  # 16 random bytes of the browser's, which are a secret.
}
