#pragma once

#include <atomic>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "machine/card.hpp"
#include "machine/config.hpp"
#include "machine/function_paths.hpp"
#include "machine/machine_error.hpp"
#include "machine/slot_question.hpp"
#include "memory/device_memory.hpp"
#include "platform/pci/pci_root.hpp"
#include "platform/pci/root_port.hpp"
#include "runtime/reactor.hpp"

namespace touka::machine {

/// What cards are built with; everything outlives them.
struct CardContext {
    memory::GuestMemory& memory;
    memory::DeviceMemoryMap& device_memory;
    platform::PciRoot& root;
    FunctionPaths& paths;
    runtime::Reactor& reactor;
    /// Runs work on the control thread while the machine runs; from any thread.
    std::function<void(std::function<void()>)> post = [](const std::function<void()>&) {};
    /// Returns when accesses to devices that processors had begun are over; from any thread.
    std::function<void()> accesses_over = [] {};
};

/// PCI Express slots, each behind a root port of its own, from 00:10.0 on, and the cards in them. Slot N is the Nth
/// port.
/// @thread control. A card that leaves ends its work on a thread of its own.
class Cards {
public:
    static constexpr std::size_t kSlotLimit = kCardSlotLimit;

    [[nodiscard]] static std::expected<std::unique_ptr<Cards>, MachineError> create(const MachineConfig& config,
                                                                                    const CardContext& context);
    /// Whether functions of others are among them, or may come, which may keep what they reach: an IOMMU needs its
    /// caching mode while they are asked what they can.
    [[nodiscard]] static bool may_pass_through(const MachineConfig& config);
    /// Whether any of them does keep what it reaches, without asking, or one may come that does: an IOMMU needs its
    /// caching mode then, from the start, since a guest looks once. The only place where that is decided.
    [[nodiscard]] bool needs_caching_mode() const;
    ~Cards();
    Cards(const Cards&) = delete;
    Cards& operator=(const Cards&) = delete;

    /// Ports before what is behind them, physical functions before virtual ones.
    [[nodiscard]] std::vector<platform::Device*> devices();

    // While the machine runs.
    [[nodiscard]] std::vector<SlotReport> report() const;
    /// What a machine is configured with that has the same cards in the same slots.
    [[nodiscard]] std::vector<CardConfig> configuration() const;
    /// A line for each function of others that is in a slot: what it went through and what past this process.
    [[nodiscard]] std::string statistics() const;
    /// @return the slot, or what is wrong, for the user.
    [[nodiscard]] std::expected<std::uint16_t, std::string> plug(const PlugCard& wanted);
    /// Presses the slot's button; a card that has no power any more is taken out at once.
    [[nodiscard]] std::expected<void, std::string> eject(std::uint16_t slot);
    [[nodiscard]] std::expected<void, std::string> pull(std::uint16_t slot);

private:
    struct Slot {
        std::uint16_t number = 0;
        std::unique_ptr<platform::RootPort> port;
        std::unique_ptr<Card> card; // null: none
        std::uint64_t insertion = 0;
        bool removal_asked = false;
        bool shown = true;                          // false: its server has gone, and the guest knows
        std::thread leaving;                        // joinable: the last card has not ended its work
        std::atomic<bool> power_off_posted = false; // a guest that switches in a loop fills no queue
    };

    Cards(const CardContext& context, std::string machine_name)
        : context_(context), machine_name_(std::move(machine_name)),
          // Behind the machine's IOMMU each reaches other memory.
          host_iommu_(context.paths.remapped()) {}
    [[nodiscard]] std::expected<Slot*, MachineError> add_slot();
    /// @param starts the machine runs.
    [[nodiscard]] std::expected<void, MachineError> insert(Slot& slot, const CardConfig& config, bool starts);
    [[nodiscard]] std::expected<void, MachineError> add(const NvmeDevice& config, Card& card, std::size_t slot);
    [[nodiscard]] std::expected<void, MachineError> add(const VfioUserDevice& config, Card& card, std::size_t slot);
    [[nodiscard]] std::expected<void, MachineError> add(const VfioDevice& config, Card& card, std::size_t slot);
    [[nodiscard]] std::expected<void, MachineError> add(const EmptySlot&, Card&, std::size_t) { return {}; }
    /// @param refused the text when the device does not take the memory.
    [[nodiscard]] std::expected<void, MachineError> give_memory(const std::string& name,
                                                                devices::passthrough::DeviceTransport& transport,
                                                                FunctionPaths::Path& path, Card& card,
                                                                const std::string& refused);
    [[nodiscard]] std::expected<void, MachineError> front(const std::string& name,
                                                          devices::passthrough::DeviceTransport& transport,
                                                          const std::string& rom, FunctionPaths::Path& path,
                                                          Card& card);

    /// @return a slot with a card, or what is wrong.
    [[nodiscard]] std::expected<Slot*, std::string> occupied(std::uint16_t number);
    [[nodiscard]] std::expected<Slot*, std::string> free_slot(std::optional<std::uint16_t> number);
    void take_out(Slot& slot);
    void power_switched_off(Slot& slot);
    void follow_presence(Slot& slot);
    void presence_changed(Slot& slot, std::uint64_t insertion);

    CardContext context_;
    std::string machine_name_;
    devices::vfio::HostIommu host_iommu_;
    std::vector<std::unique_ptr<Slot>> slots_;
};

} // namespace touka::machine
