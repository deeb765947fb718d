#include "platform/acpi/test_iasl.hpp"

#include "platform/acpi/acpi_tables.hpp"
#include "platform/boot/memory_map.hpp"

namespace touka::platform::acpi {
namespace {

/// Two processors and RAM beyond 4 GiB, so that every descriptor occurs.
PlatformLayout example_layout() {
    PlatformLayout layout;
    layout.apic_ids = {0, 1};
    layout.pci_window_64 = {GuestAddress{0x80'0000'0000}, 0x40'0000'0000};
    return layout;
}

class Iasl : public testing::TestWithParam<std::string> {};

TEST_P(Iasl, AcceptsTheTableAndReadsItAsTheGoldenFile) {
    const auto& signature = GetParam();
    TableBytes bytes;
    const auto tables = make_acpi_tables(example_layout(), boot::kAcpiArea).value();
    for (const auto& table : tables.tables) {
        if (table.signature == signature) bytes = table.bytes;
    }
    check_with_iasl(signature, bytes, std::filesystem::path(__FILE__).parent_path() / "golden");
}

INSTANTIATE_TEST_SUITE_P(Tables, Iasl, testing::Values("DSDT", "FACP", "FACS", "APIC", "MCFG", "HPET", "XSDT"),
                         [](const auto& tested) { return tested.param; });

} // namespace
} // namespace touka::platform::acpi
