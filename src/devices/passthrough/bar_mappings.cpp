#include "devices/passthrough/bar_mappings.hpp"

#include <algorithm>
#include <mutex>

namespace touka::devices::passthrough {

using spec::kPageSize;

namespace {

constexpr std::uint64_t page_down(std::uint64_t at) { return at / kPageSize * kPageSize; }
constexpr std::uint64_t page_up(std::uint64_t at) { return page_down(at + kPageSize - 1); }

/// One access of the device, as wide as the guest's.
std::uint64_t load(const std::byte* from, unsigned width_bytes) {
    switch (width_bytes) {
        case 1: return *reinterpret_cast<const volatile std::uint8_t*>(from);
        case 2: return *reinterpret_cast<const volatile std::uint16_t*>(from);
        case 4: return *reinterpret_cast<const volatile std::uint32_t*>(from);
        default: return *reinterpret_cast<const volatile std::uint64_t*>(from);
    }
}

void store(std::byte* to, unsigned width_bytes, std::uint64_t value) {
    // What the processor stored before, the device sees before: a doorbell comes after what it tells of.
    std::atomic_thread_fence(std::memory_order_release);
    switch (width_bytes) {
        case 1: *reinterpret_cast<volatile std::uint8_t*>(to) = static_cast<std::uint8_t>(value); break;
        case 2: *reinterpret_cast<volatile std::uint16_t*>(to) = static_cast<std::uint16_t>(value); break;
        case 4: *reinterpret_cast<volatile std::uint32_t*>(to) = static_cast<std::uint32_t>(value); break;
        default: *reinterpret_cast<volatile std::uint64_t*>(to) = value; break;
    }
}

} // namespace

std::vector<RegionExtent> pages_without(const RegionExtent& within, std::span<const RegionExtent> holes) {
    std::vector<RegionExtent> sorted(holes.begin(), holes.end());
    std::ranges::sort(sorted, {}, &RegionExtent::offset);
    std::vector<RegionExtent> pages;
    std::uint64_t at = page_up(within.offset);
    const std::uint64_t end = page_down(within.offset + within.length_bytes);
    const auto add_until = [&](std::uint64_t next) {
        if (next > at) pages.push_back({at, next - at});
    };
    for (const RegionExtent& hole : sorted) {
        if (hole.length_bytes == 0 || hole.offset >= end) continue;
        add_until(std::min(page_down(hole.offset), end));
        at = std::max(at, page_up(hole.offset + hole.length_bytes));
    }
    add_until(end);
    return pages;
}

void BarMappings::place(std::uint32_t bar, std::optional<std::uint64_t> address) {
    const std::scoped_lock lock(mutex_);
    unmap(bars_.at(bar));
    bars_[bar].address = address;
    if (allowed_) map(bar);
}

void BarMappings::allow(bool allowed) {
    const std::scoped_lock lock(mutex_);
    if (allowed == allowed_) return;
    allowed_ = allowed;
    for (std::uint32_t bar = 0; bar < bars_.size(); ++bar) {
        if (allowed) map(bar);
        if (!allowed) unmap(bars_[bar]);
    }
}

void BarMappings::map(std::uint32_t index) {
    Bar& bar = bars_[index];
    if (!bar.address) return;
    RegionMemory memory = transport_.region_memory(index);
    std::vector<RegionExtent> holes = std::move(memory.holes);
    holes.insert(holes.end(), excluded_[index].begin(), excluded_[index].end());
    for (const RegionMemory::Area& area : memory.areas) {
        for (const RegionExtent& pages : pages_without({area.offset, area.bytes.size()}, holes)) {
            Piece piece{pages.offset, area.bytes.subspan(pages.offset - area.offset, pages.length_bytes)};
            piece.processors_reach_it =
                processors_ != nullptr &&
                processors_->add({spec::GuestAddress{*bar.address + piece.offset}, piece.bytes, memory.writable});
            if (piece.processors_reach_it) mapped_bytes_ += piece.bytes.size();
            bar.pieces.push_back(piece);
        }
    }
    bar.writable = memory.writable;
    bar.keeper = std::move(memory.keeper);
    most_mapped_bytes_ = std::max(most_mapped_bytes_.load(), mapped_bytes_.load());
}

void BarMappings::unmap(Bar& bar) {
    for (const Piece& piece : bar.pieces) {
        if (!piece.processors_reach_it) continue;
        processors_->remove(spec::GuestAddress{*bar.address + piece.offset});
        mapped_bytes_ -= piece.bytes.size();
    }
    bar.pieces.clear();
    bar.keeper.reset();
}

std::byte* BarMappings::find(const Bar& bar, std::uint64_t offset, unsigned width_bytes) const {
    if (offset % width_bytes != 0) return nullptr; // no single access
    for (const Piece& piece : bar.pieces) {
        if (offset >= piece.offset && offset - piece.offset + width_bytes <= piece.bytes.size()) {
            return piece.bytes.data() + (offset - piece.offset);
        }
    }
    return nullptr;
}

std::optional<std::uint64_t> BarMappings::read(std::uint32_t bar, std::uint64_t offset, unsigned width_bytes) {
    const std::shared_lock lock(mutex_);
    const std::byte* const from = find(bars_[bar], offset, width_bytes);
    if (from == nullptr) return std::nullopt;
    return load(from, width_bytes);
}

bool BarMappings::write(std::uint32_t bar, std::uint64_t offset, unsigned width_bytes, std::uint64_t value) {
    const std::shared_lock lock(mutex_);
    if (!bars_[bar].writable) return false;
    std::byte* const to = find(bars_[bar], offset, width_bytes);
    if (to == nullptr) return false;
    store(to, width_bytes, value);
    return true;
}

} // namespace touka::devices::passthrough
