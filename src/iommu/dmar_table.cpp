#include "iommu/dmar_table.hpp"

#include "platform/acpi/table_builder.hpp"
#include "spec/vtd/dmar_table.hpp"

namespace touka::iommu {

using namespace spec::vtd;

std::vector<std::uint8_t> make_dmar(const DmarDescription& description, const RemappingUnitOptions& options) {
    const auto host_address_width = static_cast<std::uint8_t>(options.host_address_width - 1);
    const std::uint8_t flags = options.interrupt_remapping ? dmar_flags::INTR_REMAP : std::uint8_t{0};
    const RequesterId io_apic = description.io_apic_requester;
    platform::acpi::TableBuilder table({'D', 'M', 'A', 'R'}, kDmarRevision);
    table.append(DmarBody{.HostAddressWidth = host_address_width, .Flags = flags, .Reserved = {}})
        .append(Drhd{.Type = RemappingStructure::kDrhd,
                     .Length = sizeof(Drhd) + sizeof(DeviceScope),
                     .Flags = kIncludePciAll,
                     .Size = 0, // one page
                     .SegmentNumber = 0,
                     .RegisterBaseAddress = description.registers.value})
        .append(DeviceScope{.Type = kScopeIoApic,
                            .Length = sizeof(DeviceScope),
                            .Flags = 0,
                            .Reserved = 0,
                            .EnumerationId = description.io_apic_id,
                            .StartBusNumber = io_apic.bus(),
                            .Device = static_cast<std::uint8_t>(io_apic.device_function() >> 3),
                            .Function = static_cast<std::uint8_t>(io_apic.device_function() & 7)});
    if (description.root_ports_have_ats)
        table.append(Atsr{.Type = RemappingStructure::kAtsr,
                          .Length = sizeof(Atsr),
                          .Flags = kAllPorts,
                          .Reserved = 0,
                          .SegmentNumber = 0});
    return table.finish();
}

} // namespace touka::iommu
