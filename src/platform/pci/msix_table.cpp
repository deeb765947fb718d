#include "platform/pci/msix_table.hpp"

#include <algorithm>
#include <bit>

#include "spec/pci/capability.hpp"

namespace touka::platform {

using namespace spec::pci;

namespace {

constexpr std::uint32_t kSmallestBarBytes = 4096;

constexpr std::uint64_t with_low(std::uint64_t value, std::uint32_t low) { return (value >> 32 << 32) | low; }
constexpr std::uint64_t with_high(std::uint64_t value, std::uint32_t high) {
    return (value & 0xFFFF'FFFF) | (std::uint64_t{high} << 32);
}

} // namespace

MsixTable::MsixTable(unsigned vector_count, MsiSink& sink)
    : sink_(sink), entries_(std::clamp(vector_count, 1u, kMsixVectorLimit)),
      bar_bytes_(std::max(kSmallestBarBytes,
                          std::bit_ceil(2 * kMsixEntryBytes * static_cast<std::uint32_t>(entries_.size())))) {}

void MsixTable::raise(unsigned vector) {
    const std::scoped_lock lock(mutex_);
    if (vector >= entries_.size()) return;
    if (outlet_ != nullptr) return outlet_->raise(vector);
    if (!enabled_) return;
    entries_[vector].pending = true;
    deliver(entries_[vector]);
}

void MsixTable::set_outlet(MsixOutlet* outlet) {
    const std::scoped_lock lock(mutex_);
    outlet_ = outlet;
}

void MsixTable::set_control(bool enabled, bool function_masked, bool bus_master) {
    const std::scoped_lock lock(mutex_);
    const bool changed = enabled != enabled_ || function_masked != function_masked_ || bus_master != bus_master_;
    enabled_ = enabled;
    function_masked_ = function_masked;
    bus_master_ = bus_master;
    if (changed) tell_all();
    deliver_pending();
}

bool MsixTable::enabled() const {
    const std::scoped_lock lock(mutex_);
    return enabled_;
}

void MsixTable::reset() {
    const std::scoped_lock lock(mutex_);
    std::ranges::fill(entries_, MsixState::Entry{});
    enabled_ = function_masked_ = bus_master_ = false;
    tell_all();
}

void MsixTable::deliver(MsixState::Entry& entry) {
    if (!entry.pending || !may_send(entry)) return;
    entry.pending = false;
    sink_.send(MsiMessage{entry.address, entry.data});
}

void MsixTable::deliver_pending() {
    for (MsixState::Entry& entry : entries_) deliver(entry);
}

void MsixTable::tell(const MsixState::Entry& entry) {
    if (routes_ == nullptr) return;
    const auto vector = static_cast<unsigned>(&entry - entries_.data());
    routes_->route(vector, may_send(entry) ? std::optional(MsiMessage{entry.address, entry.data}) : std::nullopt);
}

void MsixTable::tell_all() {
    for (const MsixState::Entry& entry : entries_) tell(entry);
}

MsixState MsixTable::save() const {
    const std::scoped_lock lock(mutex_);
    return MsixState{entries_};
}

bool MsixTable::restore(const MsixState& state) {
    const std::scoped_lock lock(mutex_);
    if (state.entries.size() != entries_.size()) return false;
    entries_ = state.entries;
    tell_all();
    return true;
}

std::uint64_t MsixTable::read(std::uint64_t offset, unsigned width_bytes) {
    const std::scoped_lock lock(mutex_);
    if (width_bytes < 4) return read_dword(offset & ~std::uint64_t{3}) >> (8 * (offset & 3));
    if (offset % 4 != 0) return 0;
    std::uint64_t value = read_dword(offset);
    if (width_bytes == 8) value = with_high(value, read_dword(offset + 4));
    return value;
}

void MsixTable::write(std::uint64_t offset, unsigned width_bytes, std::uint64_t value) {
    if (width_bytes < 4 || offset % width_bytes != 0) return;
    const std::scoped_lock lock(mutex_);
    write_dword(offset, static_cast<std::uint32_t>(value));
    if (width_bytes == 8) write_dword(offset + 4, static_cast<std::uint32_t>(value >> 32));
}

std::uint32_t MsixTable::read_dword(std::uint64_t offset) const {
    if (offset >= pba_offset()) {
        std::uint32_t bits = 0;
        const std::uint64_t first = (offset - pba_offset()) * 8;
        for (std::uint64_t i = 0; i < 32 && first + i < entries_.size(); ++i) {
            bits |= static_cast<std::uint32_t>(entries_[first + i].pending) << i;
        }
        return bits;
    }
    const std::uint64_t index = offset / kMsixEntryBytes;
    if (index >= entries_.size()) return 0;
    const MsixState::Entry& entry = entries_[index];
    switch (offset % kMsixEntryBytes) {
        case kMsixEntryAddressLow: return static_cast<std::uint32_t>(entry.address);
        case kMsixEntryAddressHigh: return static_cast<std::uint32_t>(entry.address >> 32);
        case kMsixEntryData: return entry.data;
        default: return entry.masked ? kMsixEntryMasked : 0;
    }
}

void MsixTable::write_dword(std::uint64_t offset, std::uint32_t value) {
    const std::uint64_t index = offset / kMsixEntryBytes;
    if (offset >= pba_offset() || index >= entries_.size()) return;
    MsixState::Entry& entry = entries_[index];
    switch (offset % kMsixEntryBytes) {
        case kMsixEntryAddressLow: entry.address = with_low(entry.address, value & ~std::uint32_t{3}); break;
        case kMsixEntryAddressHigh: entry.address = with_high(entry.address, value); break;
        case kMsixEntryData: entry.data = value; break;
        default:
            entry.masked = (value & kMsixEntryMasked) != 0;
            deliver(entry);
            break;
    }
    tell(entry);
}

} // namespace touka::platform
