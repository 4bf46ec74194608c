# Values of Perl as values of Coppice, and back:
#
#     undef                            nothing        a string                      text: characters
#     !!1, !!0                         boolean        Coppice::bytes($octets)       bytes
#     a number that is an integer      integer        [...]                         list
#     any other number                 real           {...}                         map
#     Coppice::Ref                     ref            Coppice::map, ::record, ::tagged   what they say
#
# Perl tells strings from numbers, and truth from either, by how a scalar was made; it forgets whether a number was made as a real
# where that is used as an integer. What arrives is given back as it came.
package Coppice::Value;
use v5.36;
use feature 'defer';
no warnings qw(experimental::defer experimental::builtin recursion);

use B ();
use Scalar::Util ();

use Coppice::ABI;

use constant {
    BOOL => 1, INT => 2, UINT => 3, REAL => 4, TEXT => 5, BYTES => 6, LIST => 7, RECORD => 8, MAP => 9, REF => 10, TAGGED => 11,
    MOST_NESTED => 100, # more than the library takes, so that it refuses; a list within itself would have no end
};

# ---- to the library

# A new value of the library's; whoever has it closes it, or gives it to another one.
sub handle_of($value, $depth = 0) {
    return Coppice::ABI::made('new_nothing') unless defined $value;
    return _of_reference($value, $depth + 1) if ref $value;
    return Coppice::ABI::made('new_bool', $value ? 1 : 0) if builtin::is_bool($value);
    return _of_number($value) if builtin::created_as_number($value);
    return Coppice::ABI::made('new_text', Coppice::ABI::text_of($value));
}

sub _of_number($number) {
    return Coppice::ABI::made('new_double', $number) unless B::svref_2object(\$number)->FLAGS & B::SVf_IOK;
    return Coppice::ABI::made($number > 9223372036854775807 ? 'new_uint64' : 'new_int64', $number);
}

