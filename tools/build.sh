# Configure, build, format, lint.

PRESETS="release debug asan-ubsan tsan clang fuzz"

sources() {
    git ls-files --cached --others --exclude-standard -- \
        'src/*.[ch]pp' 'apps/*.[ch]pp' 'tests/*.[ch]pp' 'bench/*.[ch]pp'
}

# build_preset PRESET [TARGET...]
build_preset() {
    local preset=$1
    shift
    case " $PRESETS " in *" $preset "*) ;; *) fail "no preset '$preset'; there are: $PRESETS" ;; esac
    # shellcheck disable=SC2086
    need $PACKAGES_BUILD
    case $preset in clang | fuzz)
        # shellcheck disable=SC2086
        need $PACKAGES_CLANG
        ;;
    esac
    local log=build/$preset.configure.log
    mkdir -p build
    cmake --preset "$preset" >"$log" 2>&1 || { tail -n 30 "$log" >&2; fail "cmake failed; see $log"; }
    show ninja -C "build/$preset" "$@" >&2
}

build() {
    steps 1
    step "Building ${1:-release} into build/${1:-release}"
    build_preset "${1:-release}"
}

fmt() {
    # shellcheck disable=SC2086
    need $PACKAGES_FORMAT
    case ${1:-} in
        --check) sources | xargs clang-format-19 --dry-run -Werror ;;
        "") sources | xargs clang-format-19 -i ;;
        *) fail "fmt takes nothing or --check" ;;
    esac
}

lint() {
    local files
    case ${1:-} in
        --changed) files=$(git diff --name-only --diff-filter=d HEAD -- '*.cpp') ;;
        "") files=$(sources | grep '\.cpp$') ;;
        *) fail "lint takes nothing or --changed" ;;
    esac
    # shellcheck disable=SC2086
    need $PACKAGES_BUILD $PACKAGES_CLANG
    steps 2
    step "Configuring for clang"
    mkdir -p build
    cmake --preset clang >build/clang.configure.log 2>&1 || fail "cmake failed; see build/clang.configure.log"
    step "clang-tidy over $(wc -w <<<"$files") files"
    [ -n "$files" ] || return 0
    # Even --quiet counts, for every file, what it did not say of the system's headers.
    printf '%s\n' "$files" | xargs -P "$(nproc)" -n 1 clang-tidy-19 --quiet -p build/clang 2>&1 |
        { grep -v '^[0-9]* warnings\? generated\.$' || true; }
}

clean() {
    rm -rf --one-file-system build .cache
}
