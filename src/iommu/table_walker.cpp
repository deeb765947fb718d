#include "iommu/table_walker.hpp"

#include <atomic>

#include "iommu/unit_options.hpp"

namespace touka::iommu {

using namespace spec::vtd;

bool TableWalker::read(std::uint64_t address, std::uint64_t& value) const {
    const auto bytes = memory_.span(memory::GuestAddress{address}, sizeof value);
    if (bytes.empty()) return false;
    value = std::atomic_ref(*reinterpret_cast<std::uint64_t*>(bytes.data())).load(std::memory_order_acquire);
    return true;
}

bool TableWalker::read(std::uint64_t address, Entry& entry) const {
    return read(address, entry.low) && read(address + 8, entry.high);
}

std::expected<Context, RemappingFault> TableWalker::context(std::uint64_t root, RequesterId requester) const {
    const auto fault = [](FaultReason reason, bool recorded = true) {
        return std::unexpected(RemappingFault{reason, recorded});
    };
    if (RootTableAddress{root}.get(root_table_address::TTM) != 0) return fault(FaultReason::kTranslationTableMode);
    Entry entry;
    const std::uint64_t root_table = root & root_table_address::kAddress;
    if (!read(root_table + requester.bus() * kTableEntryBytes, entry)) return fault(FaultReason::kRootTableAccess);
    if (!RootEntry{entry.low}.get(root_entry::P)) return fault(FaultReason::kRootNotPresent);
    if ((entry.low & (root_entry::kReserved | beyond_host_)) != 0 || entry.high != 0)
        return fault(FaultReason::kRootReserved);

    const std::uint64_t context_table = entry.low & root_entry::kContextTable;
    if (!read(context_table + requester.device_function() * kTableEntryBytes, entry))
        return fault(FaultReason::kContextTableAccess);
    const ContextLow low{entry.low};
    const ContextHigh high{entry.high};
    const bool recorded = !low.get(context_low::FPD); // also while the entry is not present (§7.1.3)
    if (!low.get(context_low::P)) return fault(FaultReason::kContextNotPresent, recorded);
    if ((low.raw & (context_low::kReserved | beyond_host_)) != 0 || (high.raw & context_high::kReserved) != 0)
        return fault(FaultReason::kContextReserved, recorded);

    const unsigned width = high.get(context_high::AW);
    const auto type = low.get(context_low::TT);
    const bool width_known = width == 1 || width == 2;
    // What passes through has to say the greatest width (§9.3 AW).
    const bool good = type == TranslationType::kPassThrough ? width == 2 : type != TranslationType::kReserved;
    if (!width_known || !good) return fault(FaultReason::kContextInvalid, recorded);
    return Context{.domain = high.get(context_high::DID),
                   .type = type,
                   .faults_recorded = recorded,
                   .levels = width + 2,
                   .table = low.raw & context_low::kTable};
}

bool TableWalker::reserved_set(PagingEntry entry, unsigned level, bool leaf) const {
    std::uint64_t reserved = beyond_host_ & paging_entry::kAddress;
    if (leaf) {
        reserved |= ((std::uint64_t{1} << level_shift(level)) - 1) & paging_entry::kAddress;
    } else {
        reserved |= PagingEntry{}.set(paging_entry::SNP, true).set(paging_entry::TM, true).raw;
        reserved |= PagingEntry{}.set(paging_entry::PS, true).raw; // there are no pages of 512 GiB
    }
    return (entry.raw & reserved) != 0;
}

std::expected<PagingStep, FaultReason> TableWalker::step(std::uint64_t table, unsigned level,
                                                         std::uint64_t index) const {
    PagingEntry entry;
    if (!read(table + index * sizeof entry.raw, entry.raw)) return std::unexpected(FaultReason::kPagingEntryAccess);
    const bool read_bit = entry.get(paging_entry::R), write_bit = entry.get(paging_entry::W);
    if (!read_bit && !write_bit) return PagingStep{};
    const bool leaf = level == 1 || (level <= 3 && entry.get(paging_entry::PS));
    if (reserved_set(entry, level, leaf)) return std::unexpected(FaultReason::kPagingReserved);
    return PagingStep{leaf ? PagingStep::Kind::kPage : PagingStep::Kind::kTable, read_bit, write_bit,
                      entry.raw & paging_entry::kAddress};
}

std::expected<Translation, FaultReason> TableWalker::walk(const Context& context, std::uint64_t address) const {
    if (address >> context.address_width() != 0) return std::unexpected(FaultReason::kBeyondAddressWidth);
    std::uint64_t table = context.table;
    bool readable = true, writable = true;
    for (unsigned level = context.levels;; --level) {
        const auto found = step(table, level, address >> level_shift(level) & ((1u << kIndexBits) - 1));
        if (!found) return std::unexpected(found.error());
        if (found->kind == PagingStep::Kind::kAbsent) return Translation{.page = 0, .shift = level_shift(level)};
        readable = readable && found->read;
        writable = writable && found->write;
        table = found->address;
        if (found->kind == PagingStep::Kind::kPage) return Translation{table, level_shift(level), readable, writable};
    }
}

} // namespace touka::iommu
