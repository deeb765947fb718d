// Which bits of a passed-through function's configuration space are not the device's own. (rule T1: shown as it is, and
// where not, listed here)
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "platform/pci/config_space.hpp"
#include "spec/pci/config_header.hpp"
#include "spec/pci/message_signalled.hpp"

namespace touka::devices::passthrough {

/// Where something stands in a configuration space; 0: there is none.
struct CapabilityPlaces {
    std::uint32_t msi = 0, msix = 0, express = 0, advanced_features = 0, power_management = 0;
};
/// @param bytes of the whole configuration space, from a device that is not trusted: loops and ends are checked.
[[nodiscard]] CapabilityPlaces find_capabilities(std::span<const std::uint8_t> bytes);

enum class WriteGoes {
    kToBoth,    ///< the machine and the device both need to know
    kToMachine, ///< the device's own value is of no use on the guest's bus
};

/// A register that the machine keeps.
struct EmulatedRegister {
    std::uint32_t offset;
    std::uint32_t mask; ///< of the register's 1 to 4 bytes: the bits that the machine shows
    unsigned width_bytes;
    WriteGoes write_goes;
    const char* reason;
};

/// The registers of every function: everything else but MSI and MSI-X is the device's.
inline constexpr std::array kEmulatedRegisters{
    EmulatedRegister{spec::pci::offset::kHeaderType, 0x80, 1, WriteGoes::kToMachine,
                     "whether there are other functions depends on the guest's bus"},
    EmulatedRegister{
        0x10, 0xFFFF'FFFF, 4, WriteGoes::kToMachine,
        "BAR 0: addresses are those of the guest's bus; what kind it is, in the low bits, says the device"},
    EmulatedRegister{0x14, 0xFFFF'FFFF, 4, WriteGoes::kToMachine, "BAR 1"},
    EmulatedRegister{0x18, 0xFFFF'FFFF, 4, WriteGoes::kToMachine, "BAR 2"},
    EmulatedRegister{0x1C, 0xFFFF'FFFF, 4, WriteGoes::kToMachine, "BAR 3"},
    EmulatedRegister{0x20, 0xFFFF'FFFF, 4, WriteGoes::kToMachine, "BAR 4"},
    EmulatedRegister{0x24, 0xFFFF'FFFF, 4, WriteGoes::kToMachine, "BAR 5"},
    EmulatedRegister{spec::pci::kExpansionRomOffset, 0xFFFF'FFFF, 4, WriteGoes::kToMachine,
                     "its address is one of the guest's bus; what is there, the machine has a copy of"},
    EmulatedRegister{spec::pci::offset::kInterruptLine, 0xFF, 1, WriteGoes::kToMachine,
                     "routing is the guest's firmware's"},
};

/// Decides byte by byte who answers for a configuration space.
class ConfigFilter {
public:
    /// @param device the device's configuration space as it is now.
    /// @param shown gets the registers that the machine keeps defined, with their values and what can be written.
    /// @param has_intx whether the transport brings INTx: else no pin is shown.
    ConfigFilter(std::span<const std::uint8_t> device, const CapabilityPlaces& places, bool has_intx,
                 platform::ConfigSpace& shown);

    /// The device's value with the machine's bits in it.
    [[nodiscard]] std::uint32_t merge(std::uint32_t offset, unsigned width_bytes, std::uint32_t device,
                                      std::uint32_t machine) const;
    /// Whether the device hears of a write of this byte.
    [[nodiscard]] bool forwards(std::uint32_t offset) const {
        return offset < machine_only_.size() && !machine_only_[offset];
    }

private:
    void emulate(std::uint32_t offset, std::uint32_t mask, unsigned width_bytes, WriteGoes write_goes);
    void show_bar_kinds(std::span<const std::uint8_t> device);
    void emulate_msi(std::uint32_t at, std::span<const std::uint8_t> device, platform::ConfigSpace& shown);
    void hide_extended(std::span<const std::uint8_t> device, platform::ConfigSpace& shown);

    std::array<std::uint8_t, spec::pci::kConfigBytes> machine_bits_{};
    std::array<bool, spec::pci::kConfigBytes> machine_only_{};
};

} // namespace touka::devices::passthrough
