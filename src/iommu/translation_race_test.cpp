// Accesses and invalidations at once: after an invalidation is complete nobody writes by what it took away.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "iommu/address_translation_cache.hpp"
#include "iommu/test_unit.hpp"

namespace touka::iommu {
namespace {

using memory::DmaAccess;
using memory::Iova;

/// Stores by whatever it gets, as a device does that holds its memory or one that only uses it.
/// @param cached the device keeps translations itself.
/// @return how many times it will have stored by an old translation after the guest was told that it is gone.
int stale_stores(bool holds, bool cached) {
    constexpr RequesterId kFunction{0x0018};
    constexpr std::uint64_t kIova = 0x1234'5000;
    constexpr int kRounds = 200;
    TestUnit test;
    const auto table = test.set_context(kFunction, 1, 4, spec::vtd::TranslationType::kAll);
    const auto leaf = test.paging_entry(table, kIova, 1);
    const auto place = [](int round) { return TestUnit::kData + 0x1000 * static_cast<std::uint64_t>(round % 2); };
    test.map(table, kIova, place(0));
    test.enable_translation();
    test.enable_queue();
    const auto remapped = test.unit().add_requester(kFunction);
    AddressTranslationCache cache(*remapped);
    cache.set_enabled(cached);
    remapped->set_device_tlb(&cache);
    memory::DmaSpace* const space = &cache;

    std::atomic<bool> over{false};
    std::atomic<std::uint64_t> writes{0};
    std::jthread device([&] {
        while (!over.load()) {
            memory::DmaHold hold;
            auto use = space->use();
            const auto to = space->translate(Iova{kIova}, 8, DmaAccess::kWrite);
            if (!to) continue;
            if (holds) {
                hold.add({Iova{kIova}, *to, DmaAccess::kWrite});
                space->hold(hold);
                use.end();
            }
            std::atomic_ref(*reinterpret_cast<std::uint64_t*>(to->data())).store(1);
            ++writes;
        }
    });
    int stale = 0;
    for (int round = 1; round <= kRounds; ++round) {
        const auto before = writes.load();
        while (writes.load() == before) std::this_thread::yield();
        std::atomic_ref(*reinterpret_cast<std::uint64_t*>(test.ram().base() + leaf)).store(place(round) | 3);
        test.submit(2 | 3 << 4 | 1 << 16, kIova);
        test.submit(3 | std::uint64_t{kFunction.value} << 32, kIova);
        test.submit_wait();
        const auto status = std::atomic_ref(*reinterpret_cast<std::uint32_t*>(test.ram().base() + TestUnit::kStatus));
        while (status.load() != 5) std::this_thread::yield();
        // Whatever stands there from now on was written too late.
        const auto old = std::atomic_ref(*reinterpret_cast<std::uint64_t*>(test.ram().base() + place(round - 1)));
        old.store(0);
        const auto later = writes.load();
        while (writes.load() < later + 2) std::this_thread::yield();
        stale += old.load() != 0;
    }
    over.store(true);
    device.join();
    test.unit().remove_requester(remapped);
    return stale;
}

TEST(TranslationRace, NoUseByAnOldTranslationAfterTheWaitIsComplete) { EXPECT_EQ(stale_stores(false, false), 0); }
TEST(TranslationRace, NoHoldByAnOldTranslationAfterTheWaitIsComplete) { EXPECT_EQ(stale_stores(true, false), 0); }
TEST(TranslationRace, NoUseByWhatTheDeviceKeptAfterItAnswered) { EXPECT_EQ(stale_stores(false, true), 0); }
TEST(TranslationRace, NoHoldByWhatTheDeviceKeptAfterItAnswered) { EXPECT_EQ(stale_stores(true, true), 0); }

} // namespace
} // namespace touka::iommu
