# Coppice for Perl: actors of a Coppice tree, by its C library.
#
#     use Coppice;
#
#     my $node = Coppice::Node->new(tree => "app");
#     my $me = $node->actor("till");
#     my $shop = $me->find("/app/shop");
#     $me->send($shop, "hello");
#     say $me->ask($shop, {"price of" => "tea"});
#     while (my $mail = $me->receive) { # until the actor is asked to end
#         $mail->reply($mail->value) if $mail->kind eq "request";
#     }
#
# A program that a supervisor starts is one line: exit Coppice::run_as_child(\&main). The library is libcoppice.so.1, or what
# COPPICE_LIBRARY names. After fork() without exec it refuses to work.
package Coppice;
use v5.36;
no warnings qw(experimental::builtin);

use B ();
use Scalar::Util ();

use Coppice::ABI;
use Coppice::Value;
use Coppice::Actor;

our $VERSION = '1.0';

# ---- values that Perl cannot tell apart, and those that it has not

# A number as an integer: of digits, or of a real that is one, as 2**10 is in Perl.
sub int($number) {
    my $integer = Scalar::Util::looks_like_number($number) ? CORE::int(0 + $number) : undef;
    Coppice::Error->refuse(($number // 'undef') . ' is no integer of 64 bits')
        unless defined $integer && B::svref_2object(\$integer)->FLAGS & B::SVf_IOK && $integer == $number;
    return $integer;
}
# A number as a real: Perl forgets that 2.0 was one where it is used as an integer.
sub real($number) { return unpack 'd', pack 'd', $number }
# A number as its digits.
sub text($value) { return "$value" }
sub bytes($octets) { return Coppice::Bytes->new($octets) }
sub tagged($tag, $octets) { return Coppice::Tagged->new($tag, $octets) }
sub record($fields, $type = undef) { return Coppice::Record->new($fields, $type) }
# Pairs in order, with keys of any kind.
sub map(@pairs) { return Coppice::Map->new(\@pairs) }

# Within another value, tagged bytes arrive as a record, of which this makes them again; undef of others.
sub as_tagged($value) {
    return Coppice::Value::with_handle(
        $value,
        sub ($v) {
            my $code = Coppice::ABI::code_of_get_tagged($v, \my $tag, \my $at, \my $size);
            return $code ? undef : Coppice::Tagged->new($tag, Coppice::ABI::octets($at, $size));
        }
    );
}

# As text, for people.
sub show($value) {
    return Coppice::Value::with_handle($value, sub ($v) { Coppice::ABI::shown('value_text', $v, 4096) });
}

# The number of a message type, by its C++ name.
sub type_id($name) { return Coppice::ABI::type_id(Coppice::ABI::name_of($name)) }

# Handles that are open in this process; for tests of leaks.
sub open_handles() { return Coppice::ABI::open_handles() }

# ---- a process child

# True if a supervisor of a tree has started this process, and its place is not taken yet.
sub is_child() { return Coppice::ABI::is_child() == 1 }

# The main function of a program that a supervisor starts: takes its place in the tree, calls $function->($actor), and returns the
# process's exit code. With announce => 0 the child counts as started when it calls ready(). What it dies of ends the actor in
# failure, with its words as the reason, and is passed on.
sub run_as_child($function, %options) {
    my $announce = Coppice::From::options({announce => 1}, %options)->{announce};
    Coppice::ABI::open_child($announce ? 1 : 0, \my $node_handle, \my $actor_handle);
    my $node = Coppice::Handle->new($node_handle);
    my $me = Coppice::Actor->new($actor_handle);
    my $failure;
    if (!eval { $function->($me); 1 } && !($@ isa Coppice::Error::Stopping)) {
        $failure = length $@ ? $@ : 'died';
        chomp(my $words = "$failure");
        eval { $me->give_up($words) }; # it may be ending already
    }
    $me->close;
    $node->close;
    my $code = Coppice::ABI::exit_code(); # when the reason has been told
    die $failure if defined $failure;
    return $code;
}

1;
