// One function on the PCI bus: its configuration space, and its BARs as they appear in the address spaces.
// Absent: MSI (functions here have MSI-X and a pin; ports have msi_capability.hpp), bus mastering by
// anything but the function itself.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "platform/address_space.hpp"
#include "platform/device.hpp"
#include "platform/pci/ats_capability.hpp"
#include "platform/pci/config_space.hpp"
#include "platform/pci/interrupt_pin.hpp"
#include "platform/pci/msix_table.hpp"
#include "platform/pci/pci_layout.hpp"
#include "platform/pci/sriov_capability.hpp"
#include "spec/pci/capability.hpp"
#include "spec/pci/extended_capability.hpp"

namespace touka::platform {

/// Who a function is. (PCI Local Bus 3.0 §6.2.1, §6.2.4)
struct PciIdentity {
    std::uint16_t vendor_id = 0;
    std::uint16_t device_id = 0;
    std::uint8_t revision_id = 0;
    std::uint32_t class_code = 0; ///< base class, subclass, programming interface: 24 bits
    std::uint16_t subsystem_vendor_id = 0;
    std::uint16_t subsystem_id = 0;
};

enum class BarKind { kPorts, kMemory32, kMemory64, kMemory64Prefetchable };
[[nodiscard]] constexpr bool is_64_bit(BarKind kind) {
    return kind == BarKind::kMemory64 || kind == BarKind::kMemory64Prefetchable;
}
/// The low bits of a Base Address register.
[[nodiscard]] std::uint32_t bar_type_bits(BarKind kind);

class PciBus;

/// What a function's configuration holds beyond its own device's state.
struct PciFunctionState {
    static constexpr std::uint16_t kVersion = 2;
    ConfigSpace::SavedBytes config{};
    MsixState msix;
    void describe(auto& archive) { archive(config, msix); }
};

/// Base of every PCI device here. The configuration space belongs to whoever holds the root's configuration lock
/// (vCPU threads through PciRoot) or to the control thread while the machine is paused; what other threads need of
/// it is in atomics, the MSI-X table and the pin, which lock for themselves after the configuration lock.
class PciFunction : public Device {
public:
    /// The address spaces that BARs are mapped into and the wire of the pin; all outlive the attachment.
    struct Attachment {
        AddressSpace* memory = nullptr;
        AddressSpace* ports = nullptr;
        InterruptLine* interrupt = nullptr;
        std::uint8_t interrupt_line = 0; ///< what the Interrupt Line register says after reset
        PciBus* bus = nullptr;           ///< where it is plugged in
        std::uint8_t devfn = 0;
        bool below_port = false; ///< at the end of a link, not within the root complex
    };
    struct Bar {
        BarKind kind = BarKind::kMemory32;
        std::uint64_t length_bytes = 0; ///< a power of two; 0: there is no such BAR
        IoHandler* handler = nullptr;
        std::uint64_t reset_address = 0;
        std::optional<std::uint64_t> mapped_at;
    };

    PciFunction(std::string name, const PciIdentity& identity);
    ~PciFunction() override;
    PciFunction(const PciFunction&) = delete;
    PciFunction& operator=(const PciFunction&) = delete;

    [[nodiscard]] std::string_view name() const override { return name_; }

    /// An access of 1, 2 or 4 bytes within the 4 KiB; under the configuration lock.
    [[nodiscard]] virtual std::uint32_t read_config(std::uint32_t offset, unsigned width_bytes);
    virtual void write_config(std::uint32_t offset, unsigned width_bytes, std::uint32_t value);

    void attach(const Attachment& attachment);
    /// Takes BARs and pin away from the machine. @pre under the configuration lock, or not running.
    void detach();

    /// The Expansion ROM Base Address register's number among the BARs, where it is one of them.
    static constexpr unsigned kRom = spec::pci::kBarCount;
    [[nodiscard]] std::span<const Bar> bars() const { return std::span(bars_).first<spec::pci::kBarCount>(); }
    /// 0 bytes: there is none.
    [[nodiscard]] const Bar& rom() const { return bars_[kRom]; }
    /// Where the BAR points after reset: the work of firmware, done by the root when there is none. Also kRom.
    void place_bar(unsigned index, std::uint64_t address);

    /// Bus, device and function number as software numbered them: who it is to an IOMMU. Any thread, while attached.
    [[nodiscard]] std::uint16_t requester_id() const;
    /// @param changed called when it is plugged in, and when a configuration write finds it at another number: that is
    /// when a function learns its bus number. (PCIe Base 5.0 §2.2.6.2) Under the configuration lock.
    void follow_requester(std::function<void(std::uint16_t)> changed) { requester_changed_ = std::move(changed); }

    // Of virtual functions, whose physical one decides where their BARs are. (PCIe Base 5.0 §9.3.4)
    /// From now on it is one; before it is plugged in.
    void become_virtual();
    [[nodiscard]] bool is_virtual() const { return virtual_; }
    /// @param address nothing: it answers nowhere.
    void move_virtual_bar(unsigned index, std::optional<std::uint64_t> address);
    /// Null: no physical function with virtual ones.
    [[nodiscard]] SriovCapability* sriov() { return sriov_.get(); }

