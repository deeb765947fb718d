#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "memory/dma_space.hpp"

namespace touka::devices::virtio {

/// One of the three parts of a queue, as host memory: in one piece, or behind an IOMMU in pages that lie anywhere.
/// Good as long as a DmaSpace has the generation that it was mapped in. One thread.
class RingPart {
public:
    /// @return false when not all of it can be reached, or pieces end within a page.  @pre within a use of `dma`.
    [[nodiscard]] bool map(memory::DmaSpace& dma, memory::Iova address, std::uint64_t length_bytes,
                           memory::DmaAccess access);
    /// Where the byte is. Words that are aligned in the part are in one piece.  @pre mapped; offset within the part.
    [[nodiscard]] std::byte* at(std::uint64_t offset) const {
        if (pages_.empty()) [[likely]]
            return start_ + offset;
        const std::uint64_t in_pages = first_offset_ + offset;
        return pages_[in_pages / spec::kPageSize].data() + in_pages % spec::kPageSize;
    }
    /// Tells the space that bytes of it were written.
    void written(memory::DmaSpace& dma, std::uint64_t offset, std::uint64_t length_bytes) const;

private:
    std::byte* start_ = nullptr;     // when there is one piece
    std::uint64_t first_offset_ = 0; // of the part in its first page
    // Otherwise: each page from its beginning on; of the first and last the part's bytes alone are anybody's.
    std::vector<std::span<std::byte>> pages_;
};

} // namespace touka::devices::virtio
