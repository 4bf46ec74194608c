# Nodes, actors, refs and mail: objects that own a handle, which is given back by close(), or where nobody has the object any more.
# What is still open where the program ends is closed then, so that the node leaves its tree. Objects stay within their thread.
package Coppice::Handle;
use v5.36;

use Scalar::Util ();

use Coppice::ABI;

sub new($class, $handle) { return bless {handle => $handle}, $class }

# For the library; an error where it was closed.
sub handle($self) {
    return $self->{handle} || Coppice::Error->throw(21, 'this ' . ref($self) . ' was closed');
}

sub close($self) {
    my $handle = $self->{handle};
    $self->{handle} = 0;
    Coppice::ABI::code_of_close($handle) if $handle;
}

sub DESTROY($self) {
    return if ${^GLOBAL_PHASE} eq 'DESTRUCT'; # the end of the program has closed its nodes
    local ($., $@, $!, $^E, $?);
    $self->close;
}

# A thread of Perl's begins with copies of all objects: two owners of one handle.
sub CLONE_SKIP { 1 }

# What an argument stands for, or an error that names what it should be.
sub of($class, $argument) {
    return $argument->handle if Scalar::Util::blessed($argument) && $argument->isa($class);
    Coppice::Error->refuse("an argument is no $class");
}

# ---- refs

# Leads to an actor, wherever it runs, also after it was restarted.
package Coppice::Ref;
our @ISA = 'Coppice::Handle';

use overload
    '==' => \&same,
    'eq' => \&same,
    '!=' => sub ($self, $other, @) { !same($self, $other) },
    'ne' => sub ($self, $other, @) { !same($self, $other) },
    '""' => sub ($self, @) { $self->{handle} ? Coppice::ABI::shown('ref_text', $self->{handle}, 1024) : 'a ref that was closed' },
    'bool' => sub { 1 };

sub same($self, $other, @) {
    return !!0 unless Scalar::Util::blessed($other) && $other->isa(__PACKAGE__);
    return Coppice::ABI::code_of_same($self->{handle}, $other->{handle}) == 0;
}

# ---- mail

# What an actor has received. A request that is closed without a reply is answered with no_reply.
package Coppice::Mail;
our @ISA = 'Coppice::Handle';

my @kinds = ('', 'message', 'request', 'answer', 'ended');

sub new($class, $handle) {
    my $self = $class->SUPER::new($handle);
    $self->{kind} = $kinds[Coppice::ABI::made('mail_kind_of', $handle)];
    return $self;
}

sub kind($self) { $self->{kind} }

# What was sent. Of one that tells an end, its reason; of an answer that failed, why: in words.
sub value($self) {
    $self->{value} = Coppice::Value::from_handle(Coppice::ABI::made('mail_value', $self->handle)) unless exists $self->{value};
    return $self->{value};
}

# undef: nobody says so.
sub sender($self) {
    my $code = Coppice::ABI::code_of_mail_sender($self->handle, \my $ref);
    return undef if $code == 10;
    Coppice::Error->throw($code, Coppice::ABI::told()) if $code;
    return Coppice::Ref->new($ref);
}

sub number($self) { return Coppice::ABI::made('mail_number', $self->handle) }

# Why there is no answer; undef: there is one.
sub error($self) {
    my $code = Coppice::ABI::made('mail_code', $self->handle) or return undef;
    return Coppice::Error->new($code, $self->value);
}

sub reply($self, $value = undef) {
    my $handle = $self->handle;
    Coppice::Value::with_handle($value, sub ($v) { Coppice::ABI::reply($handle, $v) });
}

# Its sender gets Coppice::Error::Failed, with this text.
sub fail($self, $text) { Coppice::ABI::fail($self->handle, Coppice::ABI::text_of($text)) }

# Mail that was only peeked at is the mailbox's.
sub close($self) { $self->SUPER::close unless $self->{is_peeked} }

# ---- who sends: an actor, or a node, and then nobody is the sender

package Coppice::From;
our @ISA = 'Coppice::Handle';

sub options($known, %given) {
    my %all = (%$known, %given);
    for (sort keys %given) { Coppice::Error->refuse("there is no option '$_'") unless exists $known->{$_} }
    return \%all;
}

sub find($self, $path) { return Coppice::Ref->new(Coppice::ABI::made('find', $self->handle, Coppice::ABI::name_of($path))) }

