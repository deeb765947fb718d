#include "devices/virtio/virtqueue.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "memory/guest_memory.hpp"
#include "spec/virtio/virtio.hpp"

namespace touka::devices::virtio {
namespace {

using namespace spec::virtio;
using memory::Iova;

constexpr std::uint16_t kSize = 8;
constexpr std::uint64_t kDescriptors = 0x1000, kAvail = 0x2000, kUsed = 0x3000, kIndirect = 0x4000, kBuffers = 0x8000;
constexpr std::uint64_t kRamBytes = 1 << 20;
constexpr std::uint64_t kAllFeatures = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX;

class VirtqueueTest : public testing::Test {
protected:
    void start(std::uint64_t features = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC) {
        ASSERT_TRUE(queue_.start(kSetup, features).has_value());
    }
    template <class T>
    void store(std::uint64_t address, T value) {
        std::memcpy(ram_->base() + address, &value, sizeof value);
    }
    template <class T>
    [[nodiscard]] T load(std::uint64_t address) {
        T value;
        std::memcpy(&value, ram_->base() + address, sizeof value);
        return value;
    }
    void describe(std::uint64_t slot, const Descriptor& descriptor, std::uint64_t table = kDescriptors) {
        store(table + 16 * slot, descriptor);
    }
    void offer(std::uint16_t head) {
        store<std::uint16_t>(kAvail + 4 + 2ull * (avail_index_ % kSize), head);
        store<std::uint16_t>(kAvail + 2, ++avail_index_);
    }
    [[nodiscard]] QueueError error_of_pop() { return queue_.pop(chain_).error(); }

