#include "iommu/remapping_unit.hpp"

#include <utility>

namespace touka::iommu {

using namespace spec::vtd;

namespace {

constexpr bool is_wide(std::uint32_t offset) {
    switch (static_cast<Offset>(offset)) {
        case Offset::CAP:
        case Offset::ECAP:
        case Offset::RTADDR:
        case Offset::CCMD:
        case Offset::IQH:
        case Offset::IQT:
        case Offset::IQA:
        case Offset::IQERCD:
        case Offset::IRTA:
        case Offset::IVA:
        case Offset::IOTLB: return true;
        default: return false;
    }
}

/// The index of an event's register, or of a word of the fault records, when `offset` is one.
constexpr bool within(std::uint32_t offset, Offset first, std::uint32_t length_bytes, unsigned& index) {
    const std::uint32_t distance = offset - std::to_underlying(first);
    index = distance / 4;
    return distance < length_bytes;
}
constexpr std::uint32_t kEventBytes = 16, kFaultBytes = kFaultRecordCount * kFaultRecordBytes;

} // namespace

RemappingUnit::RemappingUnit(const RemappingUnitContext& context, const RemappingUnitOptions& options)
    : options_(options), faults_(context.msi, context.delivery),
      root_{context.memory, TableWalker(context.memory, options.host_address_width), faults_}, requesters_(root_),
      interrupts_(context.memory, faults_, context.msi, context.delivery),
      queue_({context.memory, requesters_, interrupts_, faults_, context.msi, context.delivery, context.timers},
             options.device_tlb_timeout_ns) {}

std::shared_ptr<ShadowedRequester> RemappingUnit::add_shadow(RequesterId requester, MappingSink& sink,
                                                             ShadowedRequester::Settings settings) {
    auto shadow = std::make_shared<ShadowedRequester>(root_, requester, sink, std::move(settings));
    requesters_.add(shadow);
    shadow->translation_changed([] {}); // it may have changed before the shadow was in the list
    return shadow;
}

std::shared_ptr<CachingRequester> RemappingUnit::add_caching(RequesterId requester, CachingDevice& device) {
    auto caching = std::make_shared<CachingRequester>(root_, requester, device);
    requesters_.add(caching);
    caching->translation_changed([] {}); // as above
    return caching;
}

std::uint32_t RemappingUnit::global_status() const {
    return state_.global_status | (interrupts_.enabled() ? global::IRE : 0) |
           (interrupts_.compatibility() ? global::CFI : 0) | (queue_.enabled() ? global::QIE : 0);
}

std::uint64_t RemappingUnit::read_wide(Offset offset) const {
    switch (offset) {
        case Offset::CAP: return capabilities(options_).raw;
        case Offset::ECAP: return extended_capabilities(options_).raw;
        case Offset::RTADDR: return state_.root_address;
        case Offset::CCMD: return state_.context_command;
        case Offset::IRTA: return state_.interrupt_address;
        case Offset::IOTLB: return state_.iotlb_command;
        case Offset::IVA: return 0; // write only
        default: return queue_.read(offset);
    }
}

std::uint32_t RemappingUnit::read_word(std::uint32_t offset) const {
    if (is_wide(offset & ~7u)) {
        const std::uint64_t value = read_wide(static_cast<Offset>(offset & ~7u));
        return static_cast<std::uint32_t>((offset & 4) != 0 ? value >> 32 : value);
    }
    unsigned index = 0;
    if (within(offset, Offset::FECTL, kEventBytes, index)) return faults_.read_event(index);
    if (within(offset, Offset::IECTL, kEventBytes, index)) return queue_.read_event(index);
    if (within(offset, Offset::FRCD, kFaultBytes, index)) return faults_.read_record(index);
    switch (static_cast<Offset>(offset)) {
        case Offset::VER: return kVersion;
        case Offset::GSTS: return global_status();
        case Offset::FSTS: return faults_.status();
        case Offset::ICS: return static_cast<std::uint32_t>(queue_.read(Offset::ICS));
        default: return 0;
    }
}

std::uint64_t RemappingUnit::read(std::uint64_t offset, unsigned width_bytes) {
    const std::scoped_lock lock(mutex_);
    const auto at = static_cast<std::uint32_t>(offset & ~std::uint64_t{3});
    const std::uint64_t low = read_word(at);
    if (width_bytes == 8 && offset % 8 == 0) return low | std::uint64_t{read_word(at + 4)} << 32;
    return low >> (8 * (offset % 4)); // narrow accesses are not defined (§11.2); those over two words read one
}

void RemappingUnit::write(std::uint64_t offset, unsigned width_bytes, std::uint64_t value) {
    const auto at = static_cast<std::uint32_t>(offset);
    if (width_bytes < 4 || offset % width_bytes != 0) return;
    if (is_wide(at & ~7u)) {
        const Half half = width_bytes == 8 ? Half::kBoth : (at & 4) != 0 ? Half::kHigh : Half::kLow;
        return write_wide(static_cast<Offset>(at & ~7u), half == Half::kHigh ? value << 32 : value, half);
    }
    write_word(at, static_cast<std::uint32_t>(value));
    if (width_bytes == 8) write_word(at + 4, static_cast<std::uint32_t>(value >> 32));
}

void RemappingUnit::write_word(std::uint32_t offset, std::uint32_t value) {
    unsigned index = 0;
    if (within(offset, Offset::FECTL, kEventBytes, index)) return faults_.write_event(index, value);
    if (within(offset, Offset::IECTL, kEventBytes, index)) return queue_.write_event(index, value);
    if (within(offset, Offset::FRCD, kFaultBytes, index)) return faults_.write_record(index, value);
    switch (static_cast<Offset>(offset)) {
        case Offset::GCMD: return write_global_command(value);
        case Offset::FSTS: faults_.write_status(value); return queue_.run(); // an error that stopped it may be gone
        case Offset::ICS: return queue_.write(Offset::ICS, value);
        default: return;
    }
}

void RemappingUnit::write_wide(Offset offset, std::uint64_t value, Half half) {
    constexpr std::uint64_t kLowHalf = 0xFFFF'FFFF;
    const std::uint64_t kept = half == Half::kLow ? ~kLowHalf : half == Half::kHigh ? kLowHalf : 0;
    const auto before = [&] {
        const std::scoped_lock lock(mutex_);
        return read_wide(offset) & kept;
    };
    const auto merge = [&](std::uint64_t& place, std::uint64_t writable) {
        const std::scoped_lock lock(mutex_);
        place = (place & kept) | (value & writable);
    };
    switch (offset) {
        case Offset::RTADDR:
            return merge(state_.root_address, root_table_address::kAddress |
                                                  RootTableAddress{}.set(root_table_address::TTM, std::uint8_t{3}).raw);
        case Offset::IRTA: return merge(state_.interrupt_address, ~std::uint64_t{0x7F0});
        case Offset::IVA: return merge(state_.invalidate_address, ~std::uint64_t{0xF80});
        case Offset::CCMD: return write_context_command(before() | value);
        case Offset::IOTLB: return write_iotlb_command(before() | value);
        case Offset::IQA: return queue_.write(offset, before() | value);
        case Offset::IQT:
            if (half != Half::kHigh) queue_.write(offset, value);
            return;
        default: return;
    }
}

void RemappingUnit::write_global_command(std::uint32_t value) {
    bool translation = false, root_taken = false;
    {
        const std::scoped_lock lock(mutex_);
        if ((value & global::SRTP) != 0) {
            state_.root_taken = state_.root_address;
            root_.table.store(state_.root_taken);
            root_taken = true;
            state_.global_status |= global::SRTP;
        }
        if (options_.interrupt_remapping) {
            if ((value & global::SIRTP) != 0) {
                state_.interrupt_taken = state_.interrupt_address;
                interrupts_.set_table(state_.interrupt_taken);
                state_.global_status |= global::SIRTP;
            }
            interrupts_.set_compatibility((value & global::CFI) != 0);
            interrupts_.set_enabled((value & global::IRE) != 0);
        }
        translation = root_.enabled.load() != ((value & global::TE) != 0);
    }
    if (root_taken) requesters_.root_table_taken();
    queue_.set_enabled((value & global::QIE) != 0);
    if (translation) set_translation((value & global::TE) != 0);
}

void RemappingUnit::set_translation(bool enabled) {
    std::uint64_t change = 0;
    {
        const std::scoped_lock lock(mutex_);
        change = ++translation_change_;
        root_.enabled.store(enabled);
    }
    // The status follows when no access of the old kind is under way. (chapter 11: GCMD.TE)
    requesters_.translation_changed([this, change, enabled] {
        const std::scoped_lock lock(mutex_);
        if (change != translation_change_) return;
        state_.global_status = (state_.global_status & ~global::TE) | (enabled ? global::TE : 0);
        translation_switched_.notify_all();
    });
    std::unique_lock lock(mutex_);
    translation_switched_.wait_for(lock, options_.longest_switch, [&] {
        return change != translation_change_ || ((state_.global_status & global::TE) != 0) == enabled;
    });
}

void RemappingUnit::write_context_command(std::uint64_t value) {
    const ContextCommand command{value};
    std::uint64_t number = 0;
    {
        const std::scoped_lock lock(mutex_);
        if (ContextCommand{state_.context_command}.get(context_command::ICC)) return; // one at a time
        state_.context_command = ContextCommand{value}.set(context_command::CAIG, std::uint8_t{0}).raw;
        if (!command.get(context_command::ICC)) return;
        number = ++context_command_;
        if (command.get(context_command::CIRG) == 0) { // not a granularity: ignored, which CAIG says
            state_.context_command = ContextCommand{state_.context_command}.set(context_command::ICC, false).raw;
            return;
        }
    }
    const Invalidation invalidation{.cache = Invalidation::Cache::kContext,
                                    .granularity = static_cast<Granularity>(command.get(context_command::CIRG)),
                                    .domain = command.get(context_command::DID),
                                    .requester = RequesterId{command.get(context_command::SID)},
                                    .function_mask = command.get(context_command::FM)};
    requesters_.invalidate(invalidation, [this, number, command] {
        const std::scoped_lock lock(mutex_);
        if (number != context_command_) return;
        state_.context_command = ContextCommand{command}
                                     .set(context_command::CAIG, command.get(context_command::CIRG))
                                     .set(context_command::ICC, false)
                                     .raw;
    });
}

void RemappingUnit::write_iotlb_command(std::uint64_t value) {
    const IotlbCommand command{value};
    std::uint64_t number = 0;
    Invalidation invalidation{.cache = Invalidation::Cache::kIotlb,
                              .granularity = static_cast<Granularity>(command.get(iotlb_command::IIRG)),
                              .domain = command.get(iotlb_command::DID),
                              .requester = {}};
    {
        const std::scoped_lock lock(mutex_);
        if (IotlbCommand{state_.iotlb_command}.get(iotlb_command::IVT)) return;
        state_.iotlb_command = IotlbCommand{value}.set(iotlb_command::IAIG, std::uint8_t{0}).raw;
        if (!command.get(iotlb_command::IVT)) return;
        number = ++iotlb_command_;
        invalidation.address = state_.invalidate_address & invalidate_address::kAddress;
        invalidation.address_mask = InvalidateAddress{state_.invalidate_address}.get(invalidate_address::AM);
        const bool too_many =
            invalidation.granularity == Granularity::kSelective && invalidation.address_mask > kGreatestAddressMask;
        if (invalidation.granularity == Granularity::kReserved || too_many) {
            state_.iotlb_command = IotlbCommand{state_.iotlb_command}.set(iotlb_command::IVT, false).raw;
            return;
        }
    }
    requesters_.invalidate(invalidation, [this, number, command] {
        const std::scoped_lock lock(mutex_);
        if (number != iotlb_command_) return;
        state_.iotlb_command = IotlbCommand{command}
                                   .set(iotlb_command::IAIG, command.get(iotlb_command::IIRG))
                                   .set(iotlb_command::IVT, false)
                                   .raw;
    });
}

void RemappingUnit::reset() {
    {
        const std::scoped_lock lock(mutex_);
        state_ = {};
        ++translation_change_;
        ++context_command_;
        ++iotlb_command_;
        root_.table.store(0);
        root_.enabled.store(false);
        interrupts_.set_enabled(false);
        interrupts_.set_compatibility(false);
        interrupts_.set_table(0);
    }
    faults_.reset();
    queue_.reset();
    requesters_.translation_changed([] {});
}

} // namespace touka::iommu
