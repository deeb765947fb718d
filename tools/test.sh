# ./dev test: what CI checks, and its parts.

ctest_labels() { show ctest --test-dir build/release --output-on-failure -j "$(nproc)" -L "$1" >&2; }

test_unit() { ctest_labels '^(unit|fuzz|tidy|instructions)$'; }

test_machine() {
    make_test_guest
    # One at a time: each keeps all processors busy.
    show ctest --test-dir build/release --output-on-failure -L '^machine$' >&2
}

# Programs of the unit tests only: whole guests under sanitizers take longer than they tell.
test_sanitizers() {
    local preset
    export ASAN_OPTIONS=detect_stack_use_after_return=1:check_initialization_order=1:strict_init_order=1
    export UBSAN_OPTIONS=print_stacktrace=1
    for preset in asan-ubsan tsan; do
        step "Unit tests under $preset"
        build_preset "$preset"
        show ctest --test-dir "build/$preset" --output-on-failure -j "$(nproc)" -L '^(unit|fuzz)$' >&2
    done
}

test() {
    # shellcheck disable=SC2086
    need $PACKAGES_TEST
    case ${1:-all} in
        all)
            steps 5
            step "Formatting"
            fmt --check
            step "Building"
            build_preset release
            step "Unit tests, corpora, checks over the sources"
            test_unit
            step "Making the guest of the machine tests"
            make_test_guest
            step "Whole machines"
            test_machine
            ;;
        unit)
            steps 2
            step "Building"
            build_preset release
            step "Unit tests, corpora, checks over the sources"
            test_unit
            ;;
        machine)
            steps 3
            step "Building"
            build_preset release
            step "Making the guest of the machine tests"
            make_test_guest
            step "Whole machines"
            test_machine
            ;;
        sanitizers)
            steps 2
            test_sanitizers
            ;;
        box)
            steps $((${TOUKA_BOX_KERNEL:+1} + 5))
            step "Building"
            build_preset release
            test_box
            ;;
        interop)
            steps 3
            step "Building"
            build_preset release
            step "Making the guest of the machine tests"
            make_test_guest
            test_interop
            ;;
        *) fail "test takes unit, machine, sanitizers, box, interop, or nothing for what CI checks" ;;
    esac
}
