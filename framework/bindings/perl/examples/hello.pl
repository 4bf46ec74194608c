# Says hello to an actor of a tree of this machine, and asks it something: hello.pl TREE PATH.
# [hello]
use v5.36;
use Coppice;

my $node = Coppice::Node->new(tree => $ARGV[0]);
my $me = $node->actor("hello");
my $shop = $me->find($ARGV[1]);
$me->send($shop, "hello");
say $me->ask($shop, {"price of" => "tea"});
# [/hello]
