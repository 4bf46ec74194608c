# A child of a supervisor that gives back whatever it is asked.
# In C++: child("echo", in_process("perl", {"echo.pl"})). In a deployment file: program = "perl", arguments = ["echo.pl"].
# [echo]
use v5.36;
use Coppice;

sub echo($me) {
    while (my $mail = $me->receive) { # until its supervisor ends it
        if ($mail->kind eq "request") {
            $mail->reply($mail->value);
        } else {
            $me->log("got " . Coppice::show($mail->value));
        }
    }
}

exit Coppice::run_as_child(\&echo);
# [/echo]
