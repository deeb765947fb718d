#include "load.hpp"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <ctime>

namespace touka::bench {

namespace {

double seconds_of(clockid_t clock) {
    timespec now{};
    ::clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

} // namespace

LoadOptions::LoadOptions(CLI::App& app, unsigned largest_depth) : depth_limit(largest_depth) {
    app.add_option("--depth", depth, "reads in flight")->check(CLI::Range(1u, largest_depth));
    app.add_option("--seconds", seconds, "that are counted")->check(CLI::PositiveNumber);
    app.add_option("--warm-up", warm_up, "seconds before them")->check(CLI::NonNegativeNumber);
    app.add_option("--seed", seed, "of the places that are read");
    app.add_option("--bytes", bytes, "length of the volume")->required()->check(CLI::Range(kReadBytes, ~0u));
    app.add_option("--server", server, "process whose processor time is counted (default: this one)");
}

LoadRun::LoadRun(const LoadOptions& options)
    : places_(options.bytes / kReadBytes), state_(options.seed), counted_seconds_(options.seconds),
      server_clock_(CLOCK_PROCESS_CPUTIME_ID), begins_(seconds_of(CLOCK_MONOTONIC) + options.warm_up) {
    // User and system time of all its threads, those the kernel lent it for io_uring among them, in nanoseconds;
    // /proc/PID/stat has the same rounded to hundredths of a second.
    if (options.server != 0 && ::clock_getcpuclockid(options.server, &server_clock_) != 0) over_ = true;
}

std::uint64_t LoadRun::next_offset() {
    // SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
    std::uint64_t mixed = state_ += 0x9E37'79B9'7F4A'7C15;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58'476D'1CE4'E5B9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D0'49BB'1331'11EB;
    return (mixed ^ (mixed >> 31)) % places_ * kReadBytes;
}

bool LoadRun::ended(bool good) {
    if (over_) return false;
    ++reads_;
    if (!good) ++failures_;
    const double now = seconds_of(CLOCK_MONOTONIC);
    if (!counting_ && now >= begins_) {
        counting_ = true;
        reads_ = 0;
        server_began_ = server_seconds();
        began_ = now;
    } else if (counting_ && now >= began_ + counted_seconds_) {
        server_ended_ = server_seconds();
        ended_ = now;
        over_ = true;
    }
    return !over_;
}

double LoadRun::server_seconds() const { return seconds_of(server_clock_); }

int LoadRun::report() const {
    if (ended_ == 0) return fail("the run did not come to its end");
    fmt::print("LOAD {} {:.6f} {:.6f} {}\n", reads_, ended_ - began_, server_ended_ - server_began_, failures_);
    return failures_ == 0 ? 0 : 1;
}

int fail(const std::string& reason) {
    fmt::print(stderr, "error: {}\n", reason);
    return 1;
}

} // namespace touka::bench
