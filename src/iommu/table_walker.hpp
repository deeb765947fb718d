// Legacy mode's tables, read from guest memory whenever they are needed. Anything may stand there: entries are read
// once, and the number of levels bounds a walk.
// Absent: scalable mode, first-level tables, tables of five levels.
#pragma once

#include <cstdint>
#include <expected>

#include "iommu/requester_id.hpp"
#include "memory/guest_memory.hpp"
#include "spec/vtd/fault.hpp"
#include "spec/vtd/translation_tables.hpp"

namespace touka::iommu {

/// What a context entry says.
struct Context {
    std::uint16_t domain = 0;
    spec::vtd::TranslationType type = spec::vtd::TranslationType::kUntranslatedOnly;
    bool faults_recorded = true; ///< FPD is clear
    unsigned levels = 0;         ///< of the second-level table: 3 or 4
    std::uint64_t table = 0;     ///< its address
    /// Addresses have so many bits.
    [[nodiscard]] unsigned address_width() const { return spec::vtd::level_shift(levels + 1); }
};

/// Why a request is blocked, and whether the guest wants to know.
struct RemappingFault {
    spec::vtd::FaultReason reason{};
    bool recorded = true;
};

/// A page as the tables have it.
struct Translation {
    std::uint64_t page = 0; ///< guest physical address of its start
    unsigned shift = 0;     ///< it has 2^shift bytes
    bool read = false, write = false;
};

/// What one entry of a second-level table is.
struct PagingStep {
    enum class Kind : std::uint8_t { kAbsent, kTable, kPage };
    Kind kind = Kind::kAbsent;
    bool read = false, write = false;
    std::uint64_t address = 0; ///< of the table or page
};

/// Any thread.
class TableWalker {
public:
    TableWalker(const memory::GuestMemory& memory, unsigned host_address_width)
        : memory_(memory), beyond_host_(~((std::uint64_t{1} << host_address_width) - 1)) {}

    /// @param root the RTADDR register as it was taken.
    [[nodiscard]] std::expected<Context, RemappingFault> context(std::uint64_t root, RequesterId requester) const;
    /// Never a fault for a missing permission: that stands in the result. A page that is not there has none.
    [[nodiscard]] std::expected<Translation, spec::vtd::FaultReason> walk(const Context& context,
                                                                          std::uint64_t address) const;
    /// One entry. @param level of the table: 1 to 4.  @param index < 512.
    [[nodiscard]] std::expected<PagingStep, spec::vtd::FaultReason> step(std::uint64_t table, unsigned level,
                                                                         std::uint64_t index) const;

private:
    struct Entry {
        std::uint64_t low = 0, high = 0;
    };
    [[nodiscard]] bool read(std::uint64_t address, std::uint64_t& value) const;
    [[nodiscard]] bool read(std::uint64_t address, Entry& entry) const;
    [[nodiscard]] bool reserved_set(spec::vtd::PagingEntry entry, unsigned level, bool leaf) const;

    const memory::GuestMemory& memory_;
    std::uint64_t beyond_host_; // address bits that the host does not have
};

} // namespace touka::iommu
