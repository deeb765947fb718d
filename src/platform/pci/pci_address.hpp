#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include <fmt/format.h>

namespace touka::platform {

/// Bus, device and function number: a place on the bus, and a requester's ID. (PCIe Base 5.0 §2.2.6.2) Below a port
/// that forwards alternative routing IDs, device and function are one function number of eight bits. (§6.13)
struct PciAddress {
    std::uint8_t bus = 0;
    std::uint8_t device = 0;   ///< 0 ..= 31
    std::uint8_t function = 0; ///< 0 ..= 7
    auto operator<=>(const PciAddress&) const = default;

    [[nodiscard]] static constexpr PciAddress from(std::uint8_t bus, std::uint8_t devfn) {
        return {bus, static_cast<std::uint8_t>(devfn >> 3), static_cast<std::uint8_t>(devfn & 7)};
    }
    [[nodiscard]] constexpr std::uint8_t devfn() const { return static_cast<std::uint8_t>(device << 3 | function); }
    [[nodiscard]] constexpr std::uint16_t requester_id() const {
        return static_cast<std::uint16_t>(bus << 8 | devfn());
    }
    /// "00:1f.0", as lspci prints it.
    [[nodiscard]] std::string text() const { return fmt::format("{:02x}:{:02x}.{:x}", bus, device, function); }
};

} // namespace touka::platform
