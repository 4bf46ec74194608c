# The C interface (coppice.h) as FFI::Platypus sees it: the library, and its functions, which die as Coppice::Error says.
#
# coppice_NAME is Coppice::ABI::NAME. A call blocks the whole Perl interpreter, and handlers of signals run when it returns.
package Coppice::ABI;
use v5.36;

use FFI::Platypus 2.00;
use FFI::Platypus::Buffer ();
use Scalar::Util ();

use Coppice::Error;

use constant {FOREVER => ~0, HEADER_MAJOR => 1, HEADER_MINOR => 0};

my @text = ('string', 'size_t'); # of octets, zeros included
my @from_to = ('uint64', 'uint64');

# Functions that return a code, with the types of their arguments.
my %functions = (
    check_version => ['uint32', 'uint32'],
    close => ['uint64'],
    open_node => ['string', 'uint64*'],
    open_actor => ['uint64', 'string', 'uint64*'],
    open_child => ['int', 'uint64*', 'uint64*'],
    ready => ['uint64'],
    give_up => ['uint64', @text],
    path => ['uint64', 'opaque*', 'size_t*'],
    find => ['uint64', 'string', 'uint64*'],
    find_later => ['uint64', 'string', 'uint64*'],
    self => ['uint64', 'uint64*'],
    ref_text => ['uint64', 'opaque', 'size_t'],
    same => ['uint64', 'uint64'],
    send => [@from_to, 'uint64', 'uint64'],
    send_later => [@from_to, 'uint64', 'uint64', 'uint64*'],
    ask => [@from_to, 'uint64', 'uint64', 'uint64*'],
    ask_later => [@from_to, 'uint64', 'uint64', 'uint64*'],
    receive => ['uint64', 'uint64', 'uint64*'],
    receive_answer => ['uint64', 'uint64', 'uint64*'],
    peek => ['uint64', 'uint64', 'uint64*'],
    descriptor => ['uint64', 'int*'],
    mail_kind_of => ['uint64', 'int*'],
    mail_value => ['uint64', 'uint64*'],
    mail_sender => ['uint64', 'uint64*'],
    mail_number => ['uint64', 'uint64*'],
    mail_code => ['uint64', 'int*'],
    reply => ['uint64', 'uint64'],
    fail => ['uint64', @text],
    new_nothing => ['uint64*'],
    new_bool => ['int', 'uint64*'],
    new_int64 => ['sint64', 'uint64*'],
    new_uint64 => ['uint64', 'uint64*'],
    new_double => ['double', 'uint64*'],
    new_text => [@text, 'uint64*'],
    new_bytes => [@text, 'uint64*'],
    new_tagged => ['uint64', @text, 'uint64*'],
    new_ref => ['uint64', 'uint64*'],
    new_list => ['uint64*'],
    new_map => ['uint64*'],
    new_record => ['string', 'uint64*'],
    new_record_of => ['uint64', 'uint64*'],
    add => ['uint64', 'uint64'],
    put => ['uint64', 'uint64', 'uint64'],
    value_kind_of => ['uint64', 'int*'],
    get_bool => ['uint64', 'int*'],
    get_int64 => ['uint64', 'sint64*'],
    get_uint64 => ['uint64', 'uint64*'],
    get_double => ['uint64', 'double*'],
    get_text => ['uint64', 'opaque*', 'size_t*'],
    get_bytes => ['uint64', 'opaque*', 'size_t*'],
    get_tagged => ['uint64', 'uint64*', 'opaque*', 'size_t*'],
    get_ref => ['uint64', 'uint64*'],
    value_size => ['uint64', 'size_t*'],
    value_at => ['uint64', 'size_t', 'uint64*'],
    value_key => ['uint64', 'size_t', 'uint64*'],
    value_type => ['uint64', 'uint64*'],
    value_text => ['uint64', 'opaque', 'size_t'],
    join => ['uint64', 'string'],
    leave => ['uint64', 'string'],
    publish => ['uint64', 'string', 'uint64', 'size_t*'],
    monitor => ['uint64', 'uint64', 'uint64*'],
    forget_monitor => ['uint64', 'uint64'],
    stop => \@from_to,
    shutdown => [@from_to, 'uint64'],
    kill => \@from_to,
    log => ['uint64', 'int', @text],
);

my $name = $ENV{COPPICE_LIBRARY} || 'libcoppice.so.1';
my $ffi = FFI::Platypus->new(api => 2, lib => $name);
die "cannot load $name: install Coppice, or name the library in COPPICE_LIBRARY\n" unless $ffi->find_symbol('coppice_version');

$ffi->attach([coppice_error_text => 'error_text'] => [] => 'string');
$ffi->attach([coppice_code_name => 'code_name'] => ['int'] => 'string');
$ffi->attach([coppice_type_id => 'type_id'] => ['string'] => 'uint64');
$ffi->attach([coppice_open_handles => 'open_handles'] => [] => 'size_t');
$ffi->attach([coppice_is_child => 'is_child'] => [] => 'int');
$ffi->attach([coppice_exit_code => 'exit_code'] => [] => 'int');
# `code_of_NAME` returns the code, NAME dies of another one than 0.
for my $function (keys %functions) {
    $ffi->attach(["coppice_$function" => "code_of_$function"] => $functions{$function} => 'int');
    my $call = __PACKAGE__->can("code_of_$function");
    no strict 'refs';
    *$function = sub {
        my $code = &$call;
        Coppice::Error->throw($code, told()) if $code;
    };
}
Coppice::Error::define(map { code_name($_) } 1 .. 29);

# The words of the last failing call, as characters; octets where they are no UTF-8.
sub told() {
    my $text = error_text();
    utf8::decode($text);
    return $text;
}

# The handle, or number, that a function puts into its last argument.
sub made($function, @arguments) {
    no strict 'refs';
    &$function(@arguments, \my $out);
    return $out;
}

sub octets($at, $size) {
    return $size ? FFI::Platypus::Buffer::buffer_to_scalar($at, $size) : '';
}

# What a function for people writes.
sub shown($function, $handle, $room) {
    my $text = "\0" x $room;
    my ($at) = FFI::Platypus::Buffer::scalar_to_buffer($text);
    no strict 'refs';
    &$function($handle, $at, $room);
    $text = unpack 'Z*', $text;
    utf8::decode($text);
    return $text;
}

# ---- arguments

# Octets and their number.
sub text_of($text) {
    Coppice::Error->refuse('a text is not defined') unless defined $text;
    my $octets = "$text";
    utf8::encode($octets);
    return ($octets, length $octets);
}

# For arguments that end at their terminating zero.
sub name_of($text) {
    return undef unless defined $text;
    my ($octets) = text_of($text);
    Coppice::Error->refuse('a name must not have a zero character') if index($octets, "\0") >= 0;
    return $octets;
}

# Seconds as milliseconds; undef: for ever. A time that is not nothing is at least a millisecond.
sub milliseconds($seconds) {
    return FOREVER unless defined $seconds;
    Coppice::Error->refuse("'$seconds' is no number of seconds")
        if !Scalar::Util::looks_like_number($seconds) || $seconds != $seconds;
    return 0 if $seconds <= 0;
    return FOREVER if $seconds >= 1e15;
    my $ms = int($seconds * 1000);
    return $ms > 0 ? $ms : 1;
}

check_version(HEADER_MAJOR, HEADER_MINOR);

1;
