# How ./dev tells what it is doing: one line a step on stderr, the steps counted where their number is known.

step_number=0
step_count=0

# steps N: N calls of step follow.
steps() { step_count=$1; }

step() {
    step_number=$((step_number + 1))
    local of=""
    [ "$step_count" -eq 0 ] || of="/$step_count"
    printf '[%d%s] %s\n' "$step_number" "$of" "$*" >&2
}

note() { printf '      %s\n' "$*" >&2; }

fail() {
    printf './dev: %s\n' "$*" >&2
    exit 1
}

# show COMMAND...: prints the command, then runs it.
show() {
    printf '      $ %s\n' "$*" >&2
    "$@"
}
