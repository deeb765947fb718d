#pragma once

#include <cstdint>

#include "spec/acpi/fixed_hardware.hpp"

namespace touka::platform {

/// The ACPI power management timer: a counter of 3.579545 MHz, a function of the time. (ACPI 6.4 §4.8.3.3)
/// No lock, no alarm: AcpiFixedHardware's.
class PmTimer {
public:
    enum class Width : std::uint8_t { k24 = 24, k32 = 32 };

    /// @param width 32 where the FADT says TMR_VAL_EXT.
    PmTimer(Width width, std::uint64_t now_ns) : width_(static_cast<unsigned>(width)), start_ns_(now_ns) {}

    [[nodiscard]] std::uint32_t value(std::uint64_t now_ns) const {
        return static_cast<std::uint32_t>(ticks(now_ns) & ((std::uint64_t{1} << width_) - 1));
    }
    /// How often the counter's top bit has changed, which is what sets TMR_STS.
    [[nodiscard]] std::uint64_t carries(std::uint64_t now_ns) const { return ticks(now_ns) >> (width_ - 1); }
    /// When it changes next.
    [[nodiscard]] std::uint64_t next_carry_ns(std::uint64_t now_ns) const {
        const Wide next = static_cast<Wide>(carries(now_ns) + 1) << (width_ - 1);
        return start_ns_ + static_cast<std::uint64_t>((next * kNanosecondsPerSecond + spec::acpi::kPmTimerHz - 1) /
                                                      spec::acpi::kPmTimerHz);
    }
    [[nodiscard]] std::uint64_t elapsed_ns(std::uint64_t now_ns) const { return now_ns - start_ns_; }
    /// As if it had started so long ago.
    void set_elapsed(std::uint64_t elapsed_ns, std::uint64_t now_ns) { start_ns_ = now_ns - elapsed_ns; }

private:
    using Wide = unsigned __int128;
    static constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;
    [[nodiscard]] std::uint64_t ticks(std::uint64_t now_ns) const {
        return static_cast<std::uint64_t>(static_cast<Wide>(now_ns - start_ns_) * spec::acpi::kPmTimerHz /
                                          kNanosecondsPerSecond);
    }

    unsigned width_;
    std::uint64_t start_ns_; // modulo 2^64
};

} // namespace touka::platform