    static constexpr QueueSetup kSetup{kSize, Iova{kDescriptors}, Iova{kAvail}, Iova{kUsed}};
    std::unique_ptr<memory::GuestMemory> ram_ = memory::GuestMemory::create(kRamBytes).value();
    memory::IdentityDmaSpace dma_{*ram_};
    Virtqueue queue_{dma_, 16};
    DescriptorChain chain_;
    std::uint16_t avail_index_ = 0;
};

TEST_F(VirtqueueTest, WalksAChainIntoReadableAndWritableHostMemory) {
    start();
    describe(3, {kBuffers, 16, VIRTQ_DESC_F_NEXT, 5});
    describe(5, {kBuffers + 0x100, 0, VIRTQ_DESC_F_NEXT, 1}); // an empty buffer is no buffer
    describe(1, {kBuffers + 0x200, 32, VIRTQ_DESC_F_WRITE, 0});
    offer(3);
    ASSERT_TRUE(queue_.pop(chain_).value());
    EXPECT_EQ(chain_.head(), 3);
    ASSERT_EQ(chain_.readable().size(), 1u);
    EXPECT_EQ(chain_.readable()[0].iov_base, ram_->base() + kBuffers);
    EXPECT_EQ(chain_.readable_bytes(), 16u);
    EXPECT_EQ(chain_.writable_bytes(), 32u);
    EXPECT_FALSE(queue_.pop(chain_).value());
}

TEST_F(VirtqueueTest, WalksAnIndirectTableAfterDirectDescriptors) {
    start();
    describe(0, {kBuffers, 8, VIRTQ_DESC_F_NEXT, 1});
    describe(1, {kIndirect, 32, VIRTQ_DESC_F_INDIRECT, 0});
    describe(0, {kBuffers + 0x100, 8, VIRTQ_DESC_F_NEXT, 1}, kIndirect);
    describe(1, {kBuffers + 0x200, 8, VIRTQ_DESC_F_WRITE, 0}, kIndirect);
    offer(0);
    ASSERT_TRUE(queue_.pop(chain_).value());
    EXPECT_EQ(chain_.readable_bytes(), 16u);
    EXPECT_EQ(chain_.writable_bytes(), 8u);
}

TEST_F(VirtqueueTest, TakesCutsAndPutsAcrossBuffers) {
    start();
    store(kBuffers, std::array<char, 6>{'a', 'b', 'c', 'd', 'e', 'f'});
    describe(0, {kBuffers, 2, VIRTQ_DESC_F_NEXT, 1});
    describe(1, {kBuffers + 2, 4, VIRTQ_DESC_F_NEXT, 2});
    describe(2, {kBuffers + 0x100, 2, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 3});
    describe(3, {kBuffers + 0x200, 2, VIRTQ_DESC_F_WRITE, 0});
    offer(0);
    ASSERT_TRUE(queue_.pop(chain_).value());
    std::array<char, 3> first{};
    ASSERT_TRUE(chain_.take(std::as_writable_bytes(std::span(first))));
    EXPECT_EQ(first, (std::array{'a', 'b', 'c'}));
    EXPECT_EQ(chain_.readable()[0].iov_base, ram_->base() + kBuffers + 3);
    std::array<char, 4> too_much{};
    EXPECT_FALSE(chain_.take(std::as_writable_bytes(std::span(too_much))));
    EXPECT_EQ(chain_.take_last_writable(), ram_->base() + kBuffers + 0x201);
    const std::array answer{'x', 'y', 'z', '!'};
    EXPECT_EQ(chain_.put(dma_, std::as_bytes(std::span(answer))), 3u);
    EXPECT_EQ(load<char>(kBuffers + 0x101), 'y');
    EXPECT_EQ(load<char>(kBuffers + 0x200), 'z');
    EXPECT_EQ(chain_.writable_bytes(), 0u);
}

TEST_F(VirtqueueTest, ReturnsChainsInTheUsedRingAndMarksItDirty) {
    start();
    describe(2, {kBuffers, 8, VIRTQ_DESC_F_WRITE, 0});
    offer(2);
    ASSERT_TRUE(queue_.pop(chain_).value());
    ram_->dirty_log().set_enabled(true);
    queue_.push_used(chain_, 8);
    EXPECT_EQ(load<std::uint16_t>(kUsed + 2), 0);
    EXPECT_TRUE(queue_.publish());
    EXPECT_EQ(load<std::uint16_t>(kUsed + 2), 1);
    EXPECT_EQ(load<std::uint32_t>(kUsed + 4), 2u);
    EXPECT_EQ(load<std::uint32_t>(kUsed + 8), 8u);
    EXPECT_EQ(ram_->dirty_log().take()[0], 1u << (kUsed / 4096));
    EXPECT_FALSE(queue_.publish());
}

TEST_F(VirtqueueTest, MarksOfALongUsedRingTheIndexAndWhatItReturnedAcrossTheEnd) {
    constexpr std::uint16_t kLong = 2048;
    constexpr std::uint64_t kLongAvail = 0x1'0000, kLongUsed = 0x2'0000; // 16390 bytes: five pages
    Virtqueue queue(dma_, kLong);
    const QueueSetup setup{kLong, Iova{0x3'0000}, Iova{kLongAvail}, Iova{kLongUsed}};
    ASSERT_TRUE(queue.start(setup, VIRTIO_F_VERSION_1, {.next_avail = kLong - 1, .next_used = kLong - 1}).has_value());
    ram_->dirty_log().set_enabled(true);
    const auto give_back = [&](int count) {
        DescriptorChain chain;
        for (int i = 0; i < count; ++i) queue.push_used(chain, 0);
        (void)queue.publish();
        return ram_->dirty_log().take()[0] >> (kLongUsed / 4096);
    };
    EXPECT_EQ(give_back(1), 0b11001u); // the index, and the last element, which lies across two pages
    EXPECT_EQ(give_back(1), 0b00001u);
    EXPECT_EQ(give_back(600), 0b00011u);
    EXPECT_EQ(give_back(1447), 0b11111u); // to the end
    EXPECT_EQ(give_back(2000), 0b01111u);
    EXPECT_EQ(give_back(600), 0b11011u);       // across the end
    EXPECT_EQ(give_back(kLong + 5), 0b11111u); // more than it holds: not beyond it
}

TEST_F(VirtqueueTest, AChainMayHaveAsManyBuffersAsAnyDeviceAsksForAndNoMore) {
    constexpr std::uint64_t kTable = 0x1'0000;
    constexpr std::uint32_t kMost = 1026;
    for (std::uint16_t i = 0; i < kMost; ++i) {
        describe(i, {kBuffers, 8, VIRTQ_DESC_F_NEXT, static_cast<std::uint16_t>(i + 1)}, kTable);
    }
    describe(kMost - 1, {kBuffers, 8, 0, 0}, kTable);
    start();
    describe(0, {kTable, 16 * kMost, VIRTQ_DESC_F_INDIRECT, 0});
    offer(0);
    ASSERT_TRUE(queue_.pop(chain_).value());
    EXPECT_EQ(chain_.readable().size(), kMost);
    describe(0, {kTable, 16 * (kMost + 1), VIRTQ_DESC_F_INDIRECT, 0});
    offer(0);
    EXPECT_EQ(error_of_pop(), QueueError::kBadIndirect);
    start();
    avail_index_ = 0;
    describe(0, {kBuffers, 8, VIRTQ_DESC_F_NEXT, 1}); // and the table's beside it
    describe(1, {kTable, 16 * kMost, VIRTQ_DESC_F_INDIRECT, 0});
    offer(0);
    EXPECT_EQ(error_of_pop(), QueueError::kLoop);
}

TEST_F(VirtqueueTest, ALongListIsGivenBackWithTheRequest) {
    std::vector<iovec> few(DescriptorChain::kKeptBuffers), many(DescriptorChain::kKeptBuffers + 1);
    DescriptorChain::trim(few);
    DescriptorChain::trim(many);
    EXPECT_EQ(few.capacity(), DescriptorChain::kKeptBuffers);
    EXPECT_EQ(many.capacity(), 0u);
}

TEST_F(VirtqueueTest, WithoutEventIndexTheFlagsSuppressInterruptsAndNotifications) {
    start();
    store<std::uint16_t>(kAvail, VIRTQ_AVAIL_F_NO_INTERRUPT);
    describe(0, {kBuffers, 8, 0, 0});
    offer(0);
    const auto more = queue_.consume(
        8, [this]() -> DescriptorChain& { return chain_; },
        [this](DescriptorChain& chain) {
            EXPECT_EQ(load<std::uint16_t>(kUsed), VIRTQ_USED_F_NO_NOTIFY);
            queue_.push_used(chain, 0);
        });
    EXPECT_FALSE(more.value());
    EXPECT_EQ(load<std::uint16_t>(kUsed), 0);
    EXPECT_FALSE(queue_.publish());
}

TEST_F(VirtqueueTest, WithEventIndexInterruptsOnlyWhenTheEventIsPassed) {
    start(kAllFeatures);
    const std::uint64_t used_event = kAvail + 4 + 2 * kSize, avail_event = kUsed + 4 + 8 * kSize;
    store<std::uint16_t>(used_event, 1); // wake me at the second
    std::array<bool, 3> interrupts{};
    for (bool& interrupt : interrupts) {
        describe(0, {kBuffers, 8, 0, 0});
        offer(0);
        ASSERT_TRUE(queue_.pop(chain_).value());
        queue_.push_used(chain_, 0);
        interrupt = queue_.publish();
    }
    EXPECT_EQ(interrupts, (std::array{false, true, false}));
    EXPECT_FALSE(queue_.enable_notifications());
    EXPECT_EQ(load<std::uint16_t>(avail_event), 3);
}

TEST_F(VirtqueueTest, EventComparisonHoldsForAllDistancesAcrossTheWrap) {
    // event_passed(event, new, old) is true exactly when event + 1 lies in (old, new], all modulo 65536.
    for (int old_index = -4; old_index <= 4; ++old_index) {
        for (int count = 0; count <= 6; ++count) {
            for (int event = -8; event <= 10; ++event) {
                const bool expected = event + 1 > old_index && event + 1 <= old_index + count;
                EXPECT_EQ(event_passed(static_cast<std::uint16_t>(event), static_cast<std::uint16_t>(old_index + count),
                                       static_cast<std::uint16_t>(old_index)),
                          expected);
            }
        }
    }
}

TEST_F(VirtqueueTest, EnablingNotificationsReportsWhatCameMeanwhile) {
    start(kAllFeatures);
    describe(0, {kBuffers, 8, 0, 0});
    offer(0);
    EXPECT_TRUE(queue_.enable_notifications());
}

TEST_F(VirtqueueTest, APolledQueueLeavesItsDriverQuiet) {
    start(VIRTIO_F_VERSION_1);
    const auto quiet = [this] { return load<std::uint16_t>(kUsed) == VIRTQ_USED_F_NO_NOTIFY; };
    const auto consume = [this] {
        return queue_.consume(8, [this]() -> DescriptorChain& { return chain_; }, [](DescriptorChain&) {}).has_value();
    };
    ASSERT_TRUE(consume());
    EXPECT_FALSE(quiet());
    queue_.set_polled(true);
    ASSERT_TRUE(consume());
    EXPECT_TRUE(quiet());
    queue_.set_polled(false);
    ASSERT_TRUE(consume());
    EXPECT_FALSE(quiet());
}

class VirtqueueBatches : public VirtqueueTest {
protected:
    static constexpr std::uint16_t kMany = 64;
    VirtqueueBatches() {
        const QueueSetup setup{kMany, Iova{kDescriptors}, Iova{kAvail}, Iova{kUsed}};
        EXPECT_TRUE(many_.start(setup, kAllFeatures).has_value());
        for (std::uint16_t i = 0; i < kMany; ++i) {
            describe(i, {kBuffers, 8, 0, 0});
            store<std::uint16_t>(kAvail + 4 + 2ull * i, i);
        }
    }
    [[nodiscard]] std::expected<bool, QueueError> consume(unsigned budget) {
        unsigned count = 0;
        return many_.consume_in_batches(
            budget, [this]() -> DescriptorChain& { return chain_; },
            [this, &count](DescriptorChain& chain) {
                many_.push_used(chain, 0);
                ++count;
            },
            [this, &count] { batches_.emplace_back(std::exchange(count, 0), many_.publish()); });
    }
    using Batch = std::pair<unsigned, bool>; // chains, and whether the driver wants an interrupt for it
    Virtqueue many_{dma_, kMany};
    std::vector<Batch> batches_;
};

TEST_F(VirtqueueBatches, WakeTheDriverWithTheFirstOfManyChains) {
    store<std::uint16_t>(kAvail + 2, 40);
    EXPECT_FALSE(consume(256).value());
    EXPECT_EQ(batches_, (std::vector<Batch>{{8, true}, {16, false}, {16, false}}));
    EXPECT_FALSE(consume(256).value());
    EXPECT_EQ(batches_.back(), (Batch{0, false})) << "what came meanwhile from elsewhere is begun all the same";
}

TEST_F(VirtqueueBatches, EndWithTheBudget) {
    store<std::uint16_t>(kAvail + 2, 40);
    EXPECT_TRUE(consume(10).value());
    EXPECT_EQ(batches_, (std::vector<Batch>{{8, true}, {2, false}}));
    EXPECT_TRUE(consume(8).value());
    EXPECT_EQ(batches_.size(), 3u);
}

TEST_F(VirtqueueBatches, EndWithAQueueThatIsBroken) {
    store<std::uint16_t>(kAvail + 2, 40);
    store<std::uint16_t>(kAvail + 4 + 2 * 9, kMany); // no descriptor
    EXPECT_FALSE(consume(256).has_value());
    EXPECT_EQ(batches_.size(), 2u);
    EXPECT_EQ(batches_.back().first, 1u);
}

TEST_F(VirtqueueTest, IndicesWrapAroundAt65536) {
    ASSERT_TRUE(queue_.start(kSetup, VIRTIO_F_VERSION_1, {0xFFFF, 0xFFFF}).has_value());
    avail_index_ = 0xFFFF;
    describe(0, {kBuffers, 8, 0, 0});
    for (int i = 0; i < 2; ++i) {
        offer(0);
        ASSERT_TRUE(queue_.pop(chain_).value());
        queue_.push_used(chain_, 0);
        EXPECT_TRUE(queue_.publish());
    }
    EXPECT_EQ(load<std::uint16_t>(kUsed + 2), 1);
    EXPECT_EQ(queue_.position().next_avail, 1);
}

TEST_F(VirtqueueTest, UndonePopsComeAgain) {
    start();
    describe(0, {kBuffers, 8, 0, 0});
    describe(1, {kBuffers, 8, 0, 0});
    offer(0);
    offer(1);
    std::array<DescriptorChain, 2> chains;
    for (DescriptorChain& chain : chains) ASSERT_TRUE(queue_.pop(chain).value());
    queue_.undo_pop(chains);
    EXPECT_EQ(queue_.in_flight(), 0);
    ASSERT_TRUE(queue_.pop(chain_).value());
    EXPECT_EQ(chain_.head(), 0);
}

TEST_F(VirtqueueTest, StartsOnlyWithPowersOfTwoUpToItsLimit) {
    for (std::uint32_t size = 0; size <= 64; ++size) {
        QueueSetup setup = kSetup;
        setup.size = static_cast<std::uint16_t>(size);
        const bool good = size == 1 || size == 2 || size == 4 || size == 8 || size == 16;
        const auto started = queue_.start(setup, VIRTIO_F_VERSION_1);
        EXPECT_EQ(started.has_value(), good) << size;
        if (!good) {
            EXPECT_EQ(started.error(), QueueError::kBadSize);
        }
        EXPECT_EQ(queue_.running(), good);
    }
}

TEST_F(VirtqueueTest, StartsOnlyWithAlignedRingsInRam) {
    const auto error_with = [this](auto change) {
        QueueSetup setup = kSetup;
        change(setup);
        return queue_.start(setup, VIRTIO_F_VERSION_1).error();
    };
    EXPECT_EQ(error_with([](QueueSetup& s) { s.descriptors = Iova{kDescriptors + 8}; }), QueueError::kMisaligned);
    EXPECT_EQ(error_with([](QueueSetup& s) { s.driver_area = Iova{kAvail + 1}; }), QueueError::kMisaligned);
    EXPECT_EQ(error_with([](QueueSetup& s) { s.device_area = Iova{kUsed + 2}; }), QueueError::kMisaligned);
    const auto outside = QueueError::kRingOutsideMemory;
    EXPECT_EQ(error_with([](QueueSetup& s) { s.descriptors = Iova{kRamBytes - 16 * kSize + 16}; }), outside);
    EXPECT_EQ(error_with([](QueueSetup& s) { s.driver_area = Iova{kRamBytes - 8}; }), outside);
    EXPECT_EQ(error_with([](QueueSetup& s) { s.device_area = Iova{kRamBytes - 8}; }), outside);
    EXPECT_EQ(error_with([](QueueSetup& s) { s.device_area = Iova{~std::uint64_t{3}}; }), outside);
}

TEST_F(VirtqueueTest, AnIndexThatJumpsBreaksTheQueueForGood) {
    start();
    store<std::uint16_t>(kAvail + 2, kSize + 1);
    EXPECT_EQ(error_of_pop(), QueueError::kIndexJump);
    store<std::uint16_t>(kAvail + 2, 1);
    EXPECT_FALSE(queue_.pop(chain_).value());
    queue_.push_used(chain_, 0);
    EXPECT_FALSE(queue_.publish());
}

TEST_F(VirtqueueTest, MoreChainsThanTheQueueHoldsBreakIt) {
    start();
    describe(0, {kBuffers, 8, 0, 0});
    for (int i = 0; i < kSize; ++i) {
        offer(0);
        ASSERT_TRUE(queue_.pop(chain_).value());
    }
    offer(0);
    EXPECT_EQ(error_of_pop(), QueueError::kTooManyInFlight);
}

TEST_F(VirtqueueTest, AHeadOrNextBeyondTheTableBreaksTheQueue) {
    start();
    offer(kSize);
    EXPECT_EQ(error_of_pop(), QueueError::kDescriptorOutOfTable);
    start();
    avail_index_ = 0;
    describe(0, {kBuffers, 8, VIRTQ_DESC_F_NEXT, kSize});
    offer(0);
    EXPECT_EQ(error_of_pop(), QueueError::kDescriptorOutOfTable);
}

TEST_F(VirtqueueTest, ALoopBreaksTheQueueDirectOrIndirect) {
    start();
    describe(0, {kBuffers, 8, VIRTQ_DESC_F_NEXT, 1});
    describe(1, {kBuffers, 8, VIRTQ_DESC_F_NEXT, 0});
    offer(0);
    EXPECT_EQ(error_of_pop(), QueueError::kLoop);
    start();
    avail_index_ = 0;
    describe(0, {kIndirect, 16, VIRTQ_DESC_F_INDIRECT, 0});
    describe(0, {kBuffers, 8, VIRTQ_DESC_F_NEXT, 0}, kIndirect);
    offer(0);
    EXPECT_EQ(error_of_pop(), QueueError::kLoop);
}

TEST_F(VirtqueueTest, BadIndirectTablesBreakTheQueue) {
    const auto error_with = [this](const Descriptor& descriptor, std::uint64_t features) {
        start(features);
        avail_index_ = 0;
        describe(0, descriptor);
        offer(0);
        return error_of_pop();
    };
    const std::uint64_t with = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC;
    const auto bad = QueueError::kBadIndirect;
    describe(0, {kIndirect, 16, VIRTQ_DESC_F_INDIRECT, 0}, kIndirect); // nested
    EXPECT_EQ(error_with({kIndirect, 16, VIRTQ_DESC_F_INDIRECT, 0}, with), bad);
    describe(0, {kBuffers, 16, 0, 0}, kIndirect);
    EXPECT_EQ(error_with({kIndirect, 16, VIRTQ_DESC_F_INDIRECT, 0}, VIRTIO_F_VERSION_1), bad);
    EXPECT_EQ(error_with({kIndirect, 16, VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_NEXT, 1}, with), bad);
    EXPECT_EQ(error_with({kIndirect, 0, VIRTQ_DESC_F_INDIRECT, 0}, with), bad);
    EXPECT_EQ(error_with({kIndirect, 24, VIRTQ_DESC_F_INDIRECT, 0}, with), bad);
    EXPECT_EQ(error_with({kIndirect, 0xFFFF'FFF0, VIRTQ_DESC_F_INDIRECT, 0}, with), bad);
    EXPECT_EQ(error_with({kRamBytes, 16, VIRTQ_DESC_F_INDIRECT, 0}, with), QueueError::kBufferOutsideMemory);
}

TEST_F(VirtqueueTest, BuffersOutsideOfRamBreakTheQueue) {
    for (const Descriptor& descriptor : {Descriptor{kRamBytes - 8, 16, 0, 0}, Descriptor{~std::uint64_t{0}, 1, 0, 0},
                                         Descriptor{kBuffers, 0xFFFF'FFFF, VIRTQ_DESC_F_WRITE, 0},
                                         Descriptor{~std::uint64_t{0} - 4, 0xFFFF'FFFF, 0, 0}}) {
        start();
        avail_index_ = 0;
        describe(0, descriptor);
        offer(0);
        EXPECT_EQ(error_of_pop(), QueueError::kBufferOutsideMemory);
    }
}

TEST_F(VirtqueueTest, AReadableBufferAfterAWritableOneBreaksTheQueue) {
    start();
    describe(0, {kBuffers, 8, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 1});
    describe(1, {kBuffers, 8, 0, 0});
    offer(0);
    EXPECT_EQ(error_of_pop(), QueueError::kReadableAfterWritable);
}

} // namespace
} // namespace touka::devices::virtio
