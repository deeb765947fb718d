#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "spec/acpi/tables.hpp"

namespace touka::platform::acpi {

/// The bytes of one table: its header first, length and checksum filled in at the end.
/// (ACPI Specification 6.4 §5.2.6)
class TableBuilder {
public:
    TableBuilder(spec::acpi::Signature signature, std::uint8_t revision);
    TableBuilder& append_bytes(std::span<const std::uint8_t> bytes);
    /// @tparam T a structure of spec/acpi/tables.hpp.
    template <class T>
    TableBuilder& append(const T& structure) {
        const auto raw = std::as_bytes(std::span{&structure, 1});
        return append_bytes({reinterpret_cast<const std::uint8_t*>(raw.data()), raw.size()});
    }
    /// The table, once.
    [[nodiscard]] std::vector<std::uint8_t> finish();

private:
    std::vector<std::uint8_t> bytes_;
};

/// The value that makes the sum of all bytes 0 modulo 256.
[[nodiscard]] std::uint8_t checksum(std::span<const std::uint8_t> bytes);

} // namespace touka::platform::acpi
