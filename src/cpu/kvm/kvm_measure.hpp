// Is /dev/kvm here good for anything? On some nested hosts it is there and every test of its calls passes, but kernel
// code is emulated, about 0.5 million instructions a second: a stock kernel would need hours to boot.
#pragma once

#include <chrono>
#include <string>

#include "cpu/kvm/kvm_call.hpp"

namespace touka::cpu::kvm {

struct EngineMeasurement {
    enum class Verdict {
        kUsable,
        kUnavailable,  ///< no /dev/kvm, or one that lacks what Touka needs
        kNoPermission, ///< it is there, the user may not open it
        kTooSlow,      ///< kernel code runs at less than kSlowestUsable
        kBroken,       ///< it could not run a loop of two instructions
    };
    Verdict verdict = Verdict::kUnavailable;
    double instructions_per_second = 0; ///< kernel mode; 0 when nothing ran
    /// For the user, the end of a sentence: "/dev/kvm runs kernel code at 0.5 MIPS here (...)". Empty when usable.
    std::string reason;
    [[nodiscard]] bool usable() const { return verdict == Verdict::kUsable; }
};

/// Kernel-mode instructions a second below which `--engine auto` leaves KVM alone: ten times the fastest emulation of
/// kernel mode that was measured, a tenth of the slowest KVM on which a system booted.
/// (docs/decisions/006-when-kvm-is-used.md)
inline constexpr double kSlowestUsable = 2e7;

/// Runs a loop in 64-bit kernel mode, longer and longer until it takes `enough` without the time for entering and
/// leaving the guest. Some tens of milliseconds, most of it for making and taking down a machine. Any thread.
[[nodiscard]] EngineMeasurement measure_kvm(std::chrono::microseconds enough = std::chrono::milliseconds(2));

/// What follows from a speed or a failure: the part of measure_kvm that needs no /dev/kvm.
[[nodiscard]] EngineMeasurement judge(double instructions_per_second);
[[nodiscard]] EngineMeasurement judge(const KvmFailure& failure);

} // namespace touka::cpu::kvm
