// The buffers of one request, as host memory.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "memory/dma_space.hpp"

namespace touka::devices::virtio {

/// One descriptor chain after the walk: device-readable buffers, then device-writable ones. Filled by Virtqueue::pop;
/// reused from request to request, so that the buffer lists are allocated only while they grow, or were long. The
/// memory behind races with the guest: what is looked at is taken out once. It stays the chain's until
/// Virtqueue::push_used, for which the chain holds it in the space.
class DescriptorChain {
public:
    /// The descriptor that the used ring will name.
    [[nodiscard]] std::uint16_t head() const { return head_; }

    /// What has not been taken yet.
    [[nodiscard]] std::span<const iovec> readable() const { return readable_.buffers(); }
    [[nodiscard]] std::span<const iovec> writable() const { return writable_.buffers(); }
    [[nodiscard]] std::uint64_t readable_bytes() const { return readable_.bytes; }
    [[nodiscard]] std::uint64_t writable_bytes() const { return writable_.bytes; }

    /// Copies the next readable bytes out. @return false, and nothing taken, when there are fewer.
    [[nodiscard]] bool take(std::span<std::byte> to);
    /// Cuts the last writable byte off. @return where it is; null when there is none.
    [[nodiscard]] std::byte* take_last_writable();
    /// Cuts the next `length_bytes` writable ones off, to be filled in later. @param pieces becomes where they are.
    /// @return false, and nothing cut, when there are fewer.
    [[nodiscard]] bool take_writable(std::uint64_t length_bytes, std::vector<iovec>& pieces);
    /// Copies into the next writable bytes, as many as there are. @return how many.
    std::size_t put(memory::DmaSpace& dma, std::span<const std::byte> from);
    /// Tells the space that the first `length_bytes` of what is writable were written. (migration, code pages)
    void written(memory::DmaSpace& dma, std::uint64_t length_bytes) const;

    /// Beyond so many buffers a list does not stay allocated from request to request: a MiB in pages.
    static constexpr std::size_t kKeptBuffers = 256;
    /// The request is over: gives back the memory of long lists, so that a deep queue does not keep what few need.
    void trim();
    static void trim(std::vector<iovec>& list);

private:
    friend class Virtqueue;
    struct Part {
        std::vector<iovec> list;
        std::size_t first = 0; // before it all is taken
        std::uint64_t bytes = 0;
        [[nodiscard]] std::span<const iovec> buffers() const { return std::span(list).subspan(first); }
        void add(std::span<std::byte> memory);
        void advance(std::size_t count);
        void clear();
    };
    void clear(std::uint16_t head);

    memory::DmaHold hold_;
    std::uint16_t head_ = 0;
    Part readable_, writable_;
};

} // namespace touka::devices::virtio
