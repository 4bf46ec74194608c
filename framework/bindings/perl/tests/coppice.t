# The binding against the library, within one process; as a supervised child it is tested in tests/capi.
use v5.36;
use Config;
BEGIN { require threads if $Config{useithreads} } # before Test::More
use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../lib";
no warnings qw(experimental::builtin);

use Test::More;
use Coppice;
use Same;

use constant LONG => 60; # seconds; a test that needs them has failed

binmode $_, ':utf8' for Test::More->builder->output, Test::More->builder->failure_output;
my $tree = "perl-test-$$"; # its name is looked for on the whole machine
my $inf = 9**9**9;

# subtest of a node with two actors, and a ref to the second. All handles are closed at its end.
sub scene($name, $run) {
    subtest $name => sub {
        my $done = eval {
            my $node = Coppice::Node->new(name => $tree, log_level => 'off');
            my ($a, $b) = ($node->actor('a'), $node->actor('b'));
            $run->($node, $a, $b, $a->find("/$tree/b"));
            1;
        };
        ok($done, 'it came to its end') or diag($@);
        undef $@; # it may hold what is to be closed
        is(Coppice::open_handles(), 0, 'no handle is left open');
    };
}

sub shown($value) { return 'value: ' . (eval { substr Coppice::show($value), 0, 200 } // 'a ' . ref $value) }

sub same_ok($got, $wanted, $what = shown($wanted)) {
    ok(Same::same($got, $wanted), $what) or diag('it is another ' . shown($got));
}

# The call dies of an error of that class; returns its text.
sub dies($class, $run, $what = $class) {
    my $done = eval { $run->(); 1 };
    my $error = $@;
    ok(!$done && ref $error eq "Coppice::Error::$class", $what) or diag($done ? 'it did not die' : "it died of $error");
    return ref $error ? $error->text : '';
}

sub received($actor) { return $actor->receive(LONG) // die 'no mail' }

# ---- values

sub every_value() {
    return (
        undef, !!1, !!0, 0, -1, 2**31 | 0, 9223372036854775807, -9223372036854775807 - 1, 1 << 63, 18446744073709551615,
        0.5, -1.5, 2.0, 1e3, Coppice::real(0), Coppice::real(-7), $inf, -$inf, -sin($inf), 5e-324, 1.7976931348623157e308,
        '', 'text', '5', '0', '1.0', "with a zero \0 inside", "latin: \xE4\xFF", "four bytes: \x{1D11E}",
        Coppice::bytes(''), Coppice::bytes("\0\xFF"), Coppice::bytes('looks like text'),
        [], [1, [2.5, ['three', undef]]], [[], {}], {}, {one => 1, two => [2]},
        Coppice::map(['price', 2.5], [7, [!!1]]), Coppice::map(['z', 1], ['a', 2], ['m', 3]),
        Coppice::map([undef, 1], [-sin($inf), 2], [2.0, 3], [['a', 'list'], 4], [Coppice::bytes('b'), undef], [!!0, 5], ['7', 6]),
        Coppice::tagged(0, ''), Coppice::tagged(~0, "\0{}"), Coppice::record([]), Coppice::record([1, 'x', [undef]]),
        Coppice::record([1], Coppice::type_id('shop::order')),
    );
}

scene 'values arrive as they were sent' => sub ($, $a, $b, $to_b) {
    for my $value (every_value()) {
        for my $wait (0, LONG, undef) {
            $a->send($to_b, $value, wait => $wait);
            same_ok(received($b)->value, $value);
        }
        $a->send($to_b, [$value, [$value]]);
        my $got = received($b)->value;
        ok(Same::same($value, $got->[0]) && Same::same($value, $got->[1][0]), 'within lists');
    }
};

scene 'what arrived is given back as it came' => sub ($, $a, $b, $to_b) {
    for my $value (every_value()) {
        $a->send($to_b, $value);
        $a->send($to_b, received($b)->value);
        same_ok(received($b)->value, $value);
    }
};

scene 'a scalar is what it was made as' => sub ($, $a, $b, $to_b) {
    my $number = 7;
    my $shown = "$number";
    my $digits = '7';
    my $sum = $digits + 1;
    my $halved = 8;
    my $half = $halved / 3;
    for ([$number, 'integer'], [$digits, 'text'], [$sum, 'integer'], [$halved, 'integer'], [$half, 'real'], [2**10, 'real'],
        [Coppice::int(2**10), 'integer'], [Coppice::int('18446744073709551615'), 'integer'], [Coppice::real(5), 'real'],
        [Coppice::text(5), 'text'], [1 == 1, 'boolean'], [1 == 2, 'boolean']) {
        my ($value, $kind) = @$_;
        $a->send($to_b, $value);
        my $got = received($b)->value;
        is(Same::kind($got), $kind);
        ok($got eq $value, $kind);
    }
    'matched 12' =~ /(\d+)/;
    $a->send($to_b, $1);
    is(Same::kind(received($b)->value), 'text');
    for my $wrong ('x', '1.5', 0.5, 1e30, '18446744073709551616', '-9223372036854775809', undef, $inf) {
        local $SIG{__WARN__} = sub { };
        dies(InvalidArgument => sub { Coppice::int($wrong) }, 'no integer of 64 bits');
    }
};

scene 'a map keeps its order, and is looked up by key' => sub ($, $a, $b, $to_b) {
    $a->send($to_b, Coppice::map(['z', 1], [7, 'seven'], ['a', 2], [undef, 'none']));
    my $map = received($b)->value;
    is_deeply([map { $_->[0] } @$map], ['z', 7, 'a', undef]);
    is($map->get('a'), 2);
    is($map->get(7), 'seven');
    is($map->get('nobody'), undef);
    is_deeply($map->hash, {z => 1, 7 => 'seven', a => 2, '' => 'none'});
    dies(InvalidArgument => sub { Coppice::map('not a pair') });
    push @$map, 'not a pair';
    dies(InvalidArgument => sub { $a->send($to_b, $map) });
};

scene 'sixteen mebibytes arrive' => sub ($, $a, $b, $to_b) {
    for my $value ('x' x (16 << 20), Coppice::bytes("\xAB" x (16 << 20)), "\x{e4}" x (8 << 20)) {
        $a->send($to_b, $value);
        ok(received($b)->value eq $value, ref $value || 'text');
    }
};

scene 'thirty-two levels arrive, one more is told, and a list within itself, too' => sub ($, $a, $b, $to_b) {
    my $nested = [];
    $nested = [$nested] for 2 .. 32;
    $a->send($to_b, $nested);
    same_ok(received($b)->value, $nested);
    dies(TooLarge => sub { $a->send($to_b, $_) }) for [$nested], {1 => $nested}, Coppice::record([$nested]);
    my $own = [];
    $own->[0] = $own;
    dies(TooLarge => sub { $a->send($to_b, $own) });
    @$own = ();
};

scene 'what is no value is refused, nothing is sent and nothing is left open' => sub ($, $a, $b, $to_b) {
    my $closed = $a->ref;
    $closed->close;
    dies(Closed => sub { $a->send($to_b, [$closed]) });
    my $before = Coppice::open_handles();
    for my $value (sub { }, \1, \*STDOUT, qr/x/, $a, bless({}, 'Other')) {
        for my $whole ([$value], [1, {x => $value}], Coppice::map([1, 2], [3, $value]), Coppice::map([$value, 1])) {
            dies(InvalidArgument => sub { $a->send($to_b, $whole) });
        }
    }
    no warnings 'surrogate';
    dies(InvalidArgument => sub { $a->send($to_b, "\x{D800}") });
    dies(InvalidArgument => sub { $a->send($to_b, Coppice::record([], "a\0b")) });
    dies(InvalidArgument => sub { Coppice::bytes("\x{100}") });
    dies(InvalidArgument => sub { Coppice::bytes(undef) });
    dies(InvalidArgument => sub { Coppice::tagged($_, '') }) for -1, 0.5, 'x', '18446744073709551616', undef;
    dies(InvalidArgument => sub { Coppice::record({}) });
    is(Coppice::open_handles(), $before);
    is($b->receive(0), undef);
};

scene 'a ref leads back, and is equal to another one to the same actor' => sub ($, $a, $b, $to_b) {
    $a->send($to_b, [$a->ref]);
    {
        my $mail = received($b);
        my ($back, $sender) = ($mail->value->[0], $mail->sender);
        ok($back == $sender && $back eq $sender && !($back != $sender));
        ok($back != $to_b && !($back == $to_b) && $back ne 'a text');
        $b->send($back, 'here');
    }
    is(received($a)->value, 'here');
    like("$to_b", qr{/b});
};

scene 'a node sends without being anybody' => sub ($node, $, $b, $to_b) {
    $node->send($to_b, 1);
    is(received($b)->sender, undef);
};

# ---- ask

sub with_peer($a, $run) {
    open my $program, '-|', $^X, "$FindBin::Bin/peer.pl", $tree, $a->path or die;
    my $mail = received($a);
    is($mail->value, 'ready');
    my $done = eval { $run->($mail->sender); 1 };
    my $error = $@;
    $a->stop($mail->sender);
    ok(close $program, 'it ended well');
    die $error unless $done;
}

scene 'a request to another process is answered with every value' => sub ($, $a, $b, $to_b) {
    with_peer(
        $a,
        sub ($peer) {
            for my $value (every_value()) {
                my $answer = $a->ask($peer, $value, within => LONG)->[0];
                $value = Coppice::record($value->fields) if ref $value eq 'Coppice::Record'; # of a part the type is not told
                ok(Same::same($value, $answer), shown($value)) or diag(shown($answer));
            }
            ok($a->ask($peer, $a->ref, within => LONG)->[0] == $a->ref);
        }
    );
};

scene 'a request that fails, or is not answered, dies of why' => sub ($, $a, $b, $to_b) {
    with_peer(
        $a,
        sub ($peer) {
            is(dies(Failed => sub { $a->ask($peer, ['fail', "it can't: \x{e4}"], within => LONG) }), "it can't: \x{e4}");
            dies(NoReply => sub { $a->ask($peer, ['drop'], within => LONG) });
        }
    );
    dies(Timeout => sub { $a->ask($to_b, 'nobody receives', within => 0.01) });
};

scene 'a request is answered later, after another one' => sub ($, $a, $b, $to_b) {
    with_peer(
        $a,
        sub ($peer) {
            my $late = $a->ask_later($peer, ['later'], within => LONG);
            is_deeply($a->ask($peer, 1, within => LONG), [1]);
            my $mail = $a->receive_answer(LONG);
            is($mail->number, $late);
            is($mail->kind, 'answer');
            is($mail->value, 'late');
            is($mail->error, undef);
        }
    );
};

scene 'an answer is received from behind other mail, and tells why there is none' => sub ($, $a, $b, $to_b) {
    $b->send($a->ref, 'before');
    my $number = $a->ask_later($to_b, 'question', within => LONG);
    {
        my $mail = received($b);
        is($mail->kind, 'request');
        $mail->fail('no idea');
        dies(Closed => sub { $mail->reply(1) });
    }
    {
        my $mail = $a->receive_answer(LONG);
        is($mail->number, $number);
        isa_ok($mail->error, 'Coppice::Error::Failed');
        is($mail->error->text, 'no idea');
    }
    my $found = $a->find_later("/$tree/b");
    {
        my $mail = $a->receive_answer(LONG);
        is($mail->number, $found);
        ok($mail->sender == $to_b);
    }
    my $sent = $a->send_later($to_b, 'sent', wait => LONG);
    is($a->receive_answer(LONG)->number, $sent);
    is($a->receive_answer(0.01), undef);
    is(received($a)->value, 'before');
};

scene 'a request that nobody has any more is answered so' => sub ($, $a, $b, $to_b) {
    $a->ask_later($to_b, 1, within => LONG);
    received($b);
    isa_ok($a->receive_answer(LONG)->error, 'Coppice::Error::NoReply');
};

# ---- mail

scene 'receiving waits as long as it is told' => sub ($, $, $b, $) {
    is($b->receive($_), undef) for 0, -1, 0.001, 0.02;
    is($b->peek(0), undef);
    dies(InvalidArgument => sub { $b->receive('soon') });
    dies(InvalidArgument => sub { $b->receive(-sin($inf)) });
};

scene 'a handler of a signal runs while mail is waited for' => sub ($, $a, $b, $to_b) {
    local $SIG{USR1} = sub { $a->send($to_b, 'from the handler') };
    my $me = $$;
    my $parent = fork // die;
    if ($parent == 0) { exec $^X, '-e', 'kill USR1 => shift', $me }
    is($b->receive(LONG)->value, 'from the handler');
    waitpid $parent, 0;
};

scene 'mail comes in order' => sub ($, $a, $b, $to_b) {
    $a->send($to_b, $_) for 1 .. 1000;
    is_deeply([map { received($b)->value } 1 .. 1000], [1 .. 1000]);
};

sub is_readable($descriptor, $seconds) {
    vec(my $bits = '', $descriptor, 1) = 1;
    return scalar select $bits, undef, undef, $seconds;
}

scene 'the descriptor is readable while there is mail' => sub ($, $a, $b, $to_b) {
    is(is_readable($b->fileno, 0), 0);
    $a->send($to_b, 'wake up');
    is(is_readable($b->fileno, LONG), 1);
    $b->receive(0);
    is(is_readable($b->fileno, 0), 0);
};

scene 'mail that is peeked at stays, and is the same when it is received' => sub ($, $a, $b, $to_b) {
    $a->send($to_b, $_) for 'first', 'second';
    my $peeked = $b->peek(LONG);
    is($peeked->value, 'first');
    ok(\%{$b->peek(0)} == \%$peeked);
    $peeked->close;
    my $mail = received($b);
    ok(\%$mail == \%$peeked);
    ok($mail->sender);
    $mail->close;
    is($mail->value, 'first', 'what was read stays');
    dies(Closed => sub { $mail->sender });
    is($b->peek(LONG)->value, 'second');
    $b->close; # also what was peeked at and never received
};

scene 'mail ends where the actor is asked to end' => sub ($, $a, $b, $to_b) {
    $a->send($to_b, 'the last');
    $a->stop($to_b);
    my @got;
    while (my $mail = $b->receive) { push @got, $mail->value }
    is_deeply(\@got, ['the last']);
    dies(Stopping => sub { $b->receive(LONG) });
    is($b->receive_answer, undef);
    dies(Stopping => sub { $b->receive_answer(LONG) });
};

scene 'the end of an actor is told to who monitors it' => sub ($node, $a, $b, $to_b) {
    my $number = $a->monitor($to_b);
    $b->give_up('no flour');
    $b->close;
    my $mail = received($a);
    is($mail->kind, 'ended');
    is($mail->number, $number);
    like($mail->value, qr/no flour/);
    dies(Down => sub { $a->send($to_b, 1) });
    $a->forget_monitor($number);

    my $victim = $node->actor('victim');
    $number = $a->monitor($victim->ref);
    $node->kill($victim->ref);
    is(received($a)->number, $number);
    my $other = $node->actor('other');
    $a->monitor($other->ref);
    $a->shutdown($other->ref, within => 0.01);
    is(received($a)->kind, 'ended');
};

scene 'what is published reaches the others of the group' => sub ($, $a, $b, $) {
    $_->join('news') for $a, $b;
    is($a->publish('news', {it => 'rains'}), 1);
    is(received($b)->value->get('it'), 'rains');
    is($a->receive(0), undef);
    $b->leave('news');
    is($a->publish('news', 1), 0);
};

scene 'a full mailbox is told' => sub ($node, $a, $, $) {
    my $small = $node->actor('small', mailbox => 1);
    my $to = $small->ref;
    1 while eval { $a->send($to, 'the library takes some ahead', wait => 1); 1 };
    isa_ok($@, 'Coppice::Error::Timeout');
    dies(MailboxFull => sub { $a->send($to, 'full') });
};

# ---- names, misuse

scene 'names are taken once, and found only where somebody has them' => sub ($node, $a, $b, $) {
    dies(NameTaken => sub { $node->actor('a') });
    dies(BadName => sub { $node->actor('no/name') });
    like(dies(NotFound => sub { $a->find("/$tree/nobody") }), qr/nobody/);
    dies(Unreachable => sub { $node->find('/elsewhere/nobody') });
    dies(NotFound => sub { Coppice::Node->new(tree => 'a-tree-that-does-not-run') });
    dies(InvalidArgument => sub { $a->find("/a\0b") });
    is($a->path, "/$tree/a");
    like($node->actor->path, qr{\A/\Q$tree\E/.});
};

scene 'a node joins another one by its endpoint, with a secret' => sub ($, $, $, $) {
    require File::Temp;
    my $folder = File::Temp->newdir;
    open my $file, '>', "$folder/secret" or die;
    print $file 'a secret of at least so many bytes';
    close $file;
    chmod 0600, "$folder/secret";
    my $endpoint = "unix://$folder/socket";
    my @both = (secret_file => "$folder/secret", log_level => 'off');
    my $up = Coppice::Node->new(name => "$tree-up", listen => [$endpoint], @both);
    my $there = $up->actor('there');
    my $down = Coppice::Node->new(name => "$tree-down", parent => $endpoint, join_within => LONG, @both);
    my $me = $down->actor('me');
    $me->send($me->find("/$tree-up/there"), 'by the endpoint');
    is(received($there)->value, 'by the endpoint');
};

scene 'what was closed is told as such' => sub ($node, $a, $b, $to_b) {
    my $c = $node->actor('c');
    $c->close;
    $c->close;
    for (sub { $c->path }, sub { $c->ref }, sub { $c->receive(0) }, sub { $c->fileno }, sub { $c->send($to_b, 1) }) {
        like(dies(Closed => $_), qr/Actor/);
    }
    my $ref = $a->ref;
    $ref->close;
    dies(Closed => sub { $a->send($ref, 1) });
    dies(Closed => sub { $a->ask($ref, 1) });
    ok($ref != $to_b);
    ok("$ref");
    my $other = Coppice::Node->new(log_level => 'off');
    my $of_it = $other->actor;
    $other->close;
    like(dies(Stopping => sub { $of_it->find('/x/y') }), qr/./);
};

scene 'arguments of another kind are refused' => sub ($node, $a, $b, $to_b) {
    for my $wrong ($a, "/$tree/b", undef, {}, Coppice::bytes('x')) {
        dies(InvalidArgument => sub { $a->send($wrong, 1) });
        dies(InvalidArgument => sub { $a->monitor($wrong) });
    }
    dies(InvalidArgument => sub { Coppice::Node->new(nmae => 'x') });
    dies(InvalidArgument => sub { Coppice::Node->new(log_level => 'loud') });
    dies(InvalidArgument => sub { Coppice::Node->new(hold => 'long') });
    dies(InvalidArgument => sub { Coppice::Node->new(name => "a\0b") });
    dies(InvalidArgument => sub { $node->actor('c', mailbox => -1) });
    dies(InvalidArgument => sub { $node->actor('c', size => 1) });
    dies(InvalidArgument => sub { $a->send($to_b, 1, within => 1) });
    dies(InvalidArgument => sub { $a->log('text', 'loud') });
    dies(InvalidArgument => sub { $a->log(undef) });
    $a->log("to the log: \x{1D11E}", 'debug');
};

scene 'an error has a class, a code, a name, words, and the line that called' => sub ($, $a, $, $) {
    eval { $a->find('/elsewhere/nobody') };
    my ($error, $line) = ($@, __LINE__ - 1);
    isa_ok($error, 'Coppice::Error');
    is($error->code, 4);
    is($error->name, 'unreachable');
    like("$error", qr/\A\Q${\$error->text}\E at \Q$0\E line $line\.$/);
    ok(Coppice::Error::TooLarge->isa('Coppice::Error'));
};

scene 'a process that nobody supervises is no child' => sub ($, $, $, $) {
    ok(!Coppice::is_child());
    dies(NotFound => sub { Coppice::run_as_child(sub { }) });
};

scene 'after fork the library refuses, and the parent goes on' => sub ($, $a, $b, $to_b) {
    my $child = fork // die;
    if ($child == 0) {
        eval { $a->send($to_b, 'from the child') };
        require POSIX;
        POSIX::_exit(ref $@ eq 'Coppice::Error::InvalidArgument' ? 0 : 1);
    }
    waitpid $child, 0;
    is($?, 0);
    $a->send($to_b, 'from the parent');
    is(received($b)->value, 'from the parent');
};

# ---- threads, programs

scene 'objects stay within their thread, and another one has its own' => sub ($, $a, $b, $to_b) {
    plan skip_all => 'this Perl has no threads' unless $Config{useithreads};
    my $before = Coppice::open_handles();
    my $path = $b->path;
    my @threads = map {
        my $number = $_;
        threads->create(
            sub {
                return 'has a copy' if eval { $a->path };
                my $node = Coppice::Node->new(tree => $tree, log_level => 'off');
                my $me = $node->actor;
                my $to = $me->find($path);
                $me->ask($to, $_, within => LONG) == $_ or return 'wrong' for 1 .. 200;
                return 'done';
            }
        );
    } 1 .. 2;
    for (1 .. 400) {
        my $mail = received($b);
        $mail->reply($mail->value);
    }
    is($_->join, 'done') for @threads;
    is(Coppice::open_handles(), $before);
    $a->send($to_b, 'still here');
    is(received($b)->value, 'still here');
};

scene 'the example says hello, is told the price, and leaves the tree' => sub ($node, $, $, $) {
    my $shop = $node->actor('shop');
    open my $program, '-|', $^X, "-I$FindBin::Bin/../lib", "$FindBin::Bin/../examples/hello.pl", $tree, $shop->path or die;
    {
        my $mail = received($shop);
        is($mail->value, 'hello');
        $shop->monitor($mail->sender);
    }
    {
        my $mail = received($shop);
        is($mail->value->get('price of'), 'tea');
        $mail->reply(2.5);
    }
    is(received($shop)->kind, 'ended');
    is(<$program>, "2.5\n");
    ok(close $program);
};

scene 'a program that ends closes its node, and keeps its exit code' => sub ($, $a, $, $) {
    # What is compiled first is run last of what is run at the end.
    my $program = 'our $node; END { print $node->{handle} ? "open" : "closed" } use Coppice;'
        . ' $node = Coppice::Node->new(tree => shift, log_level => "off"); exit 3';
    open my $output, '-|', $^X, "-I$FindBin::Bin/../lib", '-e', $program, $tree or die;
    is(<$output>, 'closed');
    close $output;
    is($? >> 8, 3);
};

done_testing;
