// The MSI capability, and other ones that a function passed through may have. (PCI Local Bus 3.0 §6.8.1, appendix H;
// Advanced Capabilities for Conventional PCI ECN)
#pragma once

#include <cstdint>

#include "spec/register.hpp"

namespace touka::spec::pci {

/// Capability IDs beside those of CapabilityId. (appendix H; AF: ECN "Advanced Capabilities for Conventional PCI")
inline constexpr std::uint8_t kMsiCapabilityId = 0x05, kAdvancedFeaturesCapabilityId = 0x13;
/// At +4 of Advanced Features: bit 0 resets the function.
inline constexpr std::uint32_t kAdvancedFeaturesControlOffset = 4;

// PCI Local Bus 3.0 §6.8.1.3: Message Control for MSI, at +2.
using MsiControl = Register<std::uint16_t, struct MsiControlTag>;
namespace msi_control {
inline constexpr Field<MsiControlTag, 0, 1, bool> MSI_ENABLE;
inline constexpr Field<MsiControlTag, 1, 3, std::uint16_t> MULTIPLE_MESSAGE_CAPABLE; // log2
inline constexpr Field<MsiControlTag, 4, 3, std::uint16_t> MULTIPLE_MESSAGE_ENABLE;  // log2
inline constexpr Field<MsiControlTag, 7, 1, bool> ADDRESS_64;
inline constexpr Field<MsiControlTag, 8, 1, bool> PER_VECTOR_MASKING;
inline constexpr std::uint16_t kWritable = 0x0071;
} // namespace msi_control
static_assert(MsiControl{0x0180}.get(msi_control::ADDRESS_64));

/// Offsets in the capability. (figure 6-9) With a 64-bit address the data, and the mask after it, stand 4 further on.
inline constexpr std::uint32_t kMsiControlOffset = 2, kMsiAddressOffset = 4, kMsiAddressHighOffset = 8,
                               kMsiDataOffset = 8, kMsiMaskOffset = 12, kMsiPendingOffset = 16;
inline constexpr unsigned kMsiVectorLimit = 32;

} // namespace touka::spec::pci
