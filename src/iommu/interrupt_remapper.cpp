#include "iommu/interrupt_remapper.hpp"

#include <memory>
#include <thread>
#include <utility>

#include "iommu/remapped_wire.hpp"
#include "spec/vtd/registers.hpp"

namespace touka::iommu {

using namespace spec::vtd;
using platform::InterruptMessage;
using platform::MsiMessage;

namespace {

bool source_matches(interrupt_entry::High high, RequesterId requester) {
    using interrupt_entry::SourceCheck;
    const std::uint16_t source = high.get(interrupt_entry::SID);
    switch (high.get(interrupt_entry::SVT)) {
        case SourceCheck::kRequester: return requester.matches(RequesterId{source}, high.get(interrupt_entry::SQ));
        case SourceCheck::kBusRange: return requester.bus() >= source >> 8 && requester.bus() <= (source & 0xFF);
        default: return true;
    }
}

struct Entry {
    InterruptEntryLow low;
    interrupt_entry::High high;
};

/// A driver exchanges an entry while interrupts come: its halves have to be of one time. One that never comes to rest
/// is given in some state that it had.
Entry load_entry(std::uint64_t* words) {
    constexpr unsigned kTries = 4;
    Entry entry{InterruptEntryLow{std::atomic_ref(words[0]).load(std::memory_order_acquire)}, {}};
    for (unsigned i = 0; i < kTries; ++i) {
        entry.high.raw = std::atomic_ref(words[1]).load(std::memory_order_acquire);
        const std::uint64_t again = std::atomic_ref(words[0]).load(std::memory_order_acquire);
        if (again == entry.low.raw) break;
        entry.low.raw = again;
    }
    return entry;
}

InterruptMessage message_of(InterruptEntryLow low, bool extended) {
    namespace fields = interrupt_entry;
    InterruptMessage message;
    message.destination = extended ? low.get(fields::DST) : low.get(fields::DST_8);
    message.logical = low.get(fields::DM);
    if (!extended && !message.logical && message.destination == spec::apic::kBroadcast8)
        message.destination = spec::apic::kBroadcast32;
    message.mode = low.get(fields::DLM);
    if (low.get(fields::RH) && message.logical && message.mode == spec::apic::DeliveryMode::kFixed)
        message.mode = spec::apic::DeliveryMode::kLowestPriority;
    message.vector = low.get(fields::V);
    message.level = low.get(fields::TM);
    return message;
}

/// As a device would write it. (SDM vol. 3 §11.11)
MsiMessage message_to(const InterruptMessage& interrupt) {
    namespace address_fields = spec::apic::message_address;
    namespace data_fields = spec::apic::message_data;
    spec::apic::MessageAddress address;
    address.set(address_fields::PREFIX, address_fields::kPrefix)
        .set(address_fields::DESTINATION_ID, interrupt.destination & 0xFF)
        .set(address_fields::DESTINATION_MODE, interrupt.logical);
    spec::apic::MessageData data;
    data.set(data_fields::VECTOR, interrupt.vector)
        .set(data_fields::DELIVERY_MODE, interrupt.mode)
        .set(data_fields::LEVEL, interrupt.level)
        .set(data_fields::TRIGGER_MODE, interrupt.level);
    return {address.raw | std::uint64_t{interrupt.destination >> 8} << 40, data.raw};
}

} // namespace

bool InterruptRemapper::remaps(const MsiMessage& message) const {
    namespace address_fields = spec::apic::message_address;
    const spec::apic::MessageAddress address{message.address};
    const bool interrupt = address.raw >> 32 == 0 && address.get(address_fields::PREFIX) == address_fields::kPrefix;
    return enabled_.load() && interrupt;
}

void InterruptRemapper::send(RequesterId requester, const MsiMessage& message) {
    if (!remaps(message)) return unremapped_.send(message);
    const auto use = under_way_.begin();
    remap(requester, message);
}

void InterruptRemapper::drain() {
    // Shared: the last message may arrive on another thread, which sets it as its last act.
    const auto over = std::make_shared<std::atomic<bool>>(false);
    under_way_.when_over([over] { over->store(true); });
    while (!over->load()) std::this_thread::yield();
}

bool InterruptRemapper::passes_compatible(std::uint64_t table) const {
    // Without an index of its own (§5.1.4); an x2APIC guest gets no such interrupt at all.
    return !InterruptTableAddress{table}.get(interrupt_table_address::EIME) && compatibility_.load();
}

InterruptRemapper::Found InterruptRemapper::find(RequesterId requester, const MsiMessage& message,
                                                 std::uint64_t table) const {
    const RemappableAddress remappable{message.address};
    std::uint32_t index = remappable.get(remappable_address::HANDLE_14_0) |
                          std::uint32_t{remappable.get(remappable_address::HANDLE_15)} << 15;
    if (remappable.get(remappable_address::SHV)) {
        if ((message.data & kSubhandleReserved) != 0)
            return {index, std::unexpected(Blocked{FaultReason::kInterruptReserved})};
        index += message.data;
    }
    return {index, look_up(requester, index, table)};
}

void InterruptRemapper::remap(RequesterId requester, const MsiMessage& message) {
    const std::uint64_t table = table_.load();
    if (!RemappableAddress{message.address}.get(remappable_address::FORMAT)) {
        if (!passes_compatible(table)) return block(requester, 0, {FaultReason::kCompatibilityBlocked});
        return unremapped_.send(message);
    }
    const Found found = find(requester, message, table);
    if (!found.outcome) return block(requester, found.index, found.outcome.error());
    delivery_.deliver(*found.outcome);
}

std::optional<MsiMessage> InterruptRemapper::resolve(RequesterId requester, const MsiMessage& message) const {
    if (!remaps(message)) return message;
    const std::uint64_t table = table_.load();
    if (!RemappableAddress{message.address}.get(remappable_address::FORMAT)) {
        return passes_compatible(table) ? std::optional(message) : std::nullopt;
    }
    const Found found = find(requester, message, table);
    if (!found.outcome) return std::nullopt;
    return message_to(*found.outcome);
}

void InterruptRemapper::entries_changed() {
    const std::scoped_lock lock(wires_mutex_);
    for (RemappedWire* const wire : wires_) wire->update();
}

std::unique_ptr<platform::MsiWire> InterruptRemapper::make_wire(const std::atomic<std::uint16_t>& requester,
                                                                int event) {
    auto inner = unremapped_.make_wire(event);
    if (!inner) return nullptr;
    return std::make_unique<RemappedWire>(*this, requester, std::move(inner));
}

std::expected<InterruptMessage, InterruptRemapper::Blocked>
InterruptRemapper::look_up(RequesterId requester, std::uint32_t index, std::uint64_t table) const {
    namespace fields = interrupt_entry;
    const auto blocked = [](FaultReason reason, bool recorded = true) {
        return std::unexpected(Blocked{reason, recorded});
    };
    const InterruptTableAddress registers{table};
    if (index >= 2u << registers.get(interrupt_table_address::S)) return blocked(FaultReason::kInterruptIndex);
    const memory::GuestAddress place{(table & interrupt_table_address::kAddress) + index * kInterruptEntryBytes};
    const auto bytes = memory_.span(place, kInterruptEntryBytes);
    if (bytes.empty()) return blocked(FaultReason::kInterruptTableAccess);
    const auto [low, high] = load_entry(reinterpret_cast<std::uint64_t*>(bytes.data()));
    const bool recorded = !low.get(fields::FPD);
    if (!low.get(fields::P)) return blocked(FaultReason::kInterruptNotPresent, recorded);
    const bool extended = registers.get(interrupt_table_address::EIME);
    const std::uint64_t reserved = fields::kReservedLow | (extended ? 0 : fields::kReservedDestination8);
    if ((low.raw & reserved) != 0 || (high.raw & fields::kReservedHigh) != 0 || low.get(fields::IM) ||
        high.get(fields::SVT) == fields::SourceCheck::kReserved)
        return blocked(FaultReason::kInterruptEntryReserved, recorded);
    if (!source_matches(high, requester)) return blocked(FaultReason::kInterruptSource, recorded);
    return message_of(low, extended);
}

void InterruptRemapper::block(RequesterId requester, std::uint32_t index, const Blocked& blocked) {
    if (!blocked.recorded) return;
    faults_.record({.requester = requester,
                    .reason = blocked.reason,
                    .address = std::uint64_t{index & 0xFFFF} << fault_record::kInterruptIndexShift,
                    .access = memory::DmaAccess::kWrite});
}

} // namespace touka::iommu
