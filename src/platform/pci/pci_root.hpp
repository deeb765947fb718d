// The PCI Express root: bus 0, the two ways to its configuration space, and what a firmware would have set up.
// Absent: other buses (no bridges or root ports yet), so hot plug works on the bus but nobody tells the guest.
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
#include "platform/pci/pci_function.hpp"
#include "platform/pci/pci_layout.hpp"

namespace touka::platform {

struct PciRootConfig {
    PciWindow memory32 = kPciMemory32;
    PciWindow memory64 = pci_memory64_window(spec::GuestAddress{0});
    PciWindow ports = kPciPorts;
    IntxRouter::Inputs interrupt_inputs{}; ///< the I/O APIC's inputs 16 to 23; null: not connected
    /// The reset control register at port CF9h, in the middle of CONFIG_ADDRESS: gets its byte accesses at offset 0.
    IoHandler* reset_control = nullptr;
};

enum class PciError {
    kNoSuchPlace,     ///< not on bus 0, or device or function number too high
    kOccupied,        ///< another function is there
    kNoAddressesLeft, ///< a window has no room for one of its BARs
};

struct PciRootState {
    static constexpr std::uint16_t kVersion = 1;
    std::uint32_t config_address = 0;
    void describe(auto& archive) { archive(config_address); }
};

/// Owns the bus, host bridge and ISA bridge; functions are the machine's and only plugged in here. Configuration
/// accesses come from vCPU threads and take the configuration lock; lock order: configuration, then a function's own
/// locks (registers, MSI-X, pin), then interrupt inputs and address spaces. I/O threads never take the configuration
/// lock.
class PciRoot final : public Device {
public:
    /// @param memory, ports outlive the root and all functions on it.
    PciRoot(AddressSpace& memory, AddressSpace& ports, const PciRootConfig& config);
    ~PciRoot() override;

    /// Puts a function on the bus and assigns addresses to its BARs; COMMAND stays 0, the guest enables them.
    /// The function stays the caller's and outlives its place on the bus.
    [[nodiscard]] std::expected<void, PciError> plug(const PciAddress& address, PciFunction& function);
    void unplug(const PciAddress& address);

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
    struct Slot {
        PciFunction* function = nullptr;
        std::vector<std::pair<BarAllocator*, std::uint64_t>> addresses;
    };
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

    [[nodiscard]] static bool exists(const PciAddress& address);
    [[nodiscard]] Slot& slot(const PciAddress& address);
    [[nodiscard]] BarAllocator& allocator_for(const PciFunction::Bar& bar);
    [[nodiscard]] bool assign_addresses(Slot& slot);
    void release_addresses(Slot& slot);
    void move_ecam(std::optional<PciWindow> window);
    [[nodiscard]] std::uint32_t config_address();
    void set_config_address(std::uint32_t value);

    AddressSpace& memory_;
    AddressSpace& ports_;
    IoHandler* reset_control_;
    IntxRouter router_;
    BarAllocator memory32_, memory64_, io_;
    EcamHandler ecam_{*this};
    PortHandler config_ports_{*this};
    std::optional<PciWindow> ecam_window_;
    HostBridge host_bridge_;
    IsaBridge isa_bridge_;

    mutable std::mutex mutex_; // the configuration lock: slots, all configuration spaces, CONFIG_ADDRESS
    std::array<Slot, std::size_t{spec::pci::kDevicesPerBus} * spec::pci::kFunctionsPerDevice> slots_;
    std::uint32_t config_address_ = 0;
};

} // namespace touka::platform
