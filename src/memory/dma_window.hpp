// Where a device is in a ring: the page of it that is used just now, translated once for all its entries.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "memory/dma_space.hpp"

namespace touka::memory {

/// The last page of a space that was asked for, kept until the space takes memory away or another page is wanted. One
/// thread.
class DmaWindow {
public:
    explicit DmaWindow(DmaAccess access) : access_(access) {}

    /// The host memory behind an entry. The rest of its page is translated with it, as far as the ring goes: no more
    /// than the device reaches sooner or later, and never what is beyond a page that cannot be reached.
    /// @pre within a use of `dma`, always the same; the entry does not cross a page and ends at `ring_end` at most.
    /// @return length_bytes; fewer where they do not lie together; nothing after a fault, which the space has recorded.
    [[nodiscard]] std::span<std::byte> at(DmaSpace& dma, Iova address, std::uint64_t length_bytes, Iova ring_end) {
        const std::uint64_t offset = address.value - start_.value;
        const bool kept = offset < page_.size() && dma.generation() == generation_;
        if (kept) [[likely]]
            return page_.subspan(offset, std::min<std::uint64_t>(length_bytes, page_.size() - offset));
        return translate(dma, address, ring_end).first(std::min<std::uint64_t>(length_bytes, page_.size()));
    }

private:
    std::span<std::byte> translate(DmaSpace& dma, Iova address, Iova ring_end) {
        generation_ = dma.generation(); // first: what is taken away meanwhile shows as another one
        const std::uint64_t to_page_end = spec::kPageSize - address.value % spec::kPageSize;
        const auto found = dma.translate(address, std::min<std::uint64_t>(to_page_end, ring_end - address), access_);
        start_ = address;
        return page_ = found.value_or(std::span<std::byte>());
    }

    DmaAccess access_;
    Iova start_{0};
    std::span<std::byte> page_;
    std::uint64_t generation_ = 0;
};

} // namespace touka::memory
