#include "cpu/translator/lookaside_table.hpp"

#include <sys/mman.h>

#include <algorithm>

#include "spec/address.hpp"

namespace touka::cpu::translator {
namespace {

constexpr std::uint64_t kPageMask = ~std::uint64_t{spec::kPageSize - 1};
constexpr std::uint64_t kLargePageSlots = 512;
constexpr std::size_t kBytes = 3 * LookasideTable::kSlots * 8;
/// The tag of a page that belongs in the last slot.
constexpr std::uint64_t kNeverInSlot0 = kPageMask;

} // namespace

std::uint32_t LookasideTable::slot_of(std::uint64_t linear) {
    return static_cast<std::uint32_t>((linear >> 12) % kSlots);
}

LookasideTable::LookasideTable() {
    void* mapped = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) return;
    read_tags_ = static_cast<std::uint64_t*>(mapped);
    write_tags_ = read_tags_ + kSlots;
    host_pages_ = write_tags_ + kSlots;
    drop_slot(0);
}

LookasideTable::~LookasideTable() {
    if (read_tags_ != nullptr) ::munmap(read_tags_, kBytes);
}

void LookasideTable::fill(std::uint64_t linear, std::byte* host_page, Rights rights) {
    const std::uint32_t at = slot_of(linear);
    drop_slot(at);
    read_tags_[at] = linear & kPageMask;
    if (rights.writes) write_tags_[at] = linear & kPageMask;
    host_pages_[at] = reinterpret_cast<std::uint64_t>(host_page);
    (rights.global ? global_ : local_).push_back(at);
    ++fill_count_;
    if (local_.size() + global_.size() > kLongList) give_back();
}

void LookasideTable::drop(std::uint64_t linear) { drop_slot(slot_of(linear)); }

void LookasideTable::drop_slot(std::uint32_t slot) {
    read_tags_[slot] = write_tags_[slot] = slot == 0 ? kNeverInSlot0 : 0;
    host_pages_[slot] = 0;
}

bool LookasideTable::leads_to(std::uint32_t slot, const std::byte* host_page) const {
    return host_pages_[slot] == reinterpret_cast<std::uint64_t>(host_page);
}

void LookasideTable::drop_large(std::uint64_t linear) {
    const std::uint64_t first = slot_of(linear) & ~(kLargePageSlots - 1);
    std::fill_n(read_tags_ + first, kLargePageSlots, 0);
    std::fill_n(write_tags_ + first, kLargePageSlots, 0);
    std::fill_n(host_pages_ + first, kLargePageSlots, 0);
    if (first == 0) drop_slot(0);
}

void LookasideTable::clear() {
    clear_listed(local_);
    clear_listed(global_);
}

void LookasideTable::clear_local() { clear_listed(local_); }

void LookasideTable::clear_listed(std::vector<std::uint32_t>& list) {
    for (const std::uint32_t at : list) drop_slot(at);
    list.clear();
}

void LookasideTable::give_back() {
    ::madvise(read_tags_, kBytes, MADV_DONTNEED);
    drop_slot(0);
    local_.clear();
    global_.clear();
}

} // namespace touka::cpu::translator
