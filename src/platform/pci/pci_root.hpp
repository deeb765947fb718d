// The PCI Express root: bus 0 and the ports on it, the two ways to their configuration space, and what a firmware would
// have set up.
// Absent: switches; a bus is behind a port of bus 0.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <mutex>
#include <vector>

#include "platform/address_space.hpp"
#include "platform/device.hpp"
#include "platform/pci/bar_allocator.hpp"
#include "platform/pci/host_bridge.hpp"
#include "platform/pci/intx_router.hpp"
#include "platform/pci/isa_bridge.hpp"
#include "platform/pci/pci_address.hpp"
#include "platform/pci/pci_bus.hpp"
#include "platform/pci/pci_function.hpp"
#include "platform/pci/pci_layout.hpp"
#include "platform/pci/root_port.hpp"

namespace touka::platform {

struct PciRootConfig {
    PciWindow memory32 = kPciMemory32;
    PciWindow memory64 = pci_memory64_window(spec::GuestAddress{0});
    PciWindow ports = kPciPorts;
    IntxRouter::Inputs interrupt_inputs{}; ///< the I/O APIC's inputs 16 to 23; null: not connected
    /// The reset control register at port CF9h, in the middle of CONFIG_ADDRESS: gets its byte accesses at offset 0.
    IoHandler* reset_control = nullptr;
};

struct PciRootState {
    static constexpr std::uint16_t kVersion = 1;
    std::uint32_t config_address = 0;
    void describe(auto& archive) { archive(config_address); }
};

/// Owns bus 0, host bridge and ISA bridge; functions are the machine's and only plugged in here. Configuration
/// accesses come from vCPU threads and take the configuration lock; lock order: configuration, then a function's own
/// locks (registers, MSI-X, pin), then interrupt inputs and address spaces. I/O threads never take the configuration
/// lock.
class PciRoot final : public Device {
public:
    /// @param memory, ports outlive the root and all functions on it.
    PciRoot(AddressSpace& memory, AddressSpace& ports, const PciRootConfig& config);
    ~PciRoot() override;

    /// Puts a function on bus 0 and assigns addresses to its BARs; COMMAND stays 0, the guest enables them.
    /// The function stays the caller's and outlives its place on the bus.
    /// @param address on bus 0.
    [[nodiscard]] std::expected<void, PciError> plug(const PciAddress& address, PciFunction& function);
    void unplug(const PciAddress& address);
    /// Before the machine runs; the port gets the next bus number and windows.
    [[nodiscard]] std::expected<void, PciError> plug_port(const PciAddress& address, RootPort& port);
    /// @pre nobody is behind it.
    void unplug_port(const PciAddress& address, RootPort& port);
    /// The same behind a port that is plugged in: a card with several functions is there when function 0 is, which so
    /// comes last and goes first.
    /// @param devfn its place on the port's bus, whatever number software gave to that.
    [[nodiscard]] std::expected<void, PciError> plug(RootPort& port, std::uint8_t devfn, PciFunction& function);
    void unplug(RootPort& port, std::uint8_t devfn);
    /// Asks the guest to let the card behind a port go; the port tells when it has.
    void request_removal(RootPort& port);
    /// Taking a card out in two steps: it answers nothing any more with all its functions, and only when what it had
    /// under way is over, the slot shows that it is gone: then the guest may use the memory for something else.
    void silence(RootPort& port);
    void show_removal(RootPort& port);
    /// What who stands in front of a slot sees.
    struct SlotView {
        bool powered = false;
        HotPlugSlot::Indicator power = HotPlugSlot::Indicator::kOff, attention = HotPlugSlot::Indicator::kOff;
    };
    [[nodiscard]] SlotView look_at(const RootPort& port);

    /// @param offset, width_bytes within the 4 KiB of one function; 1, 2 or 4 bytes. Nobody there: all ones.
    [[nodiscard]] std::uint32_t read_config(const PciAddress& address, std::uint32_t offset, unsigned width_bytes);
    void write_config(const PciAddress& address, std::uint32_t offset, unsigned width_bytes, std::uint32_t value);

    /// The root's own functions, which are devices of the machine, too: saved and reset on their own.
    [[nodiscard]] std::array<Device*, 2> chipset() { return {&host_bridge_, &isa_bridge_}; }

    [[nodiscard]] std::string_view name() const override { return "pci-root"; }
    void reset() override;
    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

private:
    class EcamHandler final : public IoHandler {
    public:
        explicit EcamHandler(PciRoot& root) : root_(root) {}
        [[nodiscard]] std::uint64_t read(std::uint64_t offset, unsigned width_bytes) override;
        void write(std::uint64_t offset, unsigned width_bytes, std::uint64_t value) override;

    private:
        PciRoot& root_;
    };
    class PortHandler final : public IoHandler {
    public:
        explicit PortHandler(PciRoot& root) : root_(root) {}
        [[nodiscard]] std::uint64_t read(std::uint64_t offset, unsigned width_bytes) override;
        void write(std::uint64_t offset, unsigned width_bytes, std::uint64_t value) override;

    private:
        PciRoot& root_;
    };

    [[nodiscard]] PciFunction* find(const PciAddress& address);
    void move_ecam(std::optional<PciWindow> window);
    [[nodiscard]] std::uint32_t config_address();
    void set_config_address(std::uint32_t value);

    AddressSpace& memory_;
    AddressSpace& ports_;
    IoHandler* reset_control_;
    IntxRouter router_;
    BarAllocator memory32_, memory64_, io_;
    PciBus bus_;
    std::vector<RootPort*> root_ports_;
    EcamHandler ecam_{*this};
    PortHandler config_ports_{*this};
    std::optional<PciWindow> ecam_window_;
    HostBridge host_bridge_;
    IsaBridge isa_bridge_;

    mutable std::mutex mutex_; // the configuration lock: buses, all configuration spaces, CONFIG_ADDRESS
    std::uint32_t config_address_ = 0;
};

} // namespace touka::platform
