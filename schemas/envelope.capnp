# The envelope: what stands before every message between two nodes.
#
# A frame of a link holds one Envelope as a single raw segment (no segment table). Coppice writes and reads the bytes
# that a builder of this schema makes, by hand: 8 bytes of root pointer, 48 of data, 8 of list pointer, then the
# payload, padded with zeros to 8 (docs/wire_format.md). A reader must accept every other valid encoding as well.
@0x9646b8e5db1860d7;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("coppice::schema");

struct Envelope {
  kind @0 :UInt16;
  # What the frame is: a message, a reply, a failure, a control message. The numbers stand in docs/wire_format.md.

  flags @1 :UInt16;
  # Bits whose meaning depends on the kind. A bit that is not defined is written as 0 and ignored by the reader.

  aux @2 :UInt32;
  # A further number whose meaning depends on the kind.

  target @3 :UInt64;
  # The actor that it goes to. 0: nobody, the node itself.

  sender @4 :UInt64;
  # The actor that it comes from. 0: nobody.

  type @5 :UInt64;
  # The message's type: FNV-1a, 64 bits, of the declared name. It says what the payload holds.

  correlation @6 :UInt64;
  # Ties a reply to its request; chosen by who asks. 0: not a request.

  sequence @7 :UInt64;
  # Position in the flow that the message belongs to, from 1. 0: it belongs to none.

  payload @8 :Data;
  # The message: a single raw segment whose root is a Value or a Record (value.capnp), or the struct that the type names.
}
