// What stands in the invalidation queue: descriptors of 128 bits. (Intel VT-d Architecture Specification, Rev. 4.1,
// §6.5.2)
#pragma once

#include <cstdint>

#include "spec/register.hpp"

namespace touka::spec::vtd {

struct InvalidationDescriptor {
    std::uint64_t low = 0, high = 0;
};
static_assert(sizeof(InvalidationDescriptor) == 16);

/// Bits 3:0 and, as bits 6:4 of the number, 11:9.
enum class DescriptorType : std::uint8_t {
    kContextCache = 1,
    kIotlb = 2,
    kDeviceTlb = 3,
    kInterruptEntryCache = 4,
    kWait = 5,
};
constexpr std::uint8_t descriptor_type(std::uint64_t low) {
    return static_cast<std::uint8_t>((low & 0xF) | (low >> 9 & 7) << 4);
}

/// Of context cache and IOTLB invalidations.
enum class Granularity : std::uint8_t { kReserved = 0, kGlobal = 1, kDomain = 2, kSelective = 3 };

namespace context_cache_descriptor {
using Low = Register<std::uint64_t, struct ContextCacheDescriptorTag>;
inline constexpr Field<ContextCacheDescriptorTag, 4, 2, Granularity> G; // selective: one device
inline constexpr Field<ContextCacheDescriptorTag, 16, 16, std::uint16_t> DID;
inline constexpr Field<ContextCacheDescriptorTag, 32, 16, std::uint16_t> SID;
inline constexpr Field<ContextCacheDescriptorTag, 48, 2, std::uint8_t> FM;
inline constexpr std::uint64_t kReservedLow = 0xFFFC'0000'0000'F1C0, kReservedHigh = ~std::uint64_t{0};
} // namespace context_cache_descriptor

namespace iotlb_descriptor {
using Low = Register<std::uint64_t, struct IotlbDescriptorTag>;
inline constexpr Field<IotlbDescriptorTag, 4, 2, Granularity> G; // selective: pages of a domain
inline constexpr Field<IotlbDescriptorTag, 6, 1, bool> DW;
inline constexpr Field<IotlbDescriptorTag, 7, 1, bool> DR;
inline constexpr Field<IotlbDescriptorTag, 16, 16, std::uint16_t> DID;
/// The high half is laid out as the Invalidate Address register.
inline constexpr std::uint64_t kReservedLow = 0xFFFF'FFFF'0000'F100, kReservedHigh = 0xF80;
} // namespace iotlb_descriptor

namespace device_tlb_descriptor {
using Low = Register<std::uint64_t, struct DeviceTlbDescriptorTag>;
inline constexpr Field<DeviceTlbDescriptorTag, 16, 5, std::uint8_t> MIP; // invalidations the device queues
inline constexpr Field<DeviceTlbDescriptorTag, 32, 16, std::uint16_t> SID;
inline constexpr std::uint64_t kReservedLow = 0x000F'0000'FFE0'01F0, kReservedHigh = 0xFFE;
/// With S the range is 2^(n + 1) pages, n the lowest clear bit of the address from bit 12 up. (PCIe Base 5.0 §10.3.1)
using High = Register<std::uint64_t, struct DeviceTlbDescriptorHighTag>;
inline constexpr Field<DeviceTlbDescriptorHighTag, 0, 1, bool> S;
inline constexpr std::uint64_t kAddress = ~std::uint64_t{0xFFF};
} // namespace device_tlb_descriptor

namespace interrupt_cache_descriptor {
inline constexpr std::uint64_t kReservedLow = 0xFFFF'0000'07FF'F1E0, kReservedHigh = ~std::uint64_t{0};
}

namespace wait_descriptor {
using Low = Register<std::uint64_t, struct WaitDescriptorTag>;
inline constexpr Field<WaitDescriptorTag, 4, 1, bool> IF; // interrupt when done
inline constexpr Field<WaitDescriptorTag, 5, 1, bool> SW; // status write when done
inline constexpr Field<WaitDescriptorTag, 6, 1, bool> FN; // what follows waits, too
inline constexpr Field<WaitDescriptorTag, 32, 32, std::uint32_t> STATUS_DATA;
inline constexpr std::uint64_t kReservedLow = 0xFFFF'F180, kReservedHigh = 0x3;
inline constexpr std::uint64_t kStatusAddress = ~std::uint64_t{3};
} // namespace wait_descriptor

} // namespace touka::spec::vtd
