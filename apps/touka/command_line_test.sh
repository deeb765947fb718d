#!/bin/sh
# Runs the built program as its users do: exit status, and what goes to stdout and what to stderr.
# usage: command_line_test.sh PROGRAM
touka=$1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
failures=0

# expect STATUS STDOUT-PATTERN STDERR-PATTERN ARGUMENT...   (patterns of grep; "" means that nothing is printed there)
expect() {
    status=$1 out=$2 err=$3
    shift 3
    "$touka" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
    got=$?
    [ "$got" = "$status" ] || fail "exit status $got, not $status" "$@"
    check "$out" "$scratch/out" stdout "$@"
    check "$err" "$scratch/err" stderr "$@"
}
check() {
    pattern=$1 file=$2 name=$3
    shift 3
    if [ -z "$pattern" ]; then
        [ ! -s "$file" ] || fail "$name is not empty: $(cat "$file")" "$@"
    else
        grep -q -e "$pattern" "$file" || fail "$name lacks \"$pattern\": $(cat "$file")" "$@"
    fi
}
fail() {
    echo "FAILED: $1 (touka $2 $3 $4 $5)"
    failures=$((failures + 1))
}

expect 0 '^touka [0-9]' '' --version
expect 0 'Exit status:' '' help
expect 0 '--kernel PATH' '' help run
expect 0 'touka run --kernel' '' run --help
expect 2 '' 'no command given'
expect 2 '' 'did you mean run?' rnu
expect 2 '' 'did you mean --memory?' run --memroy 1G
expect 2 '' 'no kernel to boot' run
expect 2 '' 'only the translator can be verified' run --kernel k --verify-translation
expect 2 '' 'software engines can be switched' run --kernel k --engine kvm --switch-engine-at 2s
expect 2 '' 'is not a time' run --kernel k --engine translator --switch-engine-at soon
expect 0 '--inside-command COMMAND' '' help verify
expect 2 '' 'did you mean verify?' verfiy
expect 2 '' 'no unit to compare with' verify
expect 2 '' 'no corpus' verify /dev/null
expect 2 '' 'did you mean --inside?' verify /dev/null --corpus c --insid f
expect 2 '' 'exclude each other' verify /dev/null --corpus c --inside f --inside-command c
expect 3 '' 'nowhere.txt: No such file' verify /dev/null --corpus "$scratch/nowhere.txt" --inside f
expect 2 '' 'has no unit' run --kernel k --memory 1024
expect 3 '' 'nowhere.toml: no such file' run "$scratch/nowhere.toml"
printf 'kernel = "k"\ncpus = = 2\n' >"$scratch/vm.toml"
expect 3 '' "vm.toml:2:8: " run "$scratch/vm.toml"
# What the machine finds wrong before anything runs.
run="run --engine interpreter --memory 64M --kernel"
expect 3 '' 'nowhere: no such file' $run "$scratch/nowhere"
expect 3 '' 'not a kernel' $run "$0"
: >"$scratch/empty"
expect 3 '' 'the file is empty' $run "$scratch/empty"
expect 3 '' 'not a regular file' $run "$scratch"
gzip -c "$0" >"$scratch/kernel.gz"
expect 3 '' 'unpack it first' $run "$scratch/kernel.gz"
expect 3 '' 'nowhere.raw' $run "$scratch/empty" --disk "$scratch/nowhere.raw"

# No escape sequences where nobody looks, or where they are not wanted.
if grep -q "$(printf '\033')" "$scratch/err"; then fail "colour in a file"; fi

[ "$failures" = 0 ] && echo "all as documented"
exit "$failures"