# Returns when it is on its way. wait => seconds to wait for room in the receiver's mailbox; undef: for ever.
sub send($self, $to, $value = undef, %options) {
    my $wait = Coppice::ABI::milliseconds(options({wait => 0}, %options)->{wait});
    my ($from, $ref) = ($self->handle, Coppice::Ref->of($to));
    Coppice::Value::with_handle($value, sub ($v) { Coppice::ABI::send($from, $ref, $v, $wait) });
}

# Sends a request and returns its answer. within => seconds.
sub ask($self, $to, $value = undef, %options) {
    my $within = Coppice::ABI::milliseconds(options({within => 5}, %options)->{within});
    my ($from, $ref) = ($self->handle, Coppice::Ref->of($to));
    my $ask = sub ($v) { Coppice::ABI::made('ask', $from, $ref, $v, $within) };
    return Coppice::Value::from_handle(Coppice::Value::with_handle($value, $ask));
}

# Asks an actor to end when it has handled its mail; within that time; at once.
sub stop($self, $who) { Coppice::ABI::stop($self->handle, Coppice::Ref->of($who)) }
sub shutdown($self, $who, %options) {
    my $within = Coppice::ABI::milliseconds(options({within => 5}, %options)->{within});
    Coppice::ABI::shutdown($self->handle, Coppice::Ref->of($who), $within);
}
sub kill($self, $who) { Coppice::ABI::kill($self->handle, Coppice::Ref->of($who)) }

# ---- actors

# A mailbox of this process, with a name in the tree.
package Coppice::Actor;
our @ISA = 'Coppice::From';

use Time::HiRes ();

my %levels = (trace => 1, debug => 2, info => 3, warn => 4, error => 5, off => 6);

sub path($self) {
    Coppice::ABI::path($self->handle, \my $at, \my $size);
    my $path = Coppice::ABI::octets($at, $size);
    utf8::decode($path);
    return $path;
}

sub ref($self) { return Coppice::Ref->new(Coppice::ABI::made('self', $self->handle)) }

# The next mail. Without a limit: undef if the actor is asked to end. With one, in seconds: undef if there is none in time.
sub receive($self, $seconds = undef) { return $self->_mail('receive', $seconds) }

# The mail that receive() would return, which stays where it is.
sub peek($self, $seconds = undef) { return $self->_mail('peek', $seconds) }

# Waits for the descriptor, not in the library: handlers of signals run meanwhile.
sub _mail($self, $function, $seconds) {
    my $call = Coppice::ABI->can("code_of_$function");
    my $limit = Coppice::ABI::milliseconds($seconds);
    my $until = defined $seconds && $limit != Coppice::ABI::FOREVER ? _now() + $limit / 1000 : undef;
    for (;;) {
        my $code = $call->($self->handle, 0, \my $handle);
        return $self->_taken($function, $handle) if $code == 0;
        return undef if $code == 17 && !defined $seconds;
        Coppice::Error->throw($code, Coppice::ABI::told()) if $code != 1;
        my $left = defined $until ? $until - _now() : undef;
        return undef if defined $left && $left <= 0;
        vec(my $ready = '', $self->fileno, 1) = 1;
        select($ready, undef, undef, $left);
    }
}

sub _now() { Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) }

# Mail that was peeked at has the handle with which it is received: it is the same object then.
sub _taken($self, $function, $handle) {
    my $mail = delete $self->{peeked}{$handle} // Coppice::Mail->new($handle);
    $mail->{is_peeked} = $function eq 'peek';
    $self->{peeked}{$handle} = $mail if $mail->{is_peeked};
    return $mail;
}

# The next answer to ask_later, send_later or find_later, also from behind other mail. As receive(), but handlers of signals wait.
sub receive_answer($self, $seconds = undef) {
    my $code = Coppice::ABI::code_of_receive_answer($self->handle, Coppice::ABI::milliseconds($seconds), \my $handle);
    return undef if $code == (defined $seconds ? 1 : 17);
    Coppice::Error->throw($code, Coppice::ABI::told()) if $code;
    return $self->_taken('receive_answer', $handle);
}

# Readable while there is mail or the actor is asked to end; for select() and event loops. Not to be read or closed.
sub fileno($self) { return Coppice::ABI::made('descriptor', $self->handle) }

# These do not wait: the outcome is mail of kind "answer", with the number that they return.
sub find_later($self, $path) { return Coppice::ABI::made('find_later', $self->handle, Coppice::ABI::name_of($path)) }

