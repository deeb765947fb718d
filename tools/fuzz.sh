# ./dev fuzz: libFuzzer over one target; what it finds goes into the corpus that every test run replays.

fuzz_targets() { git ls-files --cached --others --exclude-standard -- 'src/*_fuzz.cpp' 'apps/*_fuzz.cpp'; }

fuzz() {
    local name=${1:-} seconds=${2:-60} source
    source=$(fuzz_targets | grep "/${name%_fuzz}_fuzz.cpp$" || true)
    if [ -z "$name" ] || [ -z "$source" ]; then
        fuzz_targets | sed 's|.*/||; s|\.cpp$||'
        [ -z "$name" ] || fail "no fuzz target '$name'; the names are above"
        return 0
    fi
    name=$(basename "$source" .cpp)
    steps 2
    step "Building $name"
    build_preset fuzz "$name"
    step "Fuzzing for $seconds s"
    local found=build/fuzz/found/$name
    mkdir -p "$found"
    show "build/fuzz/bin/$name" -max_total_time="$seconds" -timeout=10 -artifact_prefix="$found/" \
        "$found" "$(dirname "$source")/corpus/$name"
}
