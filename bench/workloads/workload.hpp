// What a workload of the CPU benchmark is: a fixed amount of one kind of work, with an answer that every engine must
// agree on.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string_view>

namespace touka::bench {

/// What a workload's time mostly goes into; the table has a mean for each.
enum class Group : std::uint8_t { kInteger, kFloatingPoint, kMemory, kKernel, kThreads };

[[nodiscard]] std::string_view name_of(Group group);

/// One execution of a workload: how much it does, and from when on it is timed.
class Trial {
public:
    /// @param scale  1 is the amount that is measured; tests take far less.
    explicit Trial(double scale) : scale_(scale), start_(Clock::now()) {}

    /// @return `full` at scale 1, at least 1.
    [[nodiscard]] std::uint64_t amount(std::uint64_t full) const;
    /// What was done before was preparation.
    void start_clock() { start_ = Clock::now(); }
    /// What is done after this only looks at the answer.
    void stop_clock() { stop_ = Clock::now(); }
    /// From start_clock() (else the construction) to stop_clock() (else now).
    [[nodiscard]] double seconds() const;

private:
    using Clock = std::chrono::steady_clock;
    double scale_;
    Clock::time_point start_;
    Clock::time_point stop_;
};

/// What a workload computed, condensed to 64 bits by FNV-1a.
class Answer {
public:
    void add(std::span<const unsigned char> bytes);
    void add(std::uint64_t value);
    [[nodiscard]] std::uint64_t hash() const { return hash_; }

private:
    std::uint64_t hash_ = 0xcbf2'9ce4'8422'2325;
};

struct Workload {
    Group group;
    std::string_view name;
    /// Runs in a process of its own, so it need not clean up.
    Answer (*run)(Trial& trial);
    /// @return what this machine lacks for it; empty: nothing. Null: it runs everywhere.
    std::string_view (*lacks)() = nullptr;
};

/// Our own fault or the host's: says why (with errno's text) and ends the workload's process without an answer.
[[noreturn]] void give_up(std::string_view what);
/// Gives up unless `holds`.
void require(bool holds, std::string_view what);

/// The same numbers on every machine (SplitMix64: a Weyl sequence through a mixing function).
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    [[nodiscard]] std::uint64_t next();
    /// @return a number below `bound`, which is far below 2^64.
    [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return next() % bound; }

private:
    std::uint64_t state_;
};

/// All workloads, in the order in which they are run and printed.
[[nodiscard]] std::span<const Workload> catalogue();

} // namespace touka::bench
