#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include <fmt/format.h>

namespace touka::platform {

/// Bus, device and function number: a place on the bus, and a requester's ID. (PCIe Base 5.0 §2.2.6.2)
struct PciAddress {
    std::uint8_t bus = 0;
    std::uint8_t device = 0;   ///< 0 ..= 31
    std::uint8_t function = 0; ///< 0 ..= 7
    auto operator<=>(const PciAddress&) const = default;
    /// "00:1f.0", as lspci prints it.
    [[nodiscard]] std::string text() const { return fmt::format("{:02x}:{:02x}.{:x}", bus, device, function); }
};

} // namespace touka::platform
