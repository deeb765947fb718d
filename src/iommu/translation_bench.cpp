// What a device pays for each translation, alone and with the use around it: time, and instructions, which are the same
// on every machine. ATS: the device keeps translations itself (address_translation_cache.hpp).
#include <benchmark/benchmark.h>

#include "iommu/address_translation_cache.hpp"
#include "iommu/counted_instructions.hpp"
#include "iommu/test_unit.hpp"

namespace touka::iommu {
namespace {

using memory::DmaAccess;
using memory::Iova;

constexpr RequesterId kFunction{0x0018};
constexpr std::uint64_t kIova = 0xFFF0'0000, kLargeIova = 0x8000'0000, kPages = 512, kPageBytes = 0x1000;
constexpr std::int64_t kWithoutAts = 0, kWithAts = 1;

struct Bench {
    explicit Bench(bool ats = false)
        : table(test.set_context(kFunction, 1, 4,
                                 ats ? spec::vtd::TranslationType::kAll
                                     : spec::vtd::TranslationType::kUntranslatedOnly)) {
        for (std::uint64_t page = 0; page < kPages; ++page)
            test.map(table, kIova + kPageBytes * page, TestUnit::kData + kPageBytes * page);
        test.map(table, kLargeIova, 0x20'0000, TestUnit::kReadWrite, 2);
        test.enable_translation();
        test.enable_queue();
        if (!ats) return;
        cache.set_enabled(true);
        remapped->set_device_tlb(&cache);
        space = &cache;
    }
    ~Bench() { test.unit().remove_requester(remapped); }

    TestUnit test;
    std::uint64_t table;
    std::shared_ptr<RemappedSpace> remapped = test.unit().add_requester(kFunction);
    AddressTranslationCache cache{*remapped};
    memory::DmaSpace* space = remapped.get();
};

/// Runs `step` with 0, 1, 2, ... and reports its time and its instructions.
template <class Step>
void measure(benchmark::State& state, Step&& step) {
    std::uint64_t number = 0;
    for (std::uint64_t i = 0; i < kPages; ++i) step(number++);
    for (auto _ : state) step(number++);
    constexpr std::uint64_t kCounted = 64;
    const CountedInstructions instructions;
    const std::uint64_t all = instructions.of([&] {
        for (std::uint64_t i = 0; i < kCounted; ++i) step(number++);
    });
    const std::uint64_t loop = instructions.of([&] {
        for (std::uint64_t i = 0; i < kCounted; ++i) benchmark::DoNotOptimize(number++);
    });
    state.counters["instructions"] = static_cast<double>((all - loop + kCounted / 2) / kCounted);
}

void translate(memory::DmaSpace& space, std::uint64_t address, std::uint64_t length_bytes = kPageBytes) {
    benchmark::DoNotOptimize(space.translate(Iova{address}, length_bytes, DmaAccess::kWrite));
}

void identity(benchmark::State& state) {
    Bench bench;
    memory::IdentityDmaSpace space(bench.test.ram());
    measure(state, [&](std::uint64_t i) { translate(space, TestUnit::kData + kPageBytes * (i % kPages)); });
}
BENCHMARK(identity);

void hit(benchmark::State& state) {
    Bench bench(state.range(0) == kWithAts);
    measure(state, [&](std::uint64_t i) { translate(*bench.space, kIova + kPageBytes * (i % kPages)); });
}
BENCHMARK(hit)->ArgName("ats")->Arg(kWithoutAts)->Arg(kWithAts);

void hit_in_a_large_page(benchmark::State& state) {
    Bench bench(state.range(0) == kWithAts);
    measure(state, [&](std::uint64_t i) { translate(*bench.space, kLargeIova + kPageBytes * (i % kPages)); });
}
BENCHMARK(hit_in_a_large_page)->ArgName("ats")->Arg(kWithoutAts)->Arg(kWithAts);

void hit_of_128_KiB(benchmark::State& state) {
    Bench bench(state.range(0) == kWithAts);
    for (std::uint64_t page = 0; page < 32; ++page) translate(*bench.space, kIova + kPageBytes * page);
    measure(state, [&](std::uint64_t) { translate(*bench.space, kIova, 128 << 10); });
}
BENCHMARK(hit_of_128_KiB)->ArgName("ats")->Arg(kWithoutAts)->Arg(kWithAts);

void hit_within_a_use(benchmark::State& state) {
    Bench bench(state.range(0) == kWithAts);
    measure(state, [&](std::uint64_t i) {
        const auto use = bench.space->use();
        translate(*bench.space, kIova + kPageBytes * (i % kPages));
    });
}
BENCHMARK(hit_within_a_use)->ArgName("ats")->Arg(kWithoutAts)->Arg(kWithAts);

void miss(benchmark::State& state) { // another 4 MiB away, in the same place of the cache
    Bench bench(state.range(0) == kWithAts);
    for (std::uint64_t i = 0; i < 2; ++i) bench.test.map(bench.table, kIova + (i << 22), TestUnit::kData);
    measure(state, [&](std::uint64_t i) { translate(*bench.space, kIova + (i % 2 << 22)); });
}
BENCHMARK(miss)->ArgName("ats")->Arg(kWithoutAts)->Arg(kWithAts);

void invalidation_of_a_page(benchmark::State& state) { // and the wait for it, with the walk after it
    const bool ats = state.range(0) == kWithAts;
    Bench bench(ats);
    measure(state, [&](std::uint64_t) {
        bench.test.submit(2 | 3 << 4 | 1 << 16, kIova);
        if (ats) bench.test.submit(3 | std::uint64_t{kFunction.value} << 32, kIova);
        bench.test.submit_wait();
        translate(*bench.space, kIova);
    });
}
BENCHMARK(invalidation_of_a_page)->ArgName("ats")->Arg(kWithoutAts)->Arg(kWithAts);

} // namespace
} // namespace touka::iommu
