#include "devices/virtio/ring_part.hpp"

#include <algorithm>

namespace touka::devices::virtio {

bool RingPart::map(memory::DmaSpace& dma, memory::Iova address, std::uint64_t length_bytes, memory::DmaAccess access) {
    first_offset_ = address.value % spec::kPageSize;
    pages_.clear();
    start_ = nullptr;
    bool one_piece = true;
    for (std::uint64_t done = 0; done < length_bytes;) {
        const auto piece = dma.translate(address + done, length_bytes - done, access);
        if (!piece) return false;
        if (start_ == nullptr) start_ = piece->data();
        one_piece = one_piece && piece->data() == start_ + done;
        for (std::uint64_t at = 0; at < piece->size();) {
            const std::uint64_t within = (address.value + done + at) % spec::kPageSize;
            const std::uint64_t bytes = std::min(piece->size() - at, spec::kPageSize - within);
            if (within != 0 && done + at != 0) return false; // a word could lie on both sides
            pages_.emplace_back(piece->data() + at - within, within + bytes);
            at += bytes;
        }
        done += piece->size();
    }
    if (one_piece) pages_.clear();
    return true;
}

void RingPart::written(memory::DmaSpace& dma, std::uint64_t offset, std::uint64_t length_bytes) const {
    if (pages_.empty()) return dma.written({start_ + offset, length_bytes});
    while (length_bytes > 0) {
        const std::uint64_t within = (first_offset_ + offset) % spec::kPageSize;
        const std::uint64_t count = std::min(length_bytes, spec::kPageSize - within);
        dma.written({at(offset), count});
        offset += count;
        length_bytes -= count;
    }
}

} // namespace touka::devices::virtio
