// Interrupt remapping. (VT-d Rev. 4.1 chapter 5)
// Absent: posted interrupts (an entry with IM set has a reserved bit set), a cache of entries: they are read from the
// guest's memory at each interrupt.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "iommu/fault_log.hpp"
#include "iommu/interrupt_delivery.hpp"
#include "iommu/requester_id.hpp"
#include "memory/dma_uses.hpp"
#include "memory/guest_memory.hpp"
#include "platform/interrupt_line.hpp"
#include "spec/vtd/interrupt_remapping.hpp"

namespace touka::iommu {

class RemappedWire;

/// Takes what devices send and gives on what the guest's table makes of it. Any thread; for messages no lock of its
/// own.
class InterruptRemapper {
public:
    InterruptRemapper(memory::GuestMemory& memory, FaultLog& faults, platform::MsiSink& unremapped,
                      InterruptDelivery& delivery)
        : memory_(memory), faults_(faults), unremapped_(unremapped), delivery_(delivery) {}

    void send(RequesterId requester, const platform::MsiMessage& message);
    /// Returns when interrupts that were on their way by older entries have arrived: some hundred nanoseconds, or until
    /// their threads run again. (§6.5.5)  @pre not within `send`; the caller holds no lock that is taken there.
    void drain();

    /// What the sink of unremapped messages would have to be sent for this one, its destination's bits 31:8 in the
    /// address's upper half. Nothing: it is blocked, which is recorded when it is sent.
    [[nodiscard]] std::optional<platform::MsiMessage> resolve(RequesterId requester,
                                                              const platform::MsiMessage& message) const;
    /// What goes past this process was resolved before: it is resolved anew. When it returns, older entries are in use
    /// nowhere. (§6.5.2.7: Interrupt Entry Cache invalidation)
    void entries_changed();
    [[nodiscard]] std::unique_ptr<platform::MsiWire> make_wire(const std::atomic<std::uint16_t>& requester, int event);

    /// IRTA as it is taken by GCMD.SIRTP.
    void set_table(std::uint64_t table) { change(table_, table); }
    void set_enabled(bool enabled) { change(enabled_, enabled); }
    void set_compatibility(bool allowed) { change(compatibility_, allowed); }
    [[nodiscard]] std::uint64_t table() const { return table_.load(); }
    [[nodiscard]] bool enabled() const { return enabled_.load(); }
    [[nodiscard]] bool compatibility() const { return compatibility_.load(); }

private:
    struct Blocked {
        spec::vtd::FaultReason reason{};
        bool recorded = true;
    };
    [[nodiscard]] std::expected<platform::InterruptMessage, Blocked> look_up(RequesterId requester, std::uint32_t index,
                                                                             std::uint64_t table) const;
    /// The entry that a remappable message names, and what it makes of it.
    struct Found {
        std::uint32_t index = 0;
        std::expected<platform::InterruptMessage, Blocked> outcome;
    };
    [[nodiscard]] Found find(RequesterId requester, const platform::MsiMessage& message, std::uint64_t table) const;
    /// In a table of this kind such a message passes without an entry. (§5.1.4)
    [[nodiscard]] bool passes_compatible(std::uint64_t table) const;
    [[nodiscard]] bool remaps(const platform::MsiMessage& message) const;
    void remap(RequesterId requester, const platform::MsiMessage& message);
    template <class Value>
    void change(std::atomic<Value>& what, Value to) {
        what.store(to);
        entries_changed();
    }
    void block(RequesterId requester, std::uint32_t index, const Blocked& blocked);

    memory::GuestMemory& memory_;
    FaultLog& faults_;
    platform::MsiSink& unremapped_;
    InterruptDelivery& delivery_;
    memory::DmaUses under_way_; // messages, from the look at the table to the local APIC
    std::atomic<std::uint64_t> table_{0};
    std::atomic<bool> enabled_{false}, compatibility_{false};
    friend class RemappedWire;
    std::mutex wires_mutex_; // before the wires' own
    std::vector<RemappedWire*> wires_;
};

/// The interrupts of one requester: what a function or the I/O APIC sends its messages to.
class RemappedMsi final : public platform::MsiSink {
public:
    /// @param remapper outlives it.
    RemappedMsi(InterruptRemapper& remapper, RequesterId requester)
        : remapper_(remapper), requester_(requester.value) {}
    void send(const platform::MsiMessage& message) override {
        remapper_.send(RequesterId{requester_.load(std::memory_order_relaxed)}, message);
    }
    [[nodiscard]] std::unique_ptr<platform::MsiWire> make_wire(int event) override {
        return remapper_.make_wire(requester_, event);
    }
    void set_requester(RequesterId requester) {
        requester_.store(requester.value, std::memory_order_relaxed);
        remapper_.entries_changed(); // which entries it may use depends on who it is
    }

private:
    InterruptRemapper& remapper_;
    std::atomic<std::uint16_t> requester_;
};

} // namespace touka::iommu
