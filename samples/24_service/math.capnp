# The math service: what coppice_generate() makes math.coppice.hpp and math.md from.
@0x947ef601ac7f9a21;

using Coppice = import "/coppice/service.capnp";
using Shapes = import "shapes.capnp";
$Coppice.namespace("demo");

enum Rounding {
  # What is done with the part behind the point.
  exact @0;
  down @1;
  # Towards minus infinity.
  up @2;
}

struct Statistics {
  # What the service has done since it began.
  served @0 :UInt64;
  # Requests, of all clients.
  rounding @1 :Rounding = down;
}

interface Math {
  # Adds and takes away, for many clients at once.

  sum @0 (a :Float64, b :Float64) -> (result :Float64);
  # The sum of two numbers.

  difference @1 (a :Float64, b :Float64) -> (result :Float64);
  # What is left of `a` without `b`.

  minus @2 (a :Float64, b :Float64) -> (result :Float64) $Coppice.deprecated("use difference");
  # The same, by its old name.

  add @3 (vectors :List(Shapes.Vector)) -> (result :Shapes.Vector);
  # The sum of any number of vectors.

  round @4 (how :Rounding = exact) $Coppice.oneWay;
  # How results are rounded from now on. All clients are told.

  statistics @5 () -> Statistics;

  roundingChanged @6 (now :Rounding, by :UInt32) $Coppice.notification;
  # The client of number `by` has asked for it.
}