sub send_later($self, $to, $value = undef, %options) {
    my $wait = Coppice::ABI::milliseconds(Coppice::From::options({wait => undef}, %options)->{wait});
    my ($from, $ref) = ($self->handle, Coppice::Ref->of($to));
    return Coppice::Value::with_handle($value, sub ($v) { Coppice::ABI::made('send_later', $from, $ref, $v, $wait) });
}

sub ask_later($self, $to, $value = undef, %options) {
    my $within = Coppice::ABI::milliseconds(Coppice::From::options({within => 5}, %options)->{within});
    my ($from, $ref) = ($self->handle, Coppice::Ref->of($to));
    return Coppice::Value::with_handle($value, sub ($v) { Coppice::ABI::made('ask_later', $from, $ref, $v, $within) });
}

sub join($self, $group) { Coppice::ABI::join($self->handle, Coppice::ABI::name_of($group)) }
sub leave($self, $group) { Coppice::ABI::leave($self->handle, Coppice::ABI::name_of($group)) }

# To all members but this one; how many took it.
sub publish($self, $group, $value = undef) {
    my ($from, $name) = ($self->handle, Coppice::ABI::name_of($group));
    return Coppice::Value::with_handle($value, sub ($v) { Coppice::ABI::made('publish', $from, $name, $v) });
}

# Mail of kind "ended" with this number comes when its present life ends; at once if it has none.
sub monitor($self, $who) { return Coppice::ABI::made('monitor', $self->handle, Coppice::Ref->of($who)) }
sub forget_monitor($self, $number) { Coppice::ABI::forget_monitor($self->handle, $number) }

# Of a child that announces it: it counts as started from now on.
sub ready($self) { Coppice::ABI::ready($self->handle) }

# It ends in failure, with that reason.
sub give_up($self, $reason) { Coppice::ABI::give_up($self->handle, Coppice::ABI::text_of($reason)) }

# A record in the tree's log, with this actor's path.
sub log($self, $text, $level = 'info') {
    my $number = $levels{$level} // Coppice::Error->refuse("'$level' is no level: trace, debug, info, warn, error");
    Coppice::ABI::log($self->handle, $number, Coppice::ABI::text_of($text));
}

sub close($self) {
    $self->SUPER::close;
    for my $mail (values %{delete $self->{peeked} // {}}) { # it has lost its mailbox
        $mail->{is_peeked} = 0;
        $mail->close;
    }
}

# ---- nodes

# This process's part in a tree: joins the tree of that name on this machine, or at an endpoint, or begins one of its own.
package Coppice::Node;
our @ISA = 'Coppice::From';

my %open; # without owning them

sub new($class, %options) {
    my @known = qw(name tree parent listen secret_file secret_env hold join_within log_level);
    my $o = Coppice::From::options({map { $_ => undef } @known}, %options);
    my $listen = CORE::ref $o->{listen} eq 'ARRAY' ? CORE::join ',', @{$o->{listen}} : $o->{listen};
    my @texts = map { Coppice::ABI::name_of($_) } @$o{qw(name tree parent)}, $listen, @$o{qw(secret_file secret_env)};
    my @times = map { defined $_ ? Coppice::ABI::milliseconds($_) : 0 } @$o{qw(hold join_within)};
    my $level = defined $o->{log_level} ? $levels{$o->{log_level}} // Coppice::Error->refuse("'$o->{log_level}' is no level") : 0;
    # struct coppice_node_options, which begins with its size.
    my @fields = (@texts, @times, $level);
    my $self = $class->SUPER::new(Coppice::ABI::made('open_node', pack 'J p6 Q2 l x4', 8 * 9 + 8, @fields));
    Scalar::Util::weaken($open{$self->{handle}} = $self);
    return $self;
}

# An actor of this process. mailbox => messages that may wait in it; stops_node => when it ends, so does the node.
sub actor($self, $name = undef, %options) {
    my $o = Coppice::From::options({mailbox => 0, stops_node => 0}, %options);
    Coppice::Error->refuse("mailbox => '$o->{mailbox}' is no number of messages")
        unless $o->{mailbox} =~ /\A[0-9]{1,10}\z/ && $o->{mailbox} < 2**32;
    my $text = Coppice::ABI::name_of($name);
    # struct coppice_actor_options, which begins with its size.
    my $packed = pack 'J p L l', 8 * 3, $text, $o->{mailbox}, $o->{stops_node} ? 1 : 0;
    return Coppice::Actor->new(Coppice::ABI::made('open_actor', $self->handle, $packed));
}

sub close($self) {
    delete $open{$self->{handle}};
    $self->SUPER::close;
}

END {
    local $?;
    for my $node (values %open) { $node->close if $node }
}

1;