    /// No after a function level reset, until nothing of before reaches memory any more: configuration requests are
    /// answered with retry, which software sees as all ones. (PCIe Base 5.0 §2.3.1, §6.6.2) Any thread.
    [[nodiscard]] virtual bool ready() const { return true; }
    /// The bus or slot that it is in was reset: as a function level reset. (PCIe Base 5.0 §6.6.1)
    void bus_reset();

    /// Command.BUS_MASTER: the function may reach memory and send messages. Any thread.
    [[nodiscard]] bool bus_master_enabled() const { return bus_master_.load(std::memory_order_acquire); }

    /// For who puts the function on another process's bus: its vectors, and where they go (MsixTable::set_outlet).
    [[nodiscard]] unsigned msix_vector_count() const { return msix_ ? msix_->vector_count() : 0; }
    void set_msix_outlet(MsixOutlet* outlet) {
        if (msix_) msix_->set_outlet(outlet);
    }

    /// @param then called, on any thread, when the function has seen to the register writes before, so that its pin has
    ///   the level that they make.
    virtual void when_settled(std::function<void()> then) { then(); }

    void reset() override;

protected:
    /// @param handler gets accesses while the BAR is enabled; outlives the function.
    void define_bar(unsigned index, BarKind kind, std::uint64_t length_bytes, IoHandler& handler);
    /// An expansion ROM, decoded while its enable bit and Memory Space Enable are set. (PCI Local Bus 3.0 §6.2.5.2)
    /// @param length_bytes a power of two from 2 KiB to 16 MiB.  @param handler as of define_bar.
    void define_rom(std::uint64_t length_bytes, IoHandler& handler);
    /// Appends a capability to the list. @param body all its bytes; the first two are filled in here.
    /// @return its offset.
    std::uint32_t add_capability(spec::pci::CapabilityId id, std::span<const std::uint8_t> body);
    void add_power_management();
    void add_express_endpoint();
    /// Of a root port with a slot. @return its offset.
    std::uint32_t add_express_port();
    /// Appends to the list in the extended configuration space, all but the header 0. @return its offset.
    std::uint32_t add_extended_capability(spec::pci::ExtendedCapabilityId id, std::uint8_t version,
                                          std::uint32_t length_bytes);
    /// It may stand behind a port that forwards alternative routing IDs. (PCIe Base 5.0 §7.8.7)
    void add_alternative_routing_id();
    /// @param functions outlives the function.
    void add_sriov(std::uint16_t vf_device_id, VirtualFunctions& functions);
    /// @param virtual_function it is or will become one.  @param services outlives the function.
    void add_address_translation_services(bool virtual_function, TranslationServices& services);
    /// MSI-X with its table in a BAR of its own. @param sink outlives the function.
    MsixTable& add_msix(unsigned bar_index, unsigned vector_count, MsiSink& sink);
    void set_interrupt_pin(std::uint8_t pin);

    [[nodiscard]] ConfigSpace& config() { return config_; }
    [[nodiscard]] const ConfigSpace& config() const { return config_; }
    [[nodiscard]] InterruptPin& pin() { return pin_; }
    [[nodiscard]] MsixTable* msix() { return msix_.get(); }

    [[nodiscard]] PciFunctionState save_function() const;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore_function(const PciFunctionState& state);

    /// A BAR appeared in or is about to leave the address space. Under the configuration lock.
    virtual void bar_mapped(unsigned, std::uint64_t) {}
    virtual void bar_unmapped(unsigned, std::uint64_t) {}
    /// Command.BUS_MASTER went from 0 to 1.
    virtual void bus_master_granted() {}
    /// Function level reset (PCIe Base 5.0 §6.6.2), before the configuration space takes its reset values.
    virtual void function_level_reset() {}

private:
    [[nodiscard]] spec::pci::Command command() const;
    /// Where it should answer now, if anywhere.
    [[nodiscard]] std::optional<std::uint64_t> bar_address(unsigned index) const;
    void config_changed();
    void become_link_partner();
    void capture_requester();
    [[nodiscard]] bool shows_multi_function() const;
    void update_mapping(unsigned index);
    void unmap(unsigned index);
    [[nodiscard]] AddressSpace* space_of(const Bar& bar) const;
    void reset_config();

    std::string name_;
    ConfigSpace config_;
    std::array<Bar, spec::pci::kBarCount + 1> bars_{}; // and kRom
    Attachment attachment_;
    InterruptPin pin_;
    std::function<void(std::uint16_t)> requester_changed_;
    std::optional<std::uint16_t> captured_requester_;
    std::unique_ptr<MsixTable> msix_;
    std::unique_ptr<SriovCapability> sriov_;
    std::unique_ptr<AtsCapability> ats_;
    bool virtual_ = false;
    std::array<std::optional<std::uint64_t>, spec::pci::kBarCount> virtual_addresses_{};
    std::uint32_t last_capability_ = 0;
    std::uint32_t next_capability_ = spec::pci::offset::kFirstCapability;
    std::uint32_t msix_capability_ = 0;
    std::uint32_t express_capability_ = 0;
    std::uint32_t last_extended_capability_ = 0;
    std::uint32_t next_extended_capability_ = spec::pci::kFirstExtendedCapability;
    std::atomic<bool> bus_master_{false}; // written under the configuration lock; pairs with bus_master_enabled()
};

} // namespace touka::platform
