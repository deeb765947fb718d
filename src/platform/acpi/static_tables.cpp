#include "platform/acpi/static_tables.hpp"

#include <cstring>

#include "platform/acpi/table_builder.hpp"

namespace touka::platform::acpi {
namespace {

using namespace spec::acpi;

// Offsets of the register blocks in the power management ports. (ICH9 datasheet 316972-004 §13.8.3)
constexpr std::uint16_t kPm1aEvent = 0x00, kPm1aControl = 0x04, kPmTimer = 0x08, kGpe0 = 0x20;
constexpr std::uint8_t kPm1aEventBytes = 4, kPm1aControlBytes = 2, kPmTimerBytes = 4, kGpe0Bytes = 16;

GenericAddress io_register(std::uint16_t port, unsigned length_bytes, std::uint8_t access) {
    return {.AddressSpaceID = address_space::SystemIO,
            .RegisterBitWidth = static_cast<std::uint8_t>(length_bytes * 8),
            .RegisterBitOffset = 0,
            .AccessSize = access,
            .Address = port};
}

std::uint16_t offset(const PlatformLayout& layout, std::uint16_t block) {
    return static_cast<std::uint16_t>(layout.pm_base + block);
}

} // namespace

TableBytes make_fadt(const PlatformLayout& layout, GuestAddress facs, GuestAddress dsdt) {
    FadtBody body{};
    body.FIRMWARE_CTRL = static_cast<std::uint32_t>(facs.value); // X_FIRMWARE_CTRL must then be zero
    body.DSDT = static_cast<std::uint32_t>(dsdt.value);
    body.X_DSDT = dsdt.value;
    body.Preferred_PM_Profile = kProfileEnterpriseServer;
    body.SCI_INT = layout.sci_irq;
    body.PM1a_EVT_BLK = offset(layout, kPm1aEvent);
    body.PM1a_CNT_BLK = offset(layout, kPm1aControl);
    body.PM_TMR_BLK = offset(layout, kPmTimer);
    body.GPE0_BLK = offset(layout, kGpe0);
    body.PM1_EVT_LEN = kPm1aEventBytes;
    body.PM1_CNT_LEN = kPm1aControlBytes;
    body.PM_TMR_LEN = kPmTimerBytes;
    body.GPE0_BLK_LEN = kGpe0Bytes;
    body.X_PM1a_EVT_BLK = io_register(offset(layout, kPm1aEvent), kPm1aEventBytes, access_size::Word);
    body.X_PM1a_CNT_BLK = io_register(offset(layout, kPm1aControl), kPm1aControlBytes, access_size::Word);
    body.X_PM_TMR_BLK = io_register(offset(layout, kPmTimer), kPmTimerBytes, access_size::Dword);
    body.X_GPE0_BLK = io_register(offset(layout, kGpe0), kGpe0Bytes, access_size::Byte);
    body.P_LVL2_LAT = 101;  // more than 100 µs: no C2
    body.P_LVL3_LAT = 1001; // more than 1000 µs: no C3
    body.CENTURY = 0x32;    // the CMOS byte where every PC has it
    body.IAPC_BOOT_ARCH = iapc_boot_arch::LEGACY_DEVICES | iapc_boot_arch::I8042 | iapc_boot_arch::VGA_NOT_PRESENT |
                          iapc_boot_arch::PCIE_ASPM_CONTROLS;
    // PWR_BUTTON clear: the power button is in PM1. SLP_BUTTON set: there is no sleep button there.
    body.Flags = fadt_flags::WBINVD | fadt_flags::PROC_C1 | fadt_flags::SLP_BUTTON | fadt_flags::FIX_RTC |
                 fadt_flags::TMR_VAL_EXT | fadt_flags::RESET_REG_SUP;
    body.RESET_REG = io_register(layout.reset_port, 1, access_size::Byte);
    body.RESET_VALUE = layout.reset_value;
    body.FADT_Minor_Version = 4;
    body.HypervisorVendorIdentity = {'T', 'o', 'u', 'k', 'a'};
    return TableBuilder({'F', 'A', 'C', 'P'}, 6).append(body).finish();
}

TableBytes make_facs() {
    Facs facs{};
    facs.Signature = {'F', 'A', 'C', 'S'};
    facs.Length = sizeof facs;
    facs.Version = 2;
    TableBytes bytes(sizeof facs);
    std::memcpy(bytes.data(), &facs, sizeof facs);
    return bytes;
}

TableBytes make_madt(const PlatformLayout& layout) {
    constexpr std::uint32_t kFirstX2ApicOnlyId = 0xFF;
    TableBuilder table({'A', 'P', 'I', 'C'}, 5);
    table.append(MadtBody{.LocalInterruptControllerAddress = static_cast<std::uint32_t>(layout.local_apic.value),
                          .Flags = kMadtPcatCompat});
    bool needs_x2apic = false;
    for (std::uint32_t uid = 0; uid < layout.apic_ids.size(); ++uid) {
        const std::uint32_t id = layout.apic_ids[uid];
        if (id < kFirstX2ApicOnlyId && uid < kFirstX2ApicOnlyId) {
            table.append(ProcessorLocalApic{.ACPIProcessorUID = static_cast<std::uint8_t>(uid),
                                            .APICID = static_cast<std::uint8_t>(id),
                                            .Flags = kMadtProcessorEnabled});
        } else {
            table.append(ProcessorLocalX2Apic{.X2APICID = id, .Flags = kMadtProcessorEnabled, .ACPIProcessorUID = uid});
            needs_x2apic = true;
        }
    }
    table.append(IoApicStructure{.IOAPICID = layout.io_apic_id,
                                 .IOAPICAddress = static_cast<std::uint32_t>(layout.io_apic.value),
                                 .GlobalSystemInterruptBase = 0});
    table.append(InterruptSourceOverride{.Source = 0, .GlobalSystemInterrupt = 2, .Flags = mps_inti::Conforming});
    table.append(InterruptSourceOverride{.Source = layout.sci_irq,
                                         .GlobalSystemInterrupt = layout.sci_irq,
                                         .Flags = mps_inti::ActiveHigh | mps_inti::LevelTriggered});
    table.append(LocalApicNmi{.ACPIProcessorUID = 0xFF, .Flags = mps_inti::Conforming, .LocalAPICLINT = 1});
    if (needs_x2apic) {
        table.append(
            LocalX2ApicNmi{.Flags = mps_inti::Conforming, .ACPIProcessorUID = 0xFFFF'FFFF, .LocalX2APICLINT = 1});
    }
    return table.finish();
}

TableBytes make_mcfg(const PlatformLayout& layout) {
    constexpr std::uint64_t kReserved = 0;
    return TableBuilder({'M', 'C', 'F', 'G'}, 1)
        .append(kReserved)
        .append(McfgAllocation{.BaseAddress = layout.ecam.start.value,
                               .PCISegmentGroupNumber = 0,
                               .StartBusNumber = 0,
                               .EndBusNumber = static_cast<std::uint8_t>(layout.pci_bus_count() - 1),
                               .Reserved = 0})
        .finish();
}

TableBytes make_hpet(const PlatformLayout& layout) {
    return TableBuilder({'H', 'P', 'E', 'T'}, 1)
        .append(HpetBody{.EventTimerBlockID = layout.hpet_block_id,
                         .BaseAddress = {.AddressSpaceID = address_space::SystemMemory,
                                         .RegisterBitWidth = 64,
                                         .RegisterBitOffset = 0,
                                         .AccessSize = access_size::Undefined,
                                         .Address = layout.hpet.value},
                         .HPETNumber = 0,
                         .MinimumClockTick = layout.hpet_minimum_tick,
                         .PageProtection = 0})
        .finish();
}

TableBytes make_xsdt(std::span<const GuestAddress> tables) {
    TableBuilder table({'X', 'S', 'D', 'T'}, 1);
    for (const auto address : tables) table.append(address.value);
    return table.finish();
}

TableBytes make_rsdp(GuestAddress xsdt) {
    Rsdp rsdp{.Signature = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '},
              .Checksum = 0,
              .OEMID = {'T', 'O', 'U', 'K', 'A', ' '},
              .Revision = 2,
              .RsdtAddress = 0,
              .Length = sizeof(Rsdp),
              .XsdtAddress = xsdt.value,
              .ExtendedChecksum = 0,
              .Reserved = {}};
    TableBytes bytes(sizeof rsdp);
    std::memcpy(bytes.data(), &rsdp, sizeof rsdp);
    bytes[offsetof(Rsdp, Checksum)] = checksum(std::span(bytes).first(kRsdpChecksummedBytes));
    bytes[offsetof(Rsdp, ExtendedChecksum)] = checksum(bytes);
    return bytes;
}

} // namespace touka::platform::acpi
