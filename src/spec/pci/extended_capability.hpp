// Capabilities in the extended configuration space. (PCI Express Base Specification 5.0 §7.6 to §7.9, §9.3)
#pragma once

#include <cstdint>

#include "spec/register.hpp"

namespace touka::spec::pci {

enum class ExtendedCapabilityId : std::uint16_t {
    kAccessControlServices = 0x000D,
    kAlternativeRoutingId = 0x000E,
    kAddressTranslationServices = 0x000F,
    kSingleRootIoVirtualization = 0x0010,
    kResizableBar = 0x0015,
};
inline constexpr std::uint32_t kFirstExtendedCapability = 0x100;

// §7.6.3: the header of each.
using ExtendedCapabilityHeader = Register<std::uint32_t, struct ExtendedCapabilityHeaderTag>;
namespace extended_capability_header {
inline constexpr Field<ExtendedCapabilityHeaderTag, 0, 16, std::uint16_t> ID;
inline constexpr Field<ExtendedCapabilityHeaderTag, 16, 4, std::uint8_t> VERSION;
inline constexpr Field<ExtendedCapabilityHeaderTag, 20, 12, std::uint16_t> NEXT;
} // namespace extended_capability_header

/// Access Control Services: what a port keeps apart. (§7.7.8) Source validation, request and completion redirect,
/// upstream forwarding.
inline constexpr std::uint32_t kAcsBytes = 8, kAcsCapabilityOffset = 4, kAcsControlOffset = 6;
inline constexpr std::uint16_t kAcsRootPort = 0x001D;

/// Alternative Routing-ID Interpretation. (§7.8.7)
inline constexpr std::uint32_t kAriBytes = 8;

/// Address Translation Services. (§10.5.1) Capability: aligned requests; control: smallest translation unit, enable.
inline constexpr std::uint32_t kAtsBytes = 8, kAtsCapabilityOffset = 4, kAtsControlOffset = 6;
inline constexpr std::uint16_t kAtsPageAlignedRequest = 1u << 5, kAtsControlWritable = 0x801F, kAtsEnable = 1u << 15;

/// Single Root I/O Virtualization. (§9.3.3: offsets)
inline constexpr std::uint32_t kSriovBytes = 0x40, kSriovControlOffset = 0x08, kSriovStatusOffset = 0x0A,
                               kInitialVfsOffset = 0x0C, kTotalVfsOffset = 0x0E, kNumVfsOffset = 0x10,
                               kFirstVfOffsetOffset = 0x14, kVfStrideOffset = 0x16, kVfDeviceIdOffset = 0x1A,
                               kSupportedPageSizesOffset = 0x1C, kSystemPageSizeOffset = 0x20, kVfBar0Offset = 0x24;
// §9.3.3.3: SR-IOV Control.
using SriovControl = Register<std::uint16_t, struct SriovControlTag>;
namespace sriov_control {
inline constexpr Field<SriovControlTag, 0, 1, bool> VF_ENABLE;
inline constexpr Field<SriovControlTag, 3, 1, bool> VF_MSE;
inline constexpr Field<SriovControlTag, 4, 1, bool> ARI_CAPABLE_HIERARCHY;
inline constexpr std::uint16_t kWritable = 0x0019;
} // namespace sriov_control
/// System page sizes: bit n is 2^(n + 12) bytes; all from 4 KiB to 4 MiB that §9.3.3.12 demands.
inline constexpr std::uint32_t kSupportedPageSizes = 0x553, kPageSize4k = 1;
/// What reads as vendor and device of a VF. (§9.3.4.1.1)
inline constexpr std::uint16_t kVfId = 0xFFFF;

} // namespace touka::spec::pci
