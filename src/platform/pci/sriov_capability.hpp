#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "platform/pci/config_space.hpp"
#include "platform/pci/pci_layout.hpp"
#include "spec/pci/config_header.hpp"
#include "spec/pci/extended_capability.hpp"

namespace touka::platform {

class PciFunction;
class PciBus;

/// The virtual functions of a physical one: made with it, on a bus only while software wants them.
class VirtualFunctions {
public:
    virtual ~VirtualFunctions() = default;
    /// TotalVFs, 1 ..= 255.
    [[nodiscard]] virtual std::uint16_t total() const = 0;
    /// @pre index < total(). All have the same BARs. They outlive the physical function's place on its bus.
    [[nodiscard]] virtual PciFunction& function(std::uint16_t index) = 0;
    /// Software enabled the first `count` of them, or 0. Under the configuration lock.
    virtual void enabled(std::uint16_t count) = 0;
};

/// The SR-IOV capability of a physical function: its registers, and its virtual functions' way onto the bus and into
/// memory. VF n is n + 1 function numbers behind the physical one. Under the configuration lock.
/// (PCI Express Base 5.0 §9.2, §9.3.3)
/// Absent: VF migration, VF resizable BARs, VFs on the next bus.
class SriovCapability {
public:
    /// @param at where its header is.  @param vf_device_id what VFs have instead of a device ID of their own.
    SriovCapability(ConfigSpace& config, std::uint32_t at, std::uint16_t vf_device_id, VirtualFunctions& functions);

    /// Follows the registers. @param bus where the physical function is; null: nowhere.
    void update(PciBus* bus, std::uint8_t devfn);

    /// Bytes that the BAR takes for all VFs together; 0: there is none.
    [[nodiscard]] std::uint64_t bar_space_bytes(unsigned index) const;
    /// What VFs' BARs of this index are, kind and prefetchability.
    [[nodiscard]] const PciFunction& pattern() const { return functions_.function(0); }
    /// Where the BAR points after reset.
    void place_bar(unsigned index, std::uint64_t address);

    /// Bytes of one VF's BAR: a multiple of the system's page.
    [[nodiscard]] std::uint64_t bar_bytes(unsigned index) const;

private:
    [[nodiscard]] std::optional<std::uint64_t> bar_address(unsigned index, std::uint16_t function) const;
    void follow_page_size();
    void enable(PciBus& bus, std::uint8_t devfn, std::uint16_t count);
    void disable();

    ConfigSpace& config_;
    std::uint32_t at_;
    VirtualFunctions& functions_;
    std::array<std::uint64_t, spec::pci::kBarCount> reset_addresses_{};
    std::uint32_t page_size_ = spec::pci::kPageSize4k; // that the BARs' sizes follow
    PciBus* bus_ = nullptr;                            // while VFs are there
    std::uint8_t first_devfn_ = 0;
    std::uint16_t count_ = 0;
};

} // namespace touka::platform
