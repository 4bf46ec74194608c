# Values: the form of a message that every language can write and read without knowing the C++ type behind it.
#
# A payload is a single raw segment (no segment table). Its root is
#   a Record   for a message with fields: in C++ an aggregate, a tuple or a pair;
#   a Value    for everything else: a text, a number, a list.
# The root pointer tells which: a Value has data words, a Record never has any.
@0xf6e185b6f1bc2a76;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("coppice::schema");

struct Value {
  union {
    void @0 :Void;
    # Nothing: an optional field that is empty; null, nil, None, undefined.

    bool @1 :Bool;
    # True or false.

    int @2 :Int64;
    # A signed whole number, of any width. Who expects a number takes `int` and `uint` alike, if it is in range.

    uint @3 :UInt64;
    # An unsigned whole number, of any width.

    float @4 :Float64;
    # A floating-point number, of any width. Who expects one also takes `int` and `uint` up to 2^53.

    text @5 :Text;
    # Text in UTF-8. Receivers do not check that it is UTF-8.

    data @6 :Data;
    # Bytes.

    list @7 :List(Value);
    # Any number of values in order: vectors, arrays, sets.

    record @8 :Record;
    # Fields in the order of their declaration: a struct within a struct, a tuple.

    map @9 :List(Entry);
    # Keys with their values. Where a key stands twice, the first counts.

    reference @10 :ActorRef;
    # The address of an actor.

    ints @11 :List(Int64);
    # A list of signed numbers, at 8 bytes a number. The same as `list` of `int`.

    uints @12 :List(UInt64);
    # A list of unsigned numbers. The same as `list` of `uint`.

    floats @13 :List(Float64);
    # A list of floating-point numbers. The same as `list` of `float`.

    loan @14 :Loan;
    # Bytes that are not in the message. Who expects `data` takes it alike. Only for a node that has said that it has
    # mapped the memory, and in an envelope that says that there are loans.
  }
}

struct Record {
  # A message's fields. This struct never gets a data section: the root pointer tells it from a Value by that.

  fields @0 :List(Value);
  # In the order of declaration. A reader ignores fields beyond those that it knows, and where fields are missing at the
  # end it keeps its defaults: that is how messages grow.
}

struct Entry {
  # One pair of a map.

  key @0 :Value;
  # Of one kind throughout the map.

  value @1 :Value;
  # What the key stands for.
}

struct Loan {
  # Bytes in memory of the sender's process, which the receiver reads where they are.

  arena @0 :UInt64;
  # The memory: the id that stands at its beginning.

  offset @1 :UInt64;
  # Where the bytes begin in it.

  size @2 :UInt64;
  # How many they are.

  number @3 :UInt64;
  # Under which the receiver gives them back, once: `loansReturned` of control.capnp. Of the sender's node; never used
  # again.
}

struct ActorRef {
  # The address of an actor, valid on every node of a tree.

  node @0 :UInt64;
  # The id of the actor's node: random for each start of a process. 0 together with actor 0: nobody.

  actor @1 :UInt64;
  # The actor on its node.

  incarnation @2 :UInt32;
  # 0: the reference follows restarts. Else it holds for that incarnation only.

  path @3 :Text;
  # For people: where the actor stood in the tree when the reference was written. May be empty; nobody relies on it.
}
