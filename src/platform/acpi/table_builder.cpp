#include "platform/acpi/table_builder.hpp"

#include <cstring>

namespace touka::platform::acpi {

TableBuilder::TableBuilder(spec::acpi::Signature signature, std::uint8_t revision) {
    append(spec::acpi::TableHeader{
        .Signature = signature,
        .Length = 0,
        .Revision = revision,
        .Checksum = 0,
        .OEMID = {'T', 'O', 'U', 'K', 'A', ' '},
        .OEMTableID = {'T', 'O', 'U', 'K', 'A', 'V', 'M', ' '},
        .OEMRevision = 1,
        .CreatorID = {'T', 'O', 'U', 'K'},
        .CreatorRevision = 1,
    });
}

TableBuilder& TableBuilder::append_bytes(std::span<const std::uint8_t> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
}

std::vector<std::uint8_t> TableBuilder::finish() {
    const auto length = static_cast<std::uint32_t>(bytes_.size());
    std::memcpy(bytes_.data() + offsetof(spec::acpi::TableHeader, Length), &length, sizeof length);
    bytes_[offsetof(spec::acpi::TableHeader, Checksum)] = checksum(bytes_);
    return std::move(bytes_);
}

std::uint8_t checksum(std::span<const std::uint8_t> bytes) {
    std::uint8_t sum = 0;
    for (const auto byte : bytes) sum = static_cast<std::uint8_t>(sum + byte);
    return static_cast<std::uint8_t>(-sum);
}

} // namespace touka::platform::acpi
