// All ACPI tables of a machine, placed in guest memory.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "memory/guest_memory.hpp"
#include "platform/acpi/static_tables.hpp"

namespace touka::platform::acpi {

struct PlacedTable {
    std::string signature;
    GuestAddress address;
    TableBytes bytes;
};

struct AcpiTables {
    GuestAddress rsdp;
    std::vector<PlacedTable> tables; ///< ascending addresses; the RSDP is the first
};

enum class AcpiError {
    kAreaTooSmall,  ///< the tables do not fit where they are to go
    kNoGuestMemory, ///< the area is not RAM
};

/// Builds the tables for `area`: RSDP, XSDT, FACS, DSDT, FADT, MADT, MCFG, HPET, and `more`.
/// @param area where they go, below 4 GiB; its start is 16-byte aligned.
/// @param more complete tables of others (DMAR, SRAT, ...), each with its checksum, listed in the XSDT after ours.
[[nodiscard]] std::expected<AcpiTables, AcpiError> make_acpi_tables(const PlatformLayout& layout, AddressWindow area,
                                                                    std::vector<TableBytes> more = {});

/// Copies the tables to their places. To be repeated when the machine is reset: the guest may have written over them.
[[nodiscard]] std::expected<void, AcpiError> write_acpi_tables(const memory::GuestMemory& memory,
                                                               const AcpiTables& tables);

} // namespace touka::platform::acpi
