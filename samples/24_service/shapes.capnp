# Types that several services share. A description that imports this file gets them from its generated header.
@0xc2c967b86c9c5e62;

using Coppice = import "/coppice/service.capnp";
$Coppice.namespace("shapes");

struct Vector {
  # A point in the plane.
  x @0 :Float64;
  y @1 :Float64;
}
