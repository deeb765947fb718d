// Primary and secondary controllers. (NVM Express Base 2.0 §5.28, §8.26)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace touka::spec::nvme {

/// §5.28 figure 376: actions of Virtualization Management, command Dword 10 bits 3:0.
inline constexpr std::uint8_t kPrimaryFlexibleAllocation = 0x1, kSecondaryOffline = 0x7, kSecondaryAssign = 0x8,
                              kSecondaryOnline = 0x9;
/// Command Dword 10 bits 10:8: resource type.
inline constexpr std::uint8_t kQueueResources = 0, kInterruptResources = 1;

/// §5.17.2.13 figure 282: Primary Controller Capabilities.
struct [[gnu::packed]] PrimaryCapabilities {
    std::uint16_t cntlid, portid;
    std::uint8_t crt; ///< bit 0: VQ, bit 1: VI
    std::array<std::uint8_t, 27> reserved5;
    std::uint32_t vqfrt, vqrfa;
    std::uint16_t vqrfap, vqprt, vqfrsm, vqgran;
    std::array<std::uint8_t, 16> reserved48;
    std::uint32_t vifrt, virfa;
    std::uint16_t virfap, viprt, vifrsm, vigran;
    std::array<std::uint8_t, 4016> reserved80;
};
static_assert(sizeof(PrimaryCapabilities) == 4096 && offsetof(PrimaryCapabilities, vifrt) == 64);

/// §5.17.2.14 figure 284: Secondary Controller entry; figure 283: the list begins with their number in 32 bytes.
struct [[gnu::packed]] SecondaryController {
    std::uint16_t scid, pcid;
    std::uint8_t scs; ///< bit 0: online
    std::array<std::uint8_t, 3> reserved5;
    std::uint16_t vfn, nvq, nvi;
    std::array<std::uint8_t, 18> reserved14;
};
static_assert(sizeof(SecondaryController) == 32);
inline constexpr std::size_t kSecondaryListHeader = 32, kSecondaryListLimit = 127;

} // namespace touka::spec::nvme
