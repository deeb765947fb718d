// What a queue costs for each request: taken, translated, returned and shown to the driver.
#include <benchmark/benchmark.h>

#include <cstring>

#include "devices/virtio/virtqueue.hpp"
#include "memory/guest_memory.hpp"
#include "spec/virtio/virtio.hpp"

namespace touka::devices::virtio {
namespace {

using namespace spec::virtio;
using memory::Iova;

constexpr std::uint16_t kSize = 256;
constexpr std::uint64_t kDescriptors = 0x1000, kAvail = 0x3000, kUsed = 0x5000, kIndirect = 0x7000, kBuffers = 0x8000;

/// Requests as a block driver sends them: header, a page of data, status. @param batch requests between notifications.
void requests(benchmark::State& state, bool indirect) {
    const auto batch = static_cast<std::uint16_t>(state.range(0));
    const auto ram = memory::GuestMemory::create(1 << 20).value();
    memory::IdentityDmaSpace dma(*ram);
    Virtqueue queue(dma, kSize);
    const auto store = [&](std::uint64_t address, auto value) {
        std::memcpy(ram->base() + address, &value, sizeof value);
    };
    const std::uint64_t table = indirect ? kIndirect : kDescriptors;
    store(kDescriptors, Descriptor{kIndirect, 48, VIRTQ_DESC_F_INDIRECT, 0});
    store(table, Descriptor{kBuffers, 16, VIRTQ_DESC_F_NEXT, 1});
    store(table + 16, Descriptor{kBuffers + 0x1000, 4096, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 2});
    store(table + 32, Descriptor{kBuffers + 0x20, 1, VIRTQ_DESC_F_WRITE, 0});
    const std::uint64_t features = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX;
    (void)queue.start({kSize, Iova{kDescriptors}, Iova{kAvail}, Iova{kUsed}}, features);
    DescriptorChain chain;
    std::uint16_t index = 0;
    for (auto _ : state) {
        index = static_cast<std::uint16_t>(index + batch);
        store(kAvail + 2, index);
        const auto more = queue.consume(
            kSize, [&chain]() -> DescriptorChain& { return chain; },
            [&queue](DescriptorChain& each) { queue.push_used(each, 4097); });
        benchmark::DoNotOptimize(more);
        benchmark::DoNotOptimize(queue.publish());
    }
    state.SetItemsProcessed(state.iterations() * batch);
}
BENCHMARK_CAPTURE(requests, direct, false)->Arg(1)->Arg(16);
BENCHMARK_CAPTURE(requests, indirect, true)->Arg(1)->Arg(16);

} // namespace
} // namespace touka::devices::virtio
