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

# ---- names that the generated code has itself, or that C's headers make macros of; things that hold nothing

enum Word {
  errno @0;
  assert @1;
  linux @2;
  typeof @3;
}

struct Nothing {}
enum NoName {}
struct Hollow {
  nothing @0 :Nothing;
  nothings @1 :List(Nothing);
  voids @2 :List(Void);
  noName @3 :NoName;
  data @4 :List(Data);
  cube @5 :List(List(List(Text)));
  zero @6 :Text = "a\x00b";
}

interface OddNames {
  turn @0 (turn :Text) -> (turn :Text);
  r1 @1 (r1 :UInt32) -> (r1 :UInt32);
  m3 @2 (m3 :UInt32) $Coppice.oneWay;
  requests @3 (requests :UInt32) -> (requests :UInt32);
  notifications @4 (notifications :UInt32) $Coppice.notification;
  q @5 (q :UInt32) -> (q :UInt32) $Coppice.deprecated("plut\xc3\xb4t \"r1\" ??/\n\\");
  assert @6 (errno :Word, linux :Word, std :Text, coppice :Text, lane :UInt32) -> (errno :Word);
  std @7 () -> ();
  coppice @8 () -> ();
  self @9 Hollow -> Hollow;
  nothing @10 () -> Nothing;

  interface Within {
    self @0 (what :Hollow) -> ();
  }
}

interface Empty {}
