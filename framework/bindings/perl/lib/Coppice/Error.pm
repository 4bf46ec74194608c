# What a call came back with: a code of the one table (docs/errors.md), its name there, and words. Each code has a class, which is a
# Coppice::Error: Coppice::Error::Timeout, Coppice::Error::NotFound, Coppice::Error::MailboxFull and so on.
package Coppice::Error;
use v5.36;

use Carp ();

use overload '""' => sub ($self, @) { $self->{text} . $self->{where} }, fallback => 1;

# An error is told with the line that called the binding.
$Carp::Internal{$_} = 1 for qw(Coppice Coppice::ABI Coppice::Error Coppice::Handle Coppice::Value Coppice::Map Coppice::Record
    Coppice::Tagged Coppice::Bytes Coppice::Ref Coppice::Mail Coppice::From Coppice::Actor Coppice::Node);

my @names = ('ok');

sub define(@of_codes) {
    push @names, @of_codes;
    no strict 'refs';
    @{class_of($_) . '::ISA'} = __PACKAGE__ for 1 .. $#names;
}

sub class_of($code) {
    return __PACKAGE__ unless $names[$code];
    return __PACKAGE__ . '::' . join '', map { ucfirst } split /_/, $names[$code];
}

sub new($, $code, $text) {
    my $name = $names[$code] // "code $code";
    my $where = Carp::shortmess('');
    return bless {code => $code, name => $name, text => length $text ? $text : $name, where => $where}, class_of($code);
}

sub throw($class, $code, $text) { die $class->new($code, $text) }

# Of arguments that the library is not even shown.
sub refuse($class, $text) { $class->throw(19, $text) }

sub code($self) { $self->{code} }
sub name($self) { $self->{name} }
sub text($self) { $self->{text} }

1;
