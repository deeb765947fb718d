#pragma once

#include <compare>
#include <cstdint>

#include "platform/pci/pci_address.hpp"

namespace touka::iommu {

/// Who sends a request: bus in bits 15:8, device in 7:3, function in 2:0. (PCIe Base 5.0 §2.2.6.2)
struct RequesterId {
    std::uint16_t value = 0;

    constexpr RequesterId() = default;
    constexpr explicit RequesterId(std::uint16_t v) : value(v) {}
    constexpr explicit RequesterId(const platform::PciAddress& address)
        : value(static_cast<std::uint16_t>(address.bus << 8 | address.device << 3 | address.function)) {}
    constexpr auto operator<=>(const RequesterId&) const = default;

    [[nodiscard]] constexpr std::uint8_t bus() const { return static_cast<std::uint8_t>(value >> 8); }
    [[nodiscard]] constexpr std::uint8_t device_function() const { return static_cast<std::uint8_t>(value); }
    /// Whether both are the same but for some of the lowest bits of the function number.
    /// @param left_out 0: none, 1: bit 2, 2: bits 2:1, 3: all three. (VT-d Rev. 4.1 §6.5.1.1 FM, §9.10 SQ)
    [[nodiscard]] constexpr bool matches(RequesterId other, std::uint8_t left_out) const {
        constexpr std::uint16_t kMasks[] = {0, 4, 6, 7};
        return ((value ^ other.value) & ~kMasks[left_out & 3]) == 0;
    }
};

} // namespace touka::iommu
