#include "devices/virtio/descriptor_chain.hpp"

#include <algorithm>
#include <cstring>

namespace touka::devices::virtio {

namespace {

std::byte* base(const iovec& buffer) { return static_cast<std::byte*>(buffer.iov_base); }

} // namespace

void DescriptorChain::Part::add(std::span<std::byte> memory) {
    list.push_back(iovec{memory.data(), memory.size()});
    bytes += memory.size();
}

void DescriptorChain::Part::advance(std::size_t count) {
    iovec& front = list[first];
    front.iov_base = base(front) + count;
    front.iov_len -= count;
    bytes -= count;
    if (front.iov_len == 0) ++first;
}

void DescriptorChain::Part::clear() {
    list.clear();
    first = 0;
    bytes = 0;
}

void DescriptorChain::clear(std::uint16_t head) {
    head_ = head;
    readable_.clear();
    writable_.clear();
}

bool DescriptorChain::take(std::span<std::byte> to) {
    if (to.size() > readable_.bytes) return false;
    while (!to.empty()) {
        const iovec& front = readable_.list[readable_.first];
        const std::size_t count = std::min(to.size(), front.iov_len);
        std::memcpy(to.data(), front.iov_base, count);
        to = to.subspan(count);
        readable_.advance(count);
    }
    return true;
}

std::byte* DescriptorChain::take_last_writable() {
    if (writable_.bytes == 0) return nullptr;
    iovec& last = writable_.list.back();
    --last.iov_len;
    --writable_.bytes;
    std::byte* const place = base(last) + last.iov_len;
    if (last.iov_len == 0) writable_.list.pop_back();
    return place;
}

bool DescriptorChain::take_writable(std::uint64_t length_bytes, std::vector<iovec>& pieces) {
    pieces.clear();
    if (length_bytes > writable_.bytes) return false;
    while (length_bytes > 0) {
        const iovec& front = writable_.list[writable_.first];
        const std::size_t count = std::min<std::uint64_t>(length_bytes, front.iov_len);
        pieces.push_back({front.iov_base, count});
        length_bytes -= count;
        writable_.advance(count);
    }
    return true;
}

std::size_t DescriptorChain::put(memory::DmaSpace& dma, std::span<const std::byte> from) {
    std::size_t done = 0;
    while (done < from.size() && writable_.bytes > 0) {
        const iovec& front = writable_.list[writable_.first];
        const std::size_t count = std::min(from.size() - done, front.iov_len);
        std::memcpy(front.iov_base, from.data() + done, count);
        dma.written({base(front), count});
        done += count;
        writable_.advance(count);
    }
    return done;
}

void DescriptorChain::written(memory::DmaSpace& dma, std::uint64_t length_bytes) const {
    for (const iovec& buffer : writable()) {
        if (length_bytes == 0) return;
        const std::uint64_t count = std::min<std::uint64_t>(length_bytes, buffer.iov_len);
        dma.written({base(buffer), count});
        length_bytes -= count;
    }
}

void DescriptorChain::trim() {
    trim(readable_.list);
    trim(writable_.list);
}

void DescriptorChain::trim(std::vector<iovec>& list) {
    if (list.capacity() > kKeptBuffers) std::vector<iovec>().swap(list);
}

} // namespace touka::devices::virtio
