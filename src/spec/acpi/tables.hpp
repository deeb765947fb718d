// The fixed-format tables of ACPI. (ACPI Specification 6.4 §5.2; IA-PC HPET Specification 1.0a §3.2.4; PCI Firmware
// Specification 3.3 §4.1.2; all fields little-endian)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace touka::spec::acpi {

using Signature = std::array<char, 4>;

/// §5.2.5.3 Root System Description Pointer.
struct [[gnu::packed]] Rsdp {
    std::array<char, 8> Signature;
    std::uint8_t Checksum; // over the first 20 bytes
    std::array<char, 6> OEMID;
    std::uint8_t Revision;
    std::uint32_t RsdtAddress;
    std::uint32_t Length;
    std::uint64_t XsdtAddress;
    std::uint8_t ExtendedChecksum; // over all
    std::array<std::uint8_t, 3> Reserved;
};
static_assert(sizeof(Rsdp) == 36);
inline constexpr std::size_t kRsdpChecksummedBytes = 20;

/// §5.2.6 System Description Table Header.
struct [[gnu::packed]] TableHeader {
    acpi::Signature Signature;
    std::uint32_t Length;
    std::uint8_t Revision;
    std::uint8_t Checksum;
    std::array<char, 6> OEMID;
    std::array<char, 8> OEMTableID;
    std::uint32_t OEMRevision;
    std::array<char, 4> CreatorID;
    std::uint32_t CreatorRevision;
};
static_assert(sizeof(TableHeader) == 36 && offsetof(TableHeader, Checksum) == 9);

/// §5.2.3.2 Generic Address Structure.
struct [[gnu::packed]] GenericAddress {
    std::uint8_t AddressSpaceID;
    std::uint8_t RegisterBitWidth;
    std::uint8_t RegisterBitOffset;
    std::uint8_t AccessSize;
    std::uint64_t Address;
};
static_assert(sizeof(GenericAddress) == 12);
namespace address_space {
inline constexpr std::uint8_t SystemMemory = 0, SystemIO = 1;
}
namespace access_size {
inline constexpr std::uint8_t Undefined = 0, Byte = 1, Word = 2, Dword = 3, Qword = 4;
}

/// §5.2.9 Fixed ACPI Description Table, without its header.
struct [[gnu::packed]] FadtBody {
    std::uint32_t FIRMWARE_CTRL;
    std::uint32_t DSDT;
    std::uint8_t Reserved0;
    std::uint8_t Preferred_PM_Profile;
    std::uint16_t SCI_INT;
    std::uint32_t SMI_CMD;
    std::uint8_t ACPI_ENABLE;
    std::uint8_t ACPI_DISABLE;
    std::uint8_t S4BIOS_REQ;
    std::uint8_t PSTATE_CNT;
    std::uint32_t PM1a_EVT_BLK;
    std::uint32_t PM1b_EVT_BLK;
    std::uint32_t PM1a_CNT_BLK;
    std::uint32_t PM1b_CNT_BLK;
    std::uint32_t PM2_CNT_BLK;
    std::uint32_t PM_TMR_BLK;
    std::uint32_t GPE0_BLK;
    std::uint32_t GPE1_BLK;
    std::uint8_t PM1_EVT_LEN;
    std::uint8_t PM1_CNT_LEN;
    std::uint8_t PM2_CNT_LEN;
    std::uint8_t PM_TMR_LEN;
    std::uint8_t GPE0_BLK_LEN;
    std::uint8_t GPE1_BLK_LEN;
    std::uint8_t GPE1_BASE;
    std::uint8_t CST_CNT;
    std::uint16_t P_LVL2_LAT;
    std::uint16_t P_LVL3_LAT;
    std::uint16_t FLUSH_SIZE;
    std::uint16_t FLUSH_STRIDE;
    std::uint8_t DUTY_OFFSET;
    std::uint8_t DUTY_WIDTH;
    std::uint8_t DAY_ALRM;
    std::uint8_t MON_ALRM;
    std::uint8_t CENTURY;
    std::uint16_t IAPC_BOOT_ARCH;
    std::uint8_t Reserved1;
    std::uint32_t Flags;
    GenericAddress RESET_REG;
    std::uint8_t RESET_VALUE;
    std::uint16_t ARM_BOOT_ARCH;
    std::uint8_t FADT_Minor_Version;
    std::uint64_t X_FIRMWARE_CTRL;
    std::uint64_t X_DSDT;
    GenericAddress X_PM1a_EVT_BLK;
    GenericAddress X_PM1b_EVT_BLK;
    GenericAddress X_PM1a_CNT_BLK;
    GenericAddress X_PM1b_CNT_BLK;
    GenericAddress X_PM2_CNT_BLK;
    GenericAddress X_PM_TMR_BLK;
    GenericAddress X_GPE0_BLK;
    GenericAddress X_GPE1_BLK;
    GenericAddress SLEEP_CONTROL_REG;
    GenericAddress SLEEP_STATUS_REG;
    std::array<char, 8> HypervisorVendorIdentity;
};
static_assert(sizeof(TableHeader) + sizeof(FadtBody) == 276);
static_assert(sizeof(TableHeader) + offsetof(FadtBody, Flags) == 112 &&
              sizeof(TableHeader) + offsetof(FadtBody, X_DSDT) == 140);

