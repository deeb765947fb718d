// The DMA remapping reporting table. (Intel VT-d Architecture Specification, Rev. 4.1, §8.1, §8.3, §8.3.1, §8.5)
#pragma once

#include <cstdint>

namespace touka::spec::vtd {

/// What follows the ACPI header. (§8.1)
struct [[gnu::packed]] DmarBody {
    std::uint8_t HostAddressWidth; // in bits, less one
    std::uint8_t Flags;
    std::uint8_t Reserved[10];
};
static_assert(sizeof(DmarBody) == 12);
namespace dmar_flags {
inline constexpr std::uint8_t INTR_REMAP = 1 << 0, X2APIC_OPT_OUT = 1 << 1;
}
inline constexpr std::uint8_t kDmarRevision = 1;

enum class RemappingStructure : std::uint16_t { kDrhd = 0, kRmrr = 1, kAtsr = 2 };

/// DMA Remapping Hardware Unit Definition; device scopes follow. (§8.3)
struct [[gnu::packed]] Drhd {
    RemappingStructure Type;
    std::uint16_t Length;
    std::uint8_t Flags;
    std::uint8_t Size; // 2^Size pages of registers
    std::uint16_t SegmentNumber;
    std::uint64_t RegisterBaseAddress;
};
static_assert(sizeof(Drhd) == 16);
inline constexpr std::uint8_t kIncludePciAll = 1 << 0; // every function that no other unit names

/// Root Port ATS Capability Reporting; device scopes follow. (§8.5)
struct [[gnu::packed]] Atsr {
    RemappingStructure Type;
    std::uint16_t Length;
    std::uint8_t Flags;
    std::uint8_t Reserved;
    std::uint16_t SegmentNumber;
};
static_assert(sizeof(Atsr) == 8);
inline constexpr std::uint8_t kAllPorts = 1 << 0;

/// Device scope with a path of one step. (§8.3.1)
struct [[gnu::packed]] DeviceScope {
    std::uint8_t Type;
    std::uint8_t Length;
    std::uint8_t Flags;
    std::uint8_t Reserved;
    std::uint8_t EnumerationId;
    std::uint8_t StartBusNumber;
    std::uint8_t Device;
    std::uint8_t Function;
};
static_assert(sizeof(DeviceScope) == 8);
inline constexpr std::uint8_t kScopeIoApic = 3;

} // namespace touka::spec::vtd
