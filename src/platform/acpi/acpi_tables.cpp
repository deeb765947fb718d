#include "platform/acpi/acpi_tables.hpp"

#include <cstring>

#include "platform/acpi/dsdt.hpp"

namespace touka::platform::acpi {
namespace {

/// Gives out addresses from the area's start on; 64-byte alignment is what the FACS needs and suits all.
class Placer {
public:
    explicit Placer(AddressWindow area) : next_(area.start), end_(area.start + area.length_bytes) {}
    GuestAddress place(std::size_t length_bytes) {
        const GuestAddress address = next_;
        next_ = GuestAddress{(address.value + length_bytes + kAlignment - 1) / kAlignment * kAlignment};
        return address;
    }
    [[nodiscard]] bool fits() const { return next_ <= end_; }

private:
    static constexpr std::uint64_t kAlignment = 64;
    GuestAddress next_, end_;
};

} // namespace

std::expected<AcpiTables, AcpiError> make_acpi_tables(const PlatformLayout& layout, AddressWindow area,
                                                      std::vector<TableBytes> more) {
    std::vector<TableBytes> listed{make_madt(layout), make_mcfg(layout), make_hpet(layout)};
    for (auto& table : more) listed.push_back(std::move(table));

    Placer placer(area);
    const auto rsdp = placer.place(sizeof(spec::acpi::Rsdp));
    const auto xsdt = placer.place(sizeof(spec::acpi::TableHeader) + (listed.size() + 1) * sizeof(std::uint64_t));
    auto facs_bytes = make_facs();
    const auto facs = placer.place(facs_bytes.size());
    auto dsdt_bytes = make_dsdt(layout);
    const auto dsdt = placer.place(dsdt_bytes.size());
    auto fadt_bytes = make_fadt(layout, facs, dsdt);
    std::vector<GuestAddress> addresses{placer.place(fadt_bytes.size())};
    for (const auto& table : listed) addresses.push_back(placer.place(table.size()));
    if (!placer.fits()) return std::unexpected(AcpiError::kAreaTooSmall);

    AcpiTables all{.rsdp = rsdp, .tables = {}};
    all.tables.push_back({"RSDP", rsdp, make_rsdp(xsdt)});
    all.tables.push_back({"XSDT", xsdt, make_xsdt(addresses)});
    all.tables.push_back({"FACS", facs, std::move(facs_bytes)});
    all.tables.push_back({"DSDT", dsdt, std::move(dsdt_bytes)});
    all.tables.push_back({"FACP", addresses[0], std::move(fadt_bytes)});
    for (std::size_t i = 0; i < listed.size(); ++i) {
        std::string signature(listed[i].begin(), listed[i].begin() + sizeof(spec::acpi::Signature));
        all.tables.push_back({std::move(signature), addresses[i + 1], std::move(listed[i])});
    }
    return all;
}

std::expected<void, AcpiError> write_acpi_tables(const memory::GuestMemory& memory, const AcpiTables& tables) {
    for (const auto& table : tables.tables) {
        const auto to = memory.span(table.address, table.bytes.size());
        if (to.empty()) return std::unexpected(AcpiError::kNoGuestMemory);
        std::memcpy(to.data(), table.bytes.data(), to.size());
    }
    return {};
}

} // namespace touka::platform::acpi
