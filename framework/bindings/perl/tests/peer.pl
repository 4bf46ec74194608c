# The other side of the tests, in a process of its own: peer.pl TREE PATH, which hears that it is ready. It answers a request by what
# it is asked: ["fail", text], ["drop"], ["later"], which is answered after the next request, or any other value, which it gives
# back within a list.
use v5.36;
use Coppice;

my ($tree, $path) = @ARGV;
my $node = Coppice::Node->new(tree => $tree, log_level => 'error');
my $me = $node->actor('far');
my $waiting;

sub answer($mail) {
    my $value = $mail->value;
    my $first = ref $value eq 'ARRAY' ? $value->[0] // '' : '';
    if ($first eq 'later') {
        $waiting = $mail;
        return;
    } elsif ($first eq 'fail') {
        $mail->fail($value->[1]);
    } elsif ($first ne 'drop') {
        $mail->reply([$value]);
    }
    if ($waiting) {
        $waiting->reply('late');
        undef $waiting;
    }
}

$me->send($me->find($path), 'ready');
while (my $mail = $me->receive) {
    answer($mail) if $mail->kind eq 'request';
}
