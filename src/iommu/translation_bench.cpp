// What a device pays for each translation, alone and with the use around it.
#include <benchmark/benchmark.h>

#include "iommu/test_unit.hpp"

namespace touka::iommu {
namespace {

using memory::DmaAccess;
using memory::Iova;

constexpr RequesterId kFunction{0x0018};
constexpr std::uint64_t kIova = 0xFFF0'0000, kPages = 512;

struct Bench {
    Bench() {
        const auto table = test.set_context(kFunction, 1);
        for (std::uint64_t page = 0; page < kPages; ++page)
            test.map(table, kIova + 0x1000 * page, TestUnit::kData + 0x1000 * page);
        test.map(table, 0x8000'0000, 0x20'0000, TestUnit::kReadWrite, 2);
        test.enable_translation();
        test.enable_queue();
    }
    TestUnit test;
    std::shared_ptr<RemappedSpace> space = test.unit().add_requester(kFunction);
};

void identity(benchmark::State& state) {
    Bench bench;
    memory::IdentityDmaSpace space(bench.test.ram());
    std::uint64_t page = 0;
    for (auto _ : state)
        benchmark::DoNotOptimize(
            space.translate(Iova{TestUnit::kData + 0x1000 * (page++ % kPages)}, 4096, DmaAccess::kWrite));
}
BENCHMARK(identity);

void hit(benchmark::State& state) {
    Bench bench;
    std::uint64_t page = 0;
    for (auto _ : state)
        benchmark::DoNotOptimize(
            bench.space->translate(Iova{kIova + 0x1000 * (page++ % kPages)}, 4096, DmaAccess::kWrite));
}
BENCHMARK(hit);

void hit_in_a_large_page(benchmark::State& state) {
    Bench bench;
    std::uint64_t page = 0;
    for (auto _ : state)
        benchmark::DoNotOptimize(
            bench.space->translate(Iova{0x8000'0000 + 0x1000 * (page++ % kPages)}, 4096, DmaAccess::kWrite));
}
BENCHMARK(hit_in_a_large_page);

void hit_of_128_KiB(benchmark::State& state) {
    Bench bench;
    for (std::uint64_t page = 0; page < 32; ++page)
        (void)bench.space->translate(Iova{kIova + 0x1000 * page}, 4096, DmaAccess::kWrite);
    for (auto _ : state) benchmark::DoNotOptimize(bench.space->translate(Iova{kIova}, 128 << 10, DmaAccess::kWrite));
}
BENCHMARK(hit_of_128_KiB);

void hit_within_a_use(benchmark::State& state) {
    Bench bench;
    std::uint64_t page = 0;
    for (auto _ : state) {
        const auto use = bench.space->use();
        benchmark::DoNotOptimize(
            bench.space->translate(Iova{kIova + 0x1000 * (page++ % kPages)}, 4096, DmaAccess::kWrite));
    }
}
BENCHMARK(hit_within_a_use);

void miss(benchmark::State& state) { // another 4 MiB away, in the same place of the cache
    Bench bench;
    const auto table = bench.test.load(bench.test.context_entry(kFunction)) & ~std::uint64_t{0xFFF};
    for (std::uint64_t i = 0; i < 2; ++i) bench.test.map(table, kIova + (i << 22), TestUnit::kData);
    std::uint64_t i = 0;
    for (auto _ : state)
        benchmark::DoNotOptimize(bench.space->translate(Iova{kIova + (++i % 2 << 22)}, 4096, DmaAccess::kWrite));
}
BENCHMARK(miss);

void invalidation_of_a_page(benchmark::State& state) { // and the wait for it, with the walk after it
    Bench bench;
    for (auto _ : state) {
        bench.test.submit(2 | 3 << 4 | 1 << 16, kIova);
        bench.test.submit_wait();
        benchmark::DoNotOptimize(bench.space->translate(Iova{kIova}, 4096, DmaAccess::kWrite));
    }
}
BENCHMARK(invalidation_of_a_page);

} // namespace
} // namespace touka::iommu
