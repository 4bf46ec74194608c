# Annotations for descriptions of services: what capnpc-coppice makes a server skeleton, a client, types and a page of
# documentation from (docs/service.md). Nothing here is on the wire.
#
#   using Coppice = import "/coppice/service.capnp";
#   $Coppice.namespace("demo");
@0xaa8519395b1bc946;

annotation namespace @0xe95967369b90cb79 (file) :Text;
# The C++ namespace of what is generated from the file: "demo", or "company::demo". Without it, the file's name.

annotation notification @0xab6182410aee82c6 (method) :Void;
# The service sends it to its clients. It has no results.

annotation oneWay @0xbe726f274b251da8 (method) :Void;
# A request that is sent and not answered. It has no results.

annotation deprecated @0xb5fde3d915a53721 (method, struct, field, enum, enumerant) :Text;
# What to use in its place. A client's call of such a method is a warning of the compiler; of the others the page tells.
