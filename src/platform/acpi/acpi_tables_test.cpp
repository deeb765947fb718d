#include "platform/acpi/acpi_tables.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string_view>

#include "platform/boot/memory_map.hpp"

namespace touka::platform::acpi {
namespace {

using boot::kAcpiArea;

AcpiTables make_tables(const PlatformLayout& layout = {}) { return make_acpi_tables(layout, kAcpiArea).value(); }

const PlacedTable& find(const AcpiTables& tables, std::string_view signature) {
    return *std::ranges::find(tables.tables, signature, &PlacedTable::signature);
}

template <class T>
T read(const TableBytes& bytes, std::size_t offset) {
    T value{};
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

TEST(AcpiTables, EveryTableButTheFacsSumsToZero) {
    for (const auto& table : make_tables().tables) {
        if (table.signature == "FACS") continue;
        const auto sum = std::accumulate(table.bytes.begin(), table.bytes.end(), 0u);
        EXPECT_EQ(sum & 0xFF, 0u) << table.signature;
    }
}

TEST(AcpiTables, RsdpAlsoChecksItsFirstTwentyBytes) {
    const auto tables = make_tables();
    const auto& rsdp = find(tables, "RSDP").bytes;
    EXPECT_EQ(std::accumulate(rsdp.begin(), rsdp.begin() + 20, 0u) & 0xFF, 0u);
}

TEST(AcpiTables, LiesInTheBiosAreaWithoutOverlap) {
    const auto tables = make_tables();
    EXPECT_EQ(tables.rsdp, kAcpiArea.start);
    GuestAddress end = kAcpiArea.start;
    for (const auto& table : tables.tables) {
        EXPECT_GE(table.address, end) << table.signature;
        EXPECT_EQ(table.address.value % 16, 0u) << table.signature;
        end = table.address + table.bytes.size();
    }
    EXPECT_LE(end, kAcpiArea.start + kAcpiArea.length_bytes);
    EXPECT_EQ(find(tables, "FACS").address.value % 64, 0u);
}

TEST(AcpiTables, XsdtListsAllButWhatTheFadtPointsTo) {
    const auto tables = make_tables();
    const auto& xsdt = find(tables, "XSDT").bytes;
    std::vector<std::uint64_t> listed;
    for (std::size_t offset = 36; offset < xsdt.size(); offset += 8)
        listed.push_back(read<std::uint64_t>(xsdt, offset));
    std::vector<std::uint64_t> expected;
    for (const auto* signature : {"FACP", "APIC", "MCFG", "HPET"}) {
        expected.push_back(find(tables, signature).address.value);
    }
    EXPECT_EQ(listed, expected);
}

TEST(AcpiTables, AddsTablesOfOthersToTheXsdt) {
    auto dmar = make_hpet({});
    std::memcpy(dmar.data(), "DMAR", 4);
    const auto tables = make_acpi_tables({}, kAcpiArea, {dmar}).value();
    EXPECT_EQ(read<std::uint64_t>(find(tables, "XSDT").bytes, 36 + 4 * 8), find(tables, "DMAR").address.value);
}

TEST(AcpiTables, RefusesAnAreaThatIsTooSmall) {
    EXPECT_EQ(make_acpi_tables({}, {kAcpiArea.start, 0x400}).error(), AcpiError::kAreaTooSmall);
}

TEST(AcpiTables, DescribesTheLargestMachineInItsArea) {
    PlatformLayout layout;
    layout.apic_ids.resize(512);
    std::iota(layout.apic_ids.begin(), layout.apic_ids.end(), 0u);
    EXPECT_TRUE(make_acpi_tables(layout, kAcpiArea));
}

TEST(AcpiTables, CopiesTheTablesWhereTheySayTheyAre) {
    const auto memory = memory::GuestMemory::create(0x20'0000).value();
    const auto tables = make_tables();
    ASSERT_TRUE(write_acpi_tables(*memory, tables));
    EXPECT_EQ(std::memcmp(memory->base() + 0xE'0000, "RSD PTR ", 8), 0);
    for (const auto& table : tables.tables) {
        EXPECT_EQ(std::memcmp(memory->base() + table.address.value, table.bytes.data(), table.bytes.size()), 0);
    }
}

TEST(AcpiTables, RefusesToWriteOutsideOfRam) {
    const auto memory = memory::GuestMemory::create(0x8'0000).value();
    EXPECT_EQ(write_acpi_tables(*memory, make_tables()).error(), AcpiError::kNoGuestMemory);
}

TEST(Fadt, PointsToFacsAndDsdtAndToThePowerManagementPorts) {
    const auto tables = make_tables();
    const auto fadt = read<spec::acpi::FadtBody>(find(tables, "FACP").bytes, sizeof(spec::acpi::TableHeader));
    EXPECT_EQ(fadt.FIRMWARE_CTRL, find(tables, "FACS").address.value);
    EXPECT_EQ(fadt.X_FIRMWARE_CTRL, 0u);
    EXPECT_EQ(fadt.X_DSDT, find(tables, "DSDT").address.value);
    EXPECT_EQ(fadt.PM1a_EVT_BLK, 0x600u);
    EXPECT_EQ(fadt.PM1a_CNT_BLK, 0x604u);
    EXPECT_EQ(fadt.PM_TMR_BLK, 0x608u);
    EXPECT_EQ(fadt.GPE0_BLK, 0x620u);
    EXPECT_EQ(fadt.SMI_CMD, 0u);
    EXPECT_EQ(fadt.Flags & (spec::acpi::fadt_flags::HW_REDUCED_ACPI | spec::acpi::fadt_flags::PWR_BUTTON), 0u);
}

TEST(Madt, GivesProcessorsBeyondXapicAnX2apicEntry) {
    PlatformLayout layout;
    layout.apic_ids = {0, 1, 256};
    const auto madt = make_madt(layout);
    const auto first = read<spec::acpi::ProcessorLocalApic>(madt, 44);
    const auto third = read<spec::acpi::ProcessorLocalX2Apic>(madt, 44 + 2 * sizeof first);
    EXPECT_EQ(first.Type, 0);
    EXPECT_EQ(first.Flags, 1u);
    EXPECT_EQ(third.Type, 9);
    EXPECT_EQ(third.X2APICID, 256u);
    EXPECT_EQ(third.ACPIProcessorUID, 2u);
}

TEST(Mcfg, EndsAtTheLastBusOfTheWindow) {
    PlatformLayout layout;
    layout.ecam.length_bytes = 16 << 20;
    const auto mcfg = make_mcfg(layout);
    EXPECT_EQ(read<spec::acpi::McfgAllocation>(mcfg, 44).BaseAddress, layout.ecam.start.value);
    EXPECT_EQ(read<spec::acpi::McfgAllocation>(mcfg, 44).EndBusNumber, 15);
}

} // namespace
} // namespace touka::platform::acpi
