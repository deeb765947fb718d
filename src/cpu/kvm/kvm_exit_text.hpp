#pragma once

#include <linux/kvm.h>

#include <span>
#include <string>

namespace touka::cpu::kvm {

/// Why the kernel cannot go on, for the user: the exit, the guest's registers and the code at RIP.
/// @param code bytes at RIP; may be empty when they cannot be read.
[[nodiscard]] std::string describe_exit(const kvm_run& run, const kvm_regs& regs, const kvm_sregs& sregs,
                                        std::span<const std::byte> code);

} // namespace touka::cpu::kvm
