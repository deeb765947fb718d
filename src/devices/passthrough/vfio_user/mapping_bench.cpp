// What an IOMMU in the client pays for each request of a driver that maps for each: a page given to the server and
// taken back, each with its answer, while others stay.
#include <benchmark/benchmark.h>

#include "devices/passthrough/vfio_user/remote_device.hpp"
#include "devices/passthrough/vfio_user/test_client.hpp"
#include "memory/guest_memory.hpp"

namespace touka::devices::passthrough {
namespace {

void map_and_unmap(benchmark::State& state) {
    test::TestServer server;
    const auto ram = memory::GuestMemory::create(64 << 20).value();
    memory::IdentityDmaSpace dma(*ram);
    auto device = RemoteDevice::connect(
        {.name = "bench", .dial = [&]() -> std::expected<runtime::UniqueFd, std::string> { return server.connect(); }},
        dma);
    const auto grant = [&](std::uint64_t start) {
        return MemoryGrant{.start = memory::Iova{start}, .length_bytes = 4096, .file = ram->fd(), .file_offset = 4096};
    };
    for (std::int64_t i = 0; i < state.range(0); ++i)
        (void)(*device)->map_dma(grant(0x1'0000'0000 + 8192 * static_cast<std::uint64_t>(i)));
    for (auto _ : state) {
        if (!(*device)->map_dma(grant(0x1000)) || !(*device)->unmap_dma(memory::Iova{0x1000}, 4096))
            state.SkipWithError("the server refused");
    }
}
BENCHMARK(map_and_unmap)->Arg(0)->Arg(1000)->Arg(20'000)->UseRealTime();

} // namespace
} // namespace touka::devices::passthrough
