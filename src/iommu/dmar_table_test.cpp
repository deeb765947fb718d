#include "iommu/dmar_table.hpp"

#include "platform/acpi/acpi_tables.hpp"
#include "platform/acpi/test_iasl.hpp"
#include "platform/boot/memory_map.hpp"

namespace touka::iommu {
namespace {

constexpr RequesterId kIoApic{0xFF08}; // ff:01.0

TEST(DmarTable, IasLAcceptsItAndReadsItAsTheGoldenFile) {
    const DmarDescription description{.registers = spec::GuestAddress{0xFED9'0000},
                                      .io_apic_id = 2,
                                      .io_apic_requester = kIoApic,
                                      .root_ports_have_ats = true};
    platform::acpi::check_with_iasl("DMAR", make_dmar(description, {}),
                                    std::filesystem::path(__FILE__).parent_path() / "golden");
}

TEST(DmarTable, SaysNothingOfWhatTheUnitHasNot) {
    const auto table = make_dmar({.registers = spec::GuestAddress{0xFED9'0000}, .io_apic_requester = kIoApic},
                                 {.host_address_width = 39, .interrupt_remapping = false});
    EXPECT_EQ(table.size(), 36u + 12 + 16 + 8);
    EXPECT_EQ(table[36], 38);
    EXPECT_EQ(table[37], 0);
}

TEST(DmarTable, StandsAmongTheTables) {
    const auto table = make_dmar({.registers = spec::GuestAddress{0xFED9'0000}, .io_apic_requester = kIoApic}, {});
    const auto all = platform::acpi::make_acpi_tables({}, platform::boot::kAcpiArea, {table}).value();
    EXPECT_EQ(all.tables.back().signature, "DMAR");
}

} // namespace
} // namespace touka::iommu
