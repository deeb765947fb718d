# ./dev bench: the benchmarks beside the code; with "cpu" whole programs in a guest under each CPU engine, with "storage"
# touka-target beside other servers, with "direct" touka-device.

BENCH_GUEST=.cache/bench
BENCH_FILES=.cache/bench-storage

# The kernel of ./dev run, a root of Debian's programs and our workloads in memory, and a small one to time the start with.
make_bench_guest() {
    make_guest
    local stamp root=$BENCH_GUEST/root workloads=build/release/bin/cpu_workloads
    stamp=$(cat tools/bench.sh bench/init bench/make_root.sh bench/programs/* "$GUEST/stamp" | sha256sum | cut -c1-16)
    if [ "$(cat "$BENCH_GUEST/stamp" 2>/dev/null)" != "$stamp" ]; then
        rm -rf --one-file-system "$BENCH_GUEST"
        mkdir -p "$BENCH_GUEST/start/bin"
        local log=$BENCH_GUEST/build.log
        note "programs from Debian's packages; the log is $log"
        as_root unshare --mount --propagation private bash bench/make_root.sh "$root" >"$log" 2>&1 ||
            { tail -n 20 "$log" >&2; fail "could not make the benchmark's root; see $log"; }
        as_root chown -R "$(id -u):$(id -g)" "$root"
        cp "$root/bin/busybox" "$BENCH_GUEST/start/bin/"
        cp bench/init "$BENCH_GUEST/start/init"
        pack_root "$BENCH_GUEST/start" "$BENCH_GUEST/start.cpio"
        cp "$GUEST/vmlinuz" "$BENCH_GUEST/vmlinuz"
        echo "$stamp" >"$BENCH_GUEST/stamp"
    fi
    if [ ! -e "$BENCH_GUEST/root.cpio" ] || [ "$workloads" -nt "$BENCH_GUEST/root.cpio" ]; then
        strip -o "$root/bench/cpu_workloads" "$workloads"
        pack_root "$root" "$BENCH_GUEST/root.cpio"
    fi
}

bench_cpu() {
    case " $* " in *" --help "* | *" -h "*) exec python3 bench/cpu.py --help ;; esac
    steps 3
    step "Building"
    # shellcheck disable=SC2086
    need $PACKAGES_BENCH
    # The rest is worth running without it.
    # shellcheck disable=SC2086
    (need $PACKAGES_QEMU) || true
    build_preset release touka touka-usernet cpu_workloads
    step "Making the guest of the benchmark; kept in $BENCH_GUEST"
    make_bench_guest
    step "Measuring"
    exec python3 bench/cpu.py --touka build/release/bin/touka --guest "$BENCH_GUEST" --json build/bench/cpu.json "$@"
}

# Servers of bench/storage/$1.py beside others; $2: what is built for it.
bench_servers() {
    local what=$1 programs=$2
    shift 2
    case " $* " in *" --help "* | *" -h "*) exec python3 "bench/storage/$what.py" --help ;; esac
    steps 2
    step "Building"
    # Each of the others is worth running against alone.
    # shellcheck disable=SC2086
    (need $PACKAGES_BENCH_STORAGE) || true
    # shellcheck disable=SC2086
    build_preset release $programs
    step "Measuring"
    exec python3 "bench/storage/$what.py" --programs build/release/bin --folder "$BENCH_FILES" \
        --json "build/bench/$what.json" "$@"
}

bench() {
    case ${1:-} in
        cpu) shift && bench_cpu "$@" ;;
        storage) shift && bench_servers storage "touka-target uring_load iscsi_load vhost_load" "$@" ;;
        direct) shift && bench_servers direct "touka-device uring_load nvme_load vhost_load" "$@" ;;
    esac
    steps 2
    step "Building"
    build_preset release
    step "Running"
    local program
    for program in build/release/bin/*_bench; do
        show "$program" ${1:+--benchmark_filter="$1"}
    done
}
