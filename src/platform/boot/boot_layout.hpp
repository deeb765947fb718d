// Where the loader leaves what the kernel reads at its start: conventional memory, which kernels never load into.
#pragma once

#include <cstdint>

#include "platform/platform_layout.hpp"

namespace touka::platform::boot {

inline constexpr GuestAddress kGdtAddress{0x500};
inline constexpr GuestAddress kStartInfoAddress{0x6000}; ///< PVH: start info, module list, memory map
inline constexpr GuestAddress kZeroPageAddress{0x7000};
inline constexpr GuestAddress kSetupDataAddress{0x8000};
inline constexpr GuestAddress kPageTablesAddress{0x9000}; ///< six pages: PML4, PDPT, four page directories
inline constexpr GuestAddress kCommandLineAddress{0x2'0000};
inline constexpr std::uint32_t kCommandLineRoom = 0x1'0000; ///< with the terminating zero
/// What these places and a kernel of any size need; less RAM than this is refused before anything is written.
inline constexpr std::uint64_t kSmallestMemory = 0x20'0000;

} // namespace touka::platform::boot
