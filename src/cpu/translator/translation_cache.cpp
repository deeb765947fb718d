#include "cpu/translator/translation_cache.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <span>

#include "cpu/interpreter/host_memory.hpp"
#include "cpu/interpreter/memory_access.hpp"
#include "cpu/translator/jump_cache.hpp"

namespace touka::cpu::translator {

using spec::kPageSize;

namespace {

/// A block is hardly shorter than this, code and all, so there are not more of them.
constexpr std::size_t kLeastBlockBytes = 32;
/// Nor has code more entries in the tables.
constexpr std::size_t kLeastEntryBytes = 4;

/// Bytes of a page, copied once: the guest may change them meanwhile.
void copy_code(std::byte* host, std::size_t start, std::size_t end, std::uint8_t* bytes) {
    for (std::size_t n = start / 8 * 8; n < end; n += 8) {
        const auto word = interpreter::host::load<std::uint64_t>(host + n);
        std::memcpy(bytes + n, &word, sizeof(word));
    }
}

std::uint64_t next_page(std::uint64_t rip) { return (rip | (kPageSize - 1)) + 1; }

} // namespace

TranslationCache::TranslationCache(VcpuMemory& vcpu, AddressSpaces& spaces, const Callees& callees,
                                   const TranslationObservers& observers, std::size_t code_bytes)
    : vcpu_(vcpu), spaces_(spaces), memory_(vcpu.processor.memory), callees_(callees), observers_(observers),
      offsets_(vcpu), code_(code_bytes), store_(code_bytes / kLeastBlockBytes),
      tables_(vcpu.frame.far_keys, code_bytes / kLeastEntryBytes), decoded_(std::make_unique<GuestBlock>()) {
    if (has_memory()) reset_code();
}

void TranslationCache::reset_code() {
    code_.clear();
    thunks_ = make_thunks(code_, offsets_, callees_);
    emitter_ = std::make_unique<BlockEmitter>(code_, offsets_, thunks_);
}

Translation* TranslationCache::find(std::uint64_t rip, spec::GuestAddress physical, BlockMode mode, bool grouped) {
    const std::uint64_t page = physical.value / kPageSize;
    const auto offset = static_cast<std::uint16_t>(physical.value % kPageSize);
    if (Translation* t = store_.find(page, offset, mode, grouped)) {
        if (t->generation != memory_.code_pages().generation(page))
            drop_page(page);
        else if (is_second_page_right(*t, rip))
            return t;
        else
            forget(*t);
    }
    return translate(rip, physical, mode, grouped);
}

bool TranslationCache::is_second_page_right(const Translation& t, std::uint64_t rip) {
    if (t.second_page == Translation::kOnePage) return true;
    const interpreter::CodePointer second = interpreter::fetch_pointer(vcpu_.processor, next_page(rip));
    vcpu_.processor.fault.reset(); // it is found again when the instruction is interpreted
    return second.ok && second.host != nullptr && second.physical.value / kPageSize == t.second_page &&
           memory_.code_pages().generation(t.second_page) == t.second_generation;
}

bool TranslationCache::has_room() const {
    return code_.free_space().size() >= BlockEmitter::kMaxBytes && store_.has_room() && tables_.has_room();
}

Translation* TranslationCache::translate(std::uint64_t rip, spec::GuestAddress physical, BlockMode mode, bool grouped) {
    const auto start = std::chrono::steady_clock::now();
    if (!has_room()) drop_all();

    Translation t;
    t.page = physical.value / kPageSize;
    t.offset = static_cast<std::uint16_t>(physical.value % kPageSize);
    t.mode = mode;
    t.grouped = grouped;

    const bool supervisor = mode == BlockMode::kSupervisor;
    std::array<std::uint8_t, 2 * kPageSize> bytes;
    t.generation = read_code(t.page, t.offset, bytes.data());
    const std::span page(bytes.data(), kPageSize);
    if (decode_guest_block(page, t.offset, supervisor, grouped, *decoded_, &memo_) == DecodeResult::kNeedsNextPage) {
        const interpreter::CodePointer second = interpreter::fetch_pointer(vcpu_.processor, next_page(rip));
        if (!second.ok || second.host == nullptr) return nullptr;
        t.second_page = second.physical.value / kPageSize;
        t.second_generation = read_code(t.second_page, 0, bytes.data() + kPageSize);
        static_cast<void>(decode_guest_block(bytes, t.offset, supervisor, grouped, *decoded_, &memo_));
    }
    emitter_->emit(*decoded_, t, tables_);
    Translation& kept = store_.enter(t);
    for (const auto& observer : observers_)
        observer->translated({rip, *decoded_, kept, emitter_->outline(), offsets_, thunks_, tables_.links.span()});

    ++counters_.blocks;
    counters_.guest_bytes += t.length_bytes;
    counters_.host_bytes += t.code_bytes;
    counters_.translating_ns += static_cast<std::uint64_t>((std::chrono::steady_clock::now() - start).count());
    return &kept;
}

std::uint32_t TranslationCache::read_code(std::uint64_t page, std::uint16_t offset, std::uint8_t* bytes) {
    constexpr std::size_t kMostBytes = GuestBlock::kMaxInstructions * ZYDIS_MAX_INSTRUCTION_LENGTH;
    // The generation before the bytes, so that a write in between leaves the block stale.
    const std::uint32_t generation = memory_.code_pages().generation(page);
    spaces_.code_read(page);
    copy_code(memory_.base() + page * kPageSize, offset, std::min<std::size_t>(kPageSize, offset + kMostBytes), bytes);
    return generation;
}

void TranslationCache::link(std::uint32_t number, std::uint64_t rip) {
    const Link from = tables_.links[number];
    const std::uint64_t drops = drop_count_;
    const Translation* found =
        find(rip, spec::GuestAddress{from.page * kPageSize + from.target}, from.mode, from.grouped);
    if (drops != drop_count_) return; // the jump itself may be gone
    if (found == nullptr || found->second_page != Translation::kOnePage) return;
    const Translation& to = *found;
    const Translation::Entries& at = to.entries;
    const std::uint16_t polls = from.with_flags ? at.flags : at.home;
    const std::uint16_t passes = from.with_flags ? at.flags_without_poll : at.home_without_poll;
    lead(from.site, to.code + (from.backward ? polls : passes));
}

void TranslationCache::lead(std::uint8_t* site, const std::uint8_t* target) {
    const auto displacement = static_cast<std::int32_t>(code_.writable_alias(target) - (site + 4));
    std::memcpy(site, &displacement, sizeof(displacement));
    ++counters_.links;
}

Translation* TranslationCache::link_far(std::uint32_t number, std::uint64_t rip, spec::GuestAddress physical,
                                        BlockMode mode) {
    const std::uint64_t drops = drop_count_;
    Translation* to = find(rip, physical, mode);
    if (to == nullptr || drops != drop_count_) return to; // the jump itself may be gone
    if (to->second_page != Translation::kOnePage) {
        tables_.far_links.give_up(number);
        return to;
    }
    lead(tables_.far_links.site(number), to->entry());
    tables_.far_links.connect(number, *to, vcpu_.frame.rip_base ^ vcpu_.frame.jump_generation);
    return to;
}

void TranslationCache::forget(Translation& t) {
    tables_.far_links.cut(t);
    store_.forget(t);
    forget_jump(vcpu_.frame, t.offset, t.entry());
}

void TranslationCache::drop_page(std::uint64_t page) {
    store_.take_page(page, [this](Translation& t) { forget(t); });
    ++counters_.dropped_pages;
}

void TranslationCache::drop_stale() {
    std::vector<std::uint64_t> stale;
    for (const auto& [page, entry] : store_.pages())
        if (entry.generation != memory_.code_pages().generation(page)) stale.push_back(page);
    for (const std::uint64_t page : stale) drop_page(page);
}

void TranslationCache::drop_all() {
    store_.clear();
    tables_.clear();
    clear_jumps(vcpu_.frame);
    reset_code();
    ++drop_count_;
    ++counters_.dropped_all;
}

const FaultSite* TranslationCache::fault_site(const void* at) const {
    const Translation* t = store_.containing(at);
    if (t == nullptr) return nullptr;
    const auto offset = static_cast<std::uint32_t>(static_cast<const std::uint8_t*>(at) - t->code);
    const auto sites = tables_.fault_sites.span().subspan(t->first_fault_site, t->fault_site_count);
    const auto site = std::ranges::lower_bound(sites, offset, {}, &FaultSite::at);
    return site != sites.end() && site->at == offset ? &*site : nullptr;
}

} // namespace touka::cpu::translator
