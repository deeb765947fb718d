// Paging-structure entries of the legacy, PAE and long modes. (AMD64 Architecture Programmer's Manual vol. 2 rev. 3.42
// §5.2, §5.3, §5.4; Intel SDM vol. 3 rev. 084 §4.3, §4.4, §4.5)
#pragma once

#include <cstdint>

namespace touka::spec::x86::page_entry {

inline constexpr std::uint64_t P = 1u << 0, RW = 1u << 1, US = 1u << 2, A = 1u << 5, D = 1u << 6, PS = 1u << 7,
                               G = 1u << 8, NX = std::uint64_t{1} << 63;
/// Bits 51:12: the next table or a 4 KiB page.
inline constexpr std::uint64_t kAddress = 0x000F'FFFF'FFFF'F000;
/// Bits 62:52: free for software in long mode, reserved in PAE mode.
inline constexpr std::uint64_t kHighIgnored = 0x7FF0'0000'0000'0000;
/// Address bits below a large page that must be zero (bit 12 is PAT).
inline constexpr std::uint64_t kReserved2M = 0x001F'E000, kReserved1G = 0x3FFF'E000;
/// PDPTEs of PAE mode: bits 8:5 and 2:1.
inline constexpr std::uint64_t kReservedPaePdpte = 0x1E6;
/// 4 MiB pages: address bits 39:32 are in bits 20:13; bit 21 is reserved.
inline constexpr std::uint64_t kPse36High = 0x001F'E000, kReserved4M = 0x0020'0000, kAddress4M = 0xFFC0'0000;
inline constexpr unsigned kPse36Shift = 32 - 13;
static_assert((kPse36High << kPse36Shift) == 0xFF'0000'0000 && (kAddress >> 52) == 0);

} // namespace touka::spec::x86::page_entry

namespace touka::spec::x86::cr3 {

/// Bits 11:0 with CR4.PCIDE: the process-context identifier; bit 63 in a MOV to CR3: keep its translations.
/// (Intel SDM vol. 3 §4.10.4.1)
inline constexpr std::uint64_t PCID = 0xFFF, NO_FLUSH = std::uint64_t{1} << 63;
/// The page-directory-pointer table of PAE mode is 32-byte aligned.
inline constexpr std::uint64_t kPaeAddress = 0xFFFF'FFE0, kLegacyAddress = 0xFFFF'F000;

} // namespace touka::spec::x86::cr3
