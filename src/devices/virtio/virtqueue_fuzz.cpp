// A queue over any bytes: the input is one byte of features, one of the size, and guest memory with the three parts of
// a queue at its start. Every chain is read, written and returned.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#include "devices/virtio/virtqueue.hpp"
#include "memory/guest_memory.hpp"
#include "spec/virtio/virtio.hpp"

using namespace touka;
using namespace touka::devices::virtio;

namespace {

constexpr std::uint64_t kRamBytes = 64 << 10, kDescriptors = 0, kAvail = 0x100, kUsed = 0x140, kFuzzedBytes = 0x1000;
constexpr std::uint16_t kSizeLimit = 16;

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto ram = memory::GuestMemory::create(kRamBytes).value();
    static memory::IdentityDmaSpace dma(*ram);
    if (size < 2) return 0;
    std::memset(ram->base(), 0, kRamBytes);
    std::memcpy(ram->base(), data + 2, std::min<std::size_t>(size - 2, kFuzzedBytes));

    Virtqueue queue(dma, kSizeLimit);
    const std::uint64_t features = spec::virtio::VIRTIO_F_VERSION_1 | std::uint64_t{data[0]} << 28;
    const QueueSetup setup{data[1], memory::Iova{kDescriptors}, memory::Iova{kAvail}, memory::Iova{kUsed}};
    if (!queue.start(setup, features)) return 0;

    DescriptorChain chain;
    const auto handle = [&queue](DescriptorChain& each) {
        std::array<std::byte, 64> bytes{};
        (void)each.take(std::span(bytes).first(std::min<std::uint64_t>(bytes.size(), each.readable_bytes())));
        if (std::byte* status = each.take_last_writable()) *status = std::byte{1};
        const std::size_t written = each.put(dma, bytes);
        each.written(dma, each.writable_bytes());
        queue.push_used(each, static_cast<std::uint32_t>(written));
        (void)queue.publish();
    };
    // The device writes into the memory that it reads its rings from: bounded turns, as on a reactor.
    (void)queue.consume(64, [&chain]() -> DescriptorChain& { return chain; }, handle);
    if (queue.in_flight() != 0) std::abort();
    return 0;
}
