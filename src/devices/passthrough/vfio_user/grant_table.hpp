#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "devices/passthrough/vfio_user/dirty_pages.hpp"
#include "memory/dma_space.hpp"
#include "runtime/shared_mapping.hpp"

namespace touka::devices::passthrough {

struct DmaRights {
    bool read = false;
    bool write = false;
};

/// A region that was granted to a device.
struct DmaGrant {
    memory::Iova start;
    std::uint64_t length_bytes = 0;
    DmaRights rights;
    std::span<std::byte> bytes;                            ///< in the mapping; empty: to be asked for
    std::shared_ptr<const runtime::SharedMapping> mapping; ///< of several tables and regions at once
    std::shared_ptr<DirtyPages> dirty;                     ///< null: nobody logs writes to it

    [[nodiscard]] memory::Iova last() const { return start + (length_bytes - 1); }
    [[nodiscard]] bool allows(memory::DmaAccess access) const {
        return access == memory::DmaAccess::kRead ? rights.read : rights.write;
    }
};

/// The grants of a space, ascending and disjoint. A table does not change: the next one is made from it, and shares
/// most of it, so that a change costs about the same with few grants and with many.
class GrantTable {
public:
    [[nodiscard]] std::size_t size() const { return size_; }
    /// The grant that an address lies in, or null. Good as long as this table.
    [[nodiscard]] const DmaGrant* find(memory::Iova address) const;
    [[nodiscard]] bool overlaps(const DmaGrant& grant) const;
    /// @pre it overlaps none.
    [[nodiscard]] GrantTable with(DmaGrant grant) const;
    /// @pre a grant starts there.
    [[nodiscard]] GrantTable without(memory::Iova start) const;
    /// The same grants, each changed.
    [[nodiscard]] GrantTable changed(const std::function<void(DmaGrant&)>& change) const;
    void for_each(const std::function<void(const DmaGrant&)>& visit) const;

private:
    using Chunk = std::vector<DmaGrant>; // never empty
    static constexpr std::size_t kChunkLimit = 64;
    /// The one where a grant at that address is, or belongs. @pre there are chunks.
    [[nodiscard]] std::size_t chunk_of(memory::Iova address) const;

    std::vector<std::shared_ptr<const Chunk>> chunks_;
    std::size_t size_ = 0;
};

} // namespace touka::devices::passthrough
