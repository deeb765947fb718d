// One requester's IOTLB, or a device's own: pages of an address space and where they lie in RAM. (VT-d Rev. 4.1 §6.2.4,
// PCIe Base 5.0 §10.1)
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "memory/dma_space.hpp"

namespace touka::memory {

/// Direct-mapped tables of 4 KiB pages and of 2 MiB pieces of greater ones. An entry is one word, so that looking it up
/// is one load that needs no lock; a word of another page never passes for the one looked for, because index and tag
/// together are the whole page number. Found by any thread; filled and cleared by whoever holds its owner's lock.
class TranslationCache {
public:
    static constexpr unsigned kSmallShift = 12, kLargeShift = 21, kHugeShift = 30;
    /// Addresses of both sides have 48 bits at most.
    static constexpr unsigned kAddressBits = 48;

    struct Hit {
        std::uint64_t guest = 0;
        std::uint64_t length_bytes = 0; ///< to the page's end; 0: not found
    };
    [[nodiscard]] Hit find(std::uint64_t address, DmaAccess access) const {
        if (address >> kAddressBits != 0) return {};
        const std::uint64_t permission = access == DmaAccess::kWrite ? kWrite : kRead;
        const std::uint64_t small = small_[address >> kSmallShift & kSmallMask].load(std::memory_order_acquire);
        if (small >> kSmallTagAt == address >> (kSmallShift + kSmallBits) && (small & permission) != 0) [[likely]]
            return place((small & kSmallFrameMask) >> 2 << kSmallShift, address, kSmallShift);
        const std::uint64_t large = large_[address >> kLargeShift & kLargeMask].load(std::memory_order_acquire);
        if (large >> kLargeTagAt == address >> (kLargeShift + kLargeBits) && (large & permission) != 0)
            return place((large & kLargeFrameMask) >> 3 << kLargeShift, address, kLargeShift);
        return {};
    }

    /// How many bytes from `hit` on lie together, in pages that are known.
    /// @param hit what was found at `address`.  @return 1 ..= length_bytes.
    [[nodiscard]] std::uint64_t extend(std::uint64_t address, const Hit& hit, std::uint64_t length_bytes,
                                       DmaAccess access) const {
        std::uint64_t known_bytes = hit.length_bytes;
        while (known_bytes < length_bytes) {
            const Hit next = find(address + known_bytes, access);
            if (next.length_bytes == 0 || next.guest != hit.guest + known_bytes) return known_bytes;
            known_bytes += next.length_bytes;
        }
        return length_bytes;
    }

    struct Page {
        std::uint64_t address = 0, guest = 0; ///< both aligned to 2^shift
        unsigned shift = kSmallShift;         ///< or kLargeShift
        bool read = false, write = false;     ///< one of them at least
        bool huge = false;                    ///< a piece of a page of 1 GiB, which is forgotten as a whole
    };
    void fill(const Page& page);
    // Whoever begins a use after the revocation that follows (DmaSpace::revoked) finds nothing of what was cleared.
    void clear();
    /// Forgets every page that any of [first, last] lies in.
    void clear_range(std::uint64_t first, std::uint64_t last);

private:
    // Small: R, W, 36 bits of frame, 26 of tag. Large: R, W, huge, 27 bits of frame, 19 of tag.
    static constexpr unsigned kSmallBits = 10, kLargeBits = 8;
    static constexpr std::uint64_t kSmallMask = (1u << kSmallBits) - 1, kLargeMask = (1u << kLargeBits) - 1;
    static constexpr std::uint64_t kRead = 1, kWrite = 2, kHuge = 4;
    static constexpr unsigned kSmallTagAt = 38, kLargeTagAt = 30;
    static constexpr std::uint64_t kSmallFrameMask = (std::uint64_t{1} << kSmallTagAt) - 4;
    static constexpr std::uint64_t kLargeFrameMask = (std::uint64_t{1} << kLargeTagAt) - 8;
    static_assert(2 + kAddressBits - kSmallShift == kSmallTagAt && 3 + kAddressBits - kLargeShift == kLargeTagAt);
    static_assert(kSmallTagAt + kAddressBits - kSmallShift - kSmallBits == 64);

    static Hit place(std::uint64_t frame, std::uint64_t address, unsigned shift) {
        const std::uint64_t within = address & ((std::uint64_t{1} << shift) - 1);
        return {frame + within, (std::uint64_t{1} << shift) - within};
    }

    std::array<std::atomic<std::uint64_t>, 1 << kSmallBits> small_{};
    std::array<std::atomic<std::uint64_t>, 1 << kLargeBits> large_{};
    bool any_large_ = false; // there may be some, which an invalidation has to look at one by one
};

} // namespace touka::memory
