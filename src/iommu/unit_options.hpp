#pragma once

#include <chrono>
#include <cstdint>

#include "spec/vtd/capabilities.hpp"
#include "spec/vtd/registers.hpp"

namespace touka::iommu {

/// What a remapping unit is made with.
struct RemappingUnitOptions {
    /// HAW: physical addresses of the guest have so many bits; greater ones are reserved bits in tables.
    unsigned host_address_width = 46;
    /// CAP.CM. Off is right where tables are read when a device needs them, as here: entries that are not present are
    /// never kept, so that a guest need not tell about new ones. On is for a machine that shadows the tables, as for
    /// functions of the host behind VFIO: there every change has to be told.
    bool caching_mode = false;
    /// ECAP.IR and EIM: interrupts.
    bool interrupt_remapping = true;
    /// How long a device-TLB may take to answer before ITE. (PCIe Base 5.0 §10.3.1: one minute, half as much more)
    std::uint64_t device_tlb_timeout_ns = 60'000'000'000;
    /// A processor that turns translation on or off stands in that write until it is done, so long at most. Functions
    /// of the host are given all of the memory then, or what the tables map, which takes its time with much of it;
    /// Linux waits ten seconds for the status after the write, and panics.
    std::chrono::milliseconds longest_switch{0};
};

/// Address widths: of the unit, and what SAGAW says of tables of three and of four levels.
inline constexpr unsigned kAddressWidth = 48;
inline constexpr std::uint8_t kThreeLevels = 1 << 1, kFourLevels = 1 << 2;
/// Requests to it are interrupts, whatever the tables say. (§3.14)
inline constexpr std::uint64_t kInterruptRange = 0xFEE0'0000, kInterruptRangeBytes = 0x10'0000;
constexpr bool in_interrupt_range(std::uint64_t address) { return address - kInterruptRange < kInterruptRangeBytes; }
inline constexpr unsigned kFaultRecordCount = 8;
inline constexpr std::uint8_t kGreatestAddressMask = 18; // 1 GiB
inline constexpr std::uint8_t kGreatestHandleMask = 15;

constexpr spec::vtd::Capabilities capabilities(const RemappingUnitOptions& options) {
    using namespace spec::vtd;
    return Capabilities{}
        .set(cap::ND, std::uint8_t{6})
        .set(cap::CM, options.caching_mode)
        .set(cap::SAGAW, std::uint8_t{kThreeLevels | kFourLevels})
        .set(cap::MGAW, std::uint8_t{kAddressWidth - 1})
        .set(cap::ZLR, true)
        .set(cap::FRO, static_cast<std::uint16_t>(static_cast<std::uint32_t>(Offset::FRCD) / 16))
        .set(cap::SSLPS, std::uint8_t{3})
        .set(cap::PSI, true)
        .set(cap::NFR, std::uint8_t{kFaultRecordCount - 1})
        .set(cap::MAMV, kGreatestAddressMask)
        .set(cap::DWD, true)
        .set(cap::DRD, true);
}

constexpr spec::vtd::ExtendedCapabilities extended_capabilities(const RemappingUnitOptions& options) {
    using namespace spec::vtd;
    return ExtendedCapabilities{}
        .set(ecap::C, true)
        .set(ecap::QI, true)
        .set(ecap::DT, true)
        .set(ecap::IR, options.interrupt_remapping)
        .set(ecap::EIM, options.interrupt_remapping)
        .set(ecap::PT, true)
        .set(ecap::SC, true)
        .set(ecap::IRO, static_cast<std::uint16_t>(static_cast<std::uint32_t>(Offset::IVA) / 16))
        .set(ecap::MHMV, kGreatestHandleMask);
}

} // namespace touka::iommu
