// Where the guest's general registers are while translated code runs.
#pragma once

#include <array>
#include <cstdint>

#include "cpu/cpu_state.hpp"

namespace touka::cpu::translator {

/// A host register by its number in ModRM and REX.
using HostRegister = std::uint8_t;

/// RSP is the Frame. RAX and RCX are free between guest instructions: LAHF needs the one, JECXZ the other.
inline constexpr HostRegister kHostRax = 0, kHostRcx = 1, kHostRsp = 4, kHostR9 = 9, kHostR10 = 10, kHostR11 = 11;
/// The LookasideTable.
inline constexpr HostRegister kHostTable = 14;
/// They point to what groups of accesses share (see GuestBlock).
inline constexpr std::array<HostRegister, 2> kHostPointers{15, 8};

/// The guest register has no host register: it stays in Processor::regs.
inline constexpr HostRegister kAtHome = 0xFF;

/// By guest number. Those at home are the ones that compiled code uses least.
inline constexpr std::array<HostRegister, 16> kHostOf{
    kHostR9, kHostR10, 2,       3,       kHostR11, 5,  6,       7,       // rax rcx rdx rbx rsp rbp rsi rdi
    kAtHome, kAtHome,  kAtHome, kAtHome, 12,       13, kAtHome, kAtHome, // r8 to r15
};

} // namespace touka::cpu::translator
