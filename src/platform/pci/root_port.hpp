// A PCI Express root port with a slot that takes cards while the machine runs. (PCI Express Base 5.0 §7.5.1.3, §6.7)
// Absent: what the windows do not cover is reached all the same, ports (I/O space) behind it, power management events
// (cards send none), AER, bandwidth notification.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "platform/pci/bar_allocator.hpp"
#include "platform/pci/hot_plug_slot.hpp"
#include "platform/pci/msi_capability.hpp"
#include "platform/pci/pci_bus.hpp"
#include "platform/pci/pci_function.hpp"

namespace touka::platform {

/// The bridge function; its bus comes into being when it is plugged, as a firmware would number it and give it windows.
class RootPort final : public PciFunction {
public:
    static constexpr std::uint64_t kMemory32Bytes = 16ull << 20, kMemory64Bytes = 512ull << 20;

    /// @param name "root-port@00:10.0".  @param slot its physical number, which the system shows.
    /// @param sink takes its interrupts, of hot plug, when software enables MSI; outlives it.
    /// @param on_power_off the card lost its power because software let it go: it may be taken out. Under the
    /// configuration lock: post it elsewhere.
    RootPort(std::string name, std::uint16_t slot, MsiSink& sink, std::function<void()> on_power_off);
    ~RootPort() override { detach(); }

    void write_config(std::uint32_t offset, unsigned width_bytes, std::uint32_t value) override;
    void reset() override;
    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

    // Under the configuration lock.
    /// @pre open_bus
    [[nodiscard]] PciBus& secondary_bus() { return *bus_; }
    /// Does a configuration access to its secondary bus reach this place?
    [[nodiscard]] bool forwards(std::uint8_t devfn) const;
    /// Gets a bus number and windows, as a firmware assigns them.
    /// @param windows of RootPort::kMemory32Bytes and kMemory64Bytes.
    void open_bus(std::uint8_t number, const PciWindow& memory32, const PciWindow& memory64, const BusResources& parent,
                  std::uint8_t own_device);
    /// A card was plugged or pulled: what the slot shows. Who plugs one into a slot without power presses the button,
    /// too.
    void occupancy_changed();
    /// Asks software to let the card go. Not again while it has not seen that, or is about to do it: that would take
    /// the wish back.
    void request_removal();
    [[nodiscard]] const HotPlugSlot& slot() const { return *slot_; }

private:
    void secondary_changed();
    void reset_secondary_bus();
    void update_interrupt();

    std::function<void()> on_power_off_;
    std::uint32_t express_ = 0;
    std::optional<HotPlugSlot> slot_;
    std::optional<MsiCapability> msi_;
    std::optional<BarAllocator> memory32_, memory64_;
    std::optional<PciBus> bus_;
};

} // namespace touka::platform