/// §5.2.9 table 5.10: Fixed ACPI Description Table Fixed Feature Flags.
namespace fadt_flags {
inline constexpr std::uint32_t WBINVD = 1u << 0, PROC_C1 = 1u << 2, PWR_BUTTON = 1u << 4, SLP_BUTTON = 1u << 5,
                               FIX_RTC = 1u << 6, RTC_S4 = 1u << 7, TMR_VAL_EXT = 1u << 8, RESET_REG_SUP = 1u << 10,
                               PCI_EXP_WAK = 1u << 14, HW_REDUCED_ACPI = 1u << 20;
}
/// §5.2.9.3 table 5.11: IA-PC Boot Architecture Flags.
namespace iapc_boot_arch {
inline constexpr std::uint16_t LEGACY_DEVICES = 1u << 0, I8042 = 1u << 1, VGA_NOT_PRESENT = 1u << 2,
                               MSI_NOT_SUPPORTED = 1u << 3, PCIE_ASPM_CONTROLS = 1u << 4,
                               CMOS_RTC_NOT_PRESENT = 1u << 5;
}
inline constexpr std::uint8_t kProfileEnterpriseServer = 4;

/// §5.2.10 Firmware ACPI Control Structure; 64-byte aligned, without a checksum.
struct [[gnu::packed]] Facs {
    acpi::Signature Signature;
    std::uint32_t Length;
    std::uint32_t HardwareSignature;
    std::uint32_t FirmwareWakingVector;
    std::uint32_t GlobalLock;
    std::uint32_t Flags;
    std::uint64_t X_FirmwareWakingVector;
    std::uint8_t Version;
    std::array<std::uint8_t, 3> Reserved0;
    std::uint32_t OSPMFlags;
    std::array<std::uint8_t, 24> Reserved1;
};
static_assert(sizeof(Facs) == 64);

/// §5.2.12 Multiple APIC Description Table, what follows the header before the list of structures.
struct [[gnu::packed]] MadtBody {
    std::uint32_t LocalInterruptControllerAddress;
    std::uint32_t Flags;
};
static_assert(sizeof(MadtBody) == 8);
inline constexpr std::uint32_t kMadtPcatCompat = 1;
inline constexpr std::uint32_t kMadtProcessorEnabled = 1;

/// §5.2.12.2
struct [[gnu::packed]] ProcessorLocalApic {
    std::uint8_t Type = 0, Length = 8;
    std::uint8_t ACPIProcessorUID;
    std::uint8_t APICID;
    std::uint32_t Flags;
};
static_assert(sizeof(ProcessorLocalApic) == 8);

/// §5.2.12.3
struct [[gnu::packed]] IoApicStructure {
    std::uint8_t Type = 1, Length = 12;
    std::uint8_t IOAPICID;
    std::uint8_t Reserved = 0;
    std::uint32_t IOAPICAddress;
    std::uint32_t GlobalSystemInterruptBase;
};
static_assert(sizeof(IoApicStructure) == 12);

/// §5.2.12.5
struct [[gnu::packed]] InterruptSourceOverride {
    std::uint8_t Type = 2, Length = 10;
    std::uint8_t Bus = 0; // ISA
    std::uint8_t Source;
    std::uint32_t GlobalSystemInterrupt;
    std::uint16_t Flags;
};
static_assert(sizeof(InterruptSourceOverride) == 10);

/// §5.2.12.5 table 5.26: MPS INTI Flags.
namespace mps_inti {
inline constexpr std::uint16_t Conforming = 0, ActiveHigh = 1, LevelTriggered = 3u << 2;
}

/// §5.2.12.7
struct [[gnu::packed]] LocalApicNmi {
    std::uint8_t Type = 4, Length = 6;
    std::uint8_t ACPIProcessorUID; // FFh: all processors
    std::uint16_t Flags;
    std::uint8_t LocalAPICLINT;
};
static_assert(sizeof(LocalApicNmi) == 6);

/// §5.2.12.12
struct [[gnu::packed]] ProcessorLocalX2Apic {
    std::uint8_t Type = 9, Length = 16;
    std::uint16_t Reserved = 0;
    std::uint32_t X2APICID;
    std::uint32_t Flags;
    std::uint32_t ACPIProcessorUID;
};
static_assert(sizeof(ProcessorLocalX2Apic) == 16);

/// §5.2.12.13
struct [[gnu::packed]] LocalX2ApicNmi {
    std::uint8_t Type = 10, Length = 12;
    std::uint16_t Flags;
    std::uint32_t ACPIProcessorUID; // FFFFFFFFh: all processors
    std::uint8_t LocalX2APICLINT;
    std::array<std::uint8_t, 3> Reserved{};
};
static_assert(sizeof(LocalX2ApicNmi) == 12);

/// PCI Firmware Specification 3.3 §4.1.2 table 4-3: one allocation of MCFG, after 8 reserved bytes.
struct [[gnu::packed]] McfgAllocation {
    std::uint64_t BaseAddress;
    std::uint16_t PCISegmentGroupNumber;
    std::uint8_t StartBusNumber;
    std::uint8_t EndBusNumber;
    std::uint32_t Reserved;
};
static_assert(sizeof(McfgAllocation) == 16);

/// IA-PC HPET Specification 1.0a §3.2.4 table 3.
struct [[gnu::packed]] HpetBody {
    std::uint32_t EventTimerBlockID;
    GenericAddress BaseAddress;
    std::uint8_t HPETNumber;
    std::uint16_t MinimumClockTick;
    std::uint8_t PageProtection;
};
static_assert(sizeof(TableHeader) + sizeof(HpetBody) == 56);

} // namespace touka::spec::acpi
