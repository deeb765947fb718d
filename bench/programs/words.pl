# The benchmark's Perl: regular expressions, hashes, sorting. Usage: words.pl TEXT AMOUNT
use strict;
use warnings;

my ($path, $amount) = @ARGV;
open(my $file, '<', $path) or die "$path: $!";
read($file, my $text, $amount * 10000);

my (%count, %followers);
my $before = '';
while ($text =~ /([A-Za-z_]\w+)/g) {
    $count{$1}++;
    $followers{$before}{$1}++;
    $before = $1;
}
my $definitions = () = $text =~ /^\s*(?:def|class)\s+\w+\s*\(/mg;
(my $squeezed = $text) =~ s/\s+/ /g;

for my $word ((sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count)[0 .. 19]) {
    my $next = (sort { $followers{$word}{$b} <=> $followers{$word}{$a} || $a cmp $b } keys %{$followers{$word}})[0];
    printf "%6d %s -> %s\n", $count{$word}, $word, $next // '';
}
printf "%d definitions, %d bytes, %d squeezed\n", $definitions, length $text, length $squeezed;
