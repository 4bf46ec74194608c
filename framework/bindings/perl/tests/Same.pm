# For the tests: whether two values are of the same kind and have the same content; maps in the same order, but for hashes.
package Same;
use v5.36;
no warnings 'experimental::builtin';

use B ();
use Scalar::Util ();

use Coppice;

sub kind($value) {
    return 'nothing' unless defined $value;
    return ref $value if ref $value;
    return 'boolean' if builtin::is_bool($value);
    return 'text' unless builtin::created_as_number($value);
    return B::svref_2object(\$value)->FLAGS & B::SVf_IOK ? 'integer' : 'real';
}

sub parts($a, $b) {
    return @$a == @$b && !grep { !same($a->[$_], $b->[$_]) } 0 .. $#$a;
}

sub same_maps($a, $b) {
    return parts([map { @$_ } @$a], [map { @$_ } @$b]) if ref $a eq ref $b && ref $a ne 'HASH';
    my ($x, $y) = map { ref eq 'HASH' ? $_ : $_->hash } $a, $b;
    return keys %$x == keys %$y && !grep { !exists $y->{$_} || !same($x->{$_}, $y->{$_}) } keys %$x;
}

sub same($a, $b) {
    my ($kind, $other) = (kind($a), kind($b));
    if ($kind eq 'Coppice::Tagged') { # within a record it has come back as one
        $b = Coppice::as_tagged($b) or return !!0;
        return $a->tag == $b->tag && $a->content eq $b->content;
    }
    return same_maps($a, $b) if $kind =~ /\A(?:HASH|Coppice::Map)\z/ && $other =~ /\A(?:HASH|Coppice::Map)\z/;
    return !!0 if $kind ne $other;
    return !!1 if $kind eq 'nothing';
    return $a == $b || $a != $a && $b != $b if $kind eq 'real';
    return $a == $b if $kind =~ /\A(?:integer|boolean|Coppice::Ref)\z/;
    return parts($a, $b) if $kind eq 'ARRAY';
    return ($a->type // 0) eq ($b->type // 0) && parts($a->fields, $b->fields) if $kind eq 'Coppice::Record';
    return $a eq $b;
}

1;
