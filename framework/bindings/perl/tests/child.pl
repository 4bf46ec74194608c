# The child of tests/capi/languages_test.cpp: gives back what it is asked, tells its process, asks another child for each kind of
# value, and fails as it is told.
use v5.36;
use FindBin;
use lib $FindBin::Bin;

use Coppice;
use Same;

sub ask_for_all($me, $path, $large) {
    my $to = $me->find($path);
    my @values = (
        undef, !!1, !!0, 0, -1, 9223372036854775807, -9223372036854775807 - 1, 18446744073709551615, 0.5, -9**9**9,
        -sin(9**9**9), 5e-324, "", "with a zero \0 inside", "four bytes: \x{1D11E}", "x" x $large, Coppice::bytes(""),
        Coppice::bytes("\0\xFF"), Coppice::bytes("\xAB" x $large), [], [1, ["two", undef]], {},
        Coppice::map([price => 2.5], [7, [!!1]]), $me->ref, Coppice::record([1, "x"]), Coppice::tagged(~0, "\0{}"),
    );
    my @wrong;
    for my $value (@values) {
        my $answer = eval { $me->ask($to, Coppice::record([$value]), within => 60) };
        my $error = $@;
        next if !$error && Same::same($value, $answer);
        push @wrong, substr Coppice::show($value) . ': ' . ($error || Coppice::show($answer)), 0, 300;
    }
    return \@wrong;
}

sub child($me) {
    while (my $mail = $me->receive) {
        die $mail->value . "\n" if $mail->kind ne 'request';
        my @asked = @{$mail->value->fields};
        $mail->reply(@asked == 0 ? $$ : @asked == 1 ? $asked[0] : ask_for_all($me, @asked));
    }
}

exit Coppice::run_as_child(\&child);
