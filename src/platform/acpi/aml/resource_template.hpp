#pragma once

#include "platform/acpi/aml/term.hpp"
#include "platform/platform_layout.hpp"

namespace touka::platform::acpi::aml {

/// The contents of a _CRS, descriptor by descriptor. (ACPI Specification 6.4 §6.4)
class ResourceTemplate {
public:
    /// Ports that a device decodes. @param length 1 to 255.
    ResourceTemplate& io(std::uint16_t first, std::uint8_t length);
    /// An ISA interrupt, edge-triggered and active high. @param number 0 to 15.
    ResourceTemplate& irq(unsigned number);
    /// Memory that a device decodes, below 4 GiB or anywhere.
    ResourceTemplate& memory_fixed(AddressWindow window);
    /// What a PCI host bridge passes on to its buses.
    ResourceTemplate& bus_numbers(std::uint16_t first, std::uint16_t last);
    ResourceTemplate& io_window(std::uint16_t first, std::uint16_t last);
    ResourceTemplate& memory_window(AddressWindow window);

    /// The buffer, with its end tag.
    [[nodiscard]] Value build() const;

private:
    template <class Descriptor>
    ResourceTemplate& add(const Descriptor& descriptor);

    Bytes bytes_;
};

} // namespace touka::platform::acpi::aml
