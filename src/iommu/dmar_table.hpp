#pragma once

#include <cstdint>
#include <vector>

#include "iommu/requester_id.hpp"
#include "iommu/unit_options.hpp"
#include "spec/address.hpp"

namespace touka::iommu {

/// What the guest has to know to find the unit.
struct DmarDescription {
    spec::GuestAddress registers;
    std::uint8_t io_apic_id = 0;      ///< as in the MADT
    RequesterId io_apic_requester;    ///< what the I/O APIC's interrupts come from
    bool root_ports_have_ats = false; ///< functions below root ports may have device-TLBs
};

/// The DMAR table, complete with its checksum: one unit for all functions of segment 0 and the I/O APIC.
/// (VT-d Rev. 4.1 §8)
[[nodiscard]] std::vector<std::uint8_t> make_dmar(const DmarDescription& description,
                                                  const RemappingUnitOptions& options);

} // namespace touka::iommu
