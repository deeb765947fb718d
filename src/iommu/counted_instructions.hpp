#pragma once

#include <signal.h>
#include <x86intrin.h>

#include <cstdint>

namespace touka::iommu {

/// How many instructions the calling thread executes: by the processor's trap flag, after each of which a signal is
/// counted. Exact, needs no performance counters, which virtual machines often lack, and takes some microseconds each.
/// For measurements: SIGTRAP is its own. One thread at a time.
class CountedInstructions {
public:
    CountedInstructions() {
        struct sigaction action{};
        action.sa_handler = [](int) { count_ = count_ + 1; };
        ::sigaction(SIGTRAP, &action, &before_);
        none_ = count([] {});
    }
    ~CountedInstructions() { ::sigaction(SIGTRAP, &before_, nullptr); }
    CountedInstructions(const CountedInstructions&) = delete;
    CountedInstructions& operator=(const CountedInstructions&) = delete;

    /// @return those of `work` alone.
    template <class Work>
    [[nodiscard]] std::uint64_t of(Work&& work) const {
        return count(work) - none_;
    }

private:
    static constexpr std::uint64_t kTrapFlag = 1 << 8;

    template <class Work>
    [[nodiscard]] static std::uint64_t count(Work&& work) {
        count_ = 0;
        __writeeflags(__readeflags() | kTrapFlag);
        work();
        __writeeflags(__readeflags() & ~kTrapFlag);
        return count_;
    }

    static inline volatile std::uint64_t count_ = 0;
    struct sigaction before_{};
    std::uint64_t none_ = 0;
};

} // namespace touka::iommu
