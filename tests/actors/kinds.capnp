# All that a description may hold: every type, names that C++ has for itself, defaults, types within types and in others' files.
@0x904368c2f952f59f;

using Coppice = import "/coppice/service.capnp";
using Shapes = import "/shapes.capnp";
$Coppice.namespace("tests::kinds");

enum Colour {
  red @0;
  green @1;
  default @2;
}

struct Everything {
  # A comment that ends in a backslash \
  nothing @0 :Void;
  flag @1 :Bool = true;
  i8 @2 :Int8 = -128;
  i16 @3 :Int16 = -32768;
  i32 @4 :Int32 = -2147483648;
  i64 @5 :Int64 = -9223372036854775808;
  u8 @6 :UInt8 = 255;
  u16 @7 :UInt16 = 65535;
  u32 @8 :UInt32 = 4294967295;
  u64 @9 :UInt64 = 18446744073709551615;
  f32 @10 :Float32 = 1.5;
  f64 @11 :Float64 = -inf;
  text @12 :Text = "a \"quoted\" text\n?? \\";
  data @13 :Data;
  colour @14 :Colour = default;
  inner @15 :Inner;
  bools @16 :List(Bool);
  bytes @17 :List(UInt8);
  texts @18 :List(Text);
  colours @19 :List(Colour);
  inners @20 :List(Inner);
  lists @21 :List(List(Int32));
  vector @22 :Shapes.Vector;
  class @23 :Int32;
  reply @24 :Text;
  old @25 :Int32 $Coppice.deprecated("use i32");

  struct Inner {
    number @0 :UInt32;
    deeper @1 :Deeper;
    struct Deeper {
      text @0 :Text;
    }
  }
}

interface KindsOfThings {
  echo @0 (what :Everything) -> Everything;
  server @1 (template :Text, within :UInt64) -> (lengthOf :UInt64, isEmpty :Bool);
  nothing @2 ();
  client @3 () $Coppice.oneWay;
  changed @4 (what :Everything) $Coppice.notification;

  struct Beside {
    number @0 :UInt8;
  }
}

interface Silent {
  tick @0 (n :UInt64) $Coppice.notification;
}