sub _of_reference($value, $depth) {
    Coppice::Error->throw(29, 'lists, records and maps are too deep within one another') if $depth > MOST_NESTED;
    my $is = Scalar::Util::blessed($value);
    if (!defined $is) {
        return _filled(Coppice::ABI::made('new_list'), $value, $depth) if ref $value eq 'ARRAY';
        return _mapped(Coppice::ABI::made('new_map'), [map { [$_, $value->{$_}] } keys %$value], $depth) if ref $value eq 'HASH';
    } elsif ($is eq 'Coppice::Bytes') {
        return Coppice::ABI::made('new_bytes', $$value, length $$value);
    } elsif ($is eq 'Coppice::Ref') {
        return Coppice::ABI::made('new_ref', $value->handle);
    } elsif ($is eq 'Coppice::Tagged') {
        return Coppice::ABI::made('new_tagged', $value->tag, $value->content, length $value->content);
    } elsif ($is eq 'Coppice::Map') {
        return _mapped(Coppice::ABI::made('new_map'), $value, $depth);
    } elsif ($is eq 'Coppice::Record') {
        return _filled(_new_record($value->type), $value->fields, $depth);
    }
    Coppice::Error->refuse('a ' . ($is // ref $value) . ' cannot be sent: it is no value of Coppice');
}

sub _new_record($type) {
    return Coppice::ABI::made('new_record_of', 0) unless defined $type;
    return Coppice::ABI::made('new_record_of', $type) if builtin::created_as_number($type);
    return Coppice::ABI::made('new_record', Coppice::ABI::name_of($type));
}

sub _filled($whole, $parts, $depth) {
    my $kept = 0;
    defer { Coppice::ABI::code_of_close($whole) unless $kept }
    Coppice::ABI::add($whole, handle_of($_, $depth)) for @$parts; # takes the part, whatever comes of it
    $kept = 1;
    return $whole;
}

sub _mapped($whole, $pairs, $depth) {
    my $kept = 0;
    defer { Coppice::ABI::code_of_close($whole) unless $kept }
    for my $pair (@$pairs) {
        Coppice::Error->refuse('a map is made of pairs, [key, value]') unless ref $pair eq 'ARRAY' && @$pair == 2;
        my $key = handle_of($pair->[0], $depth);
        my $mapped = 0;
        defer { Coppice::ABI::code_of_close($key) unless $mapped }
        $mapped = handle_of($pair->[1], $depth);
        Coppice::ABI::put($whole, $key, $mapped); # takes both
    }
    $kept = 1;
    return $whole;
}

# Calls with the handle of a value, and closes it.
sub with_handle($value, $use) {
    my $handle = handle_of($value);
    defer { Coppice::ABI::code_of_close($handle) }
    return $use->($handle);
}

# ---- from the library

sub _got($function, $handle, @index) { return Coppice::ABI::made($function, $handle, @index) }

sub _content($function, $handle) {
    no strict 'refs';
    &{"Coppice::ABI::$function"}($handle, \my $at, \my $size);
    return Coppice::ABI::octets($at, $size);
}

sub _text($handle) {
    my $text = _content('get_text', $handle);
    Coppice::Error->throw(28, 'a text that was received is no UTF-8') unless utf8::decode($text);
    return $text;
}

sub _parts($function, $handle) {
    my $size = _got('value_size', $handle);
    return [map { from_handle(_got($function, $handle, $_)) } 0 .. $size - 1];
}

# What a value holds. Closes the handle.
sub from_handle($handle) {
    defer { Coppice::ABI::code_of_close($handle) }
    my $kind = _got('value_kind_of', $handle);
    return _text($handle) if $kind == TEXT;
    return _got('get_int64', $handle) if $kind == INT;
    return _got('get_uint64', $handle) if $kind == UINT;
    return !!_got('get_bool', $handle) if $kind == BOOL;
    return _got('get_double', $handle) if $kind == REAL;
    return Coppice::Bytes->new(_content('get_bytes', $handle)) if $kind == BYTES;
    return _parts('value_at', $handle) if $kind == LIST;
    return Coppice::Record->new(_parts('value_at', $handle), _got('value_type', $handle) || undef) if $kind == RECORD;
    return Coppice::Ref->new(_got('get_ref', $handle)) if $kind == REF;
    return _tagged($handle) if $kind == TAGGED;
    return undef if $kind != MAP;
    my ($keys, $mapped) = (_parts('value_key', $handle), _parts('value_at', $handle));
    return Coppice::Map->new([map { [$keys->[$_], $mapped->[$_]] } 0 .. $#$keys]);
}

sub _tagged($handle) {
    Coppice::ABI::get_tagged($handle, \my $tag, \my $at, \my $size);
    return Coppice::Tagged->new($tag, Coppice::ABI::octets($at, $size));
}

# ---- classes of values

# Octets; as a string, they are themselves.
package Coppice::Bytes;
use overload '""' => sub ($self, @) { $$self }, 'bool' => sub { 1 }, fallback => 1;

sub new($class, $octets) {
    my $content = $octets;
    Coppice::Error->refuse('bytes are not defined') unless defined $content;
    Coppice::Error->refuse('a character above 255 is no byte: encode the text') unless utf8::downgrade($content, 1);
    return bless \$content, $class;
}

# Octets of an encoding of yours (Protocol Buffers, JSON, ...), with a number that says which.
package Coppice::Tagged;
use overload '""' => sub ($self, @) { Coppice::show($self) }, 'bool' => sub { 1 }, fallback => 1;

sub new($class, $tag, $octets) {
    my $number = defined $tag && $tag =~ /\A[0-9]+\z/ ? 0 + "$tag" : -1;
    Coppice::Error->refuse('a tag is an integer from 0 to 2^64-1') unless $number =~ /\A[0-9]+\z/;
    return bless {tag => $number, content => ${Coppice::Bytes->new($octets)}}, $class;
}
sub tag($self) { $self->{tag} }
sub content($self) { $self->{content} }

# Fields in order, and the C++ name of the message type that it is, or that name's number in what was received.
package Coppice::Record;
use overload '""' => sub ($self, @) { Coppice::show($self) }, 'bool' => sub { 1 }, fallback => 1;

sub new($class, $fields, $type = undef) {
    Coppice::Error->refuse('the fields of a record are an array') unless ref $fields eq 'ARRAY';
    return bless {fields => $fields, type => $type}, $class;
}
sub fields($self) { $self->{fields} }
sub type($self) { $self->{type} }

# Pairs in order, with keys of any kind: an array of [key, value].
package Coppice::Map;
use overload '""' => sub ($self, @) { Coppice::show($self) }, 'bool' => sub { 1 }, fallback => 1;
use Scalar::Util ();

sub new($class, $pairs = []) {
    Coppice::Error->refuse('the pairs of a map are an array of [key, value]')
        if ref $pairs ne 'ARRAY' || grep { ref ne 'ARRAY' || @$_ != 2 } @$pairs;
    return bless [@$pairs], $class;
}

# The value of the first key that is the same as a string; undef: there is none.
sub get($self, $key) {
    for my $pair (@$self) {
        return $pair->[1] if defined $pair->[0] && "$pair->[0]" eq "$key";
    }
    return undef;
}

# A copy as a hash, with keys as strings.
sub hash($self) { return {map { ($_->[0] // '') => $_->[1] } @$self} }

package Coppice::Value;

1;
