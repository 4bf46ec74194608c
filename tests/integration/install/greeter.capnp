# A service of an outside project.
@0xfa787fb40a2e912c;

using Coppice = import "/coppice/service.capnp";
$Coppice.namespace("outside");

interface Greeter {
  greet @0 (name :Text) -> (greeting :Text);
}
