# The benchmark's awk: fields, associative arrays, substitution. Usage: gawk -f columns.awk TEXT AMOUNT
BEGIN {
    lines = 600 * ARGV[2]
    delete ARGV[2]
}
NR > lines { exit }
{
    indentation = match($0, /[^ ]/)
    depth[indentation]++
    for (i = 1; i <= NF; i++) {
        length_of[length($i)]++
        if ($i ~ /^[a-z_]+\(/) {
            sub(/\(.*/, "", $i)
            calls[$i]++
        }
    }
}
END {
    for (call in calls) order[++count] = sprintf("%06d %s", calls[call], call)
    asort(order)
    for (i = count; i > count - 10 && i > 0; i--) print order[i]
    for (i = 0; i < 40; i++) printf "%d %d %d\n", i, depth[i], length_of[i]
}
