// A queue in a space whose pages lie anywhere and can be taken away.
#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "devices/virtio/test_space.hpp"
#include "devices/virtio/virtqueue.hpp"
#include "spec/virtio/virtio.hpp"

namespace touka::devices::virtio {
namespace {

using namespace spec::virtio;
using memory::Iova;

class VirtqueueBehindIommu : public testing::Test {
protected:
    static constexpr std::uint16_t kSize = 1024;
    static constexpr std::uint64_t kDescriptors = 0x10'0000, kAvail = 0x20'0000, kUsed = 0x30'0FF8, kBuffer = 0x40'0000;
    static constexpr std::uint64_t kUsedPages = 0x30'0000;

    void SetUp() override {
        // Backwards, with a page between each two: no two are neighbours.
        std::uint64_t guest = 0xF'0000;
        for (const std::uint64_t area : {kDescriptors, kAvail, kUsedPages})
            for (std::uint64_t page = 0; page < 5; ++page, guest -= 0x2000) space_.map(area + 0x1000 * page, guest);
        space_.map(kBuffer, kBufferGuest);
        ASSERT_TRUE(queue_.start(kSetup, VIRTIO_F_VERSION_1).has_value());
    }
    template <class T>
    void store(std::uint64_t address, T value) {
        ASSERT_TRUE(space_.write(Iova{address}, std::as_bytes(std::span(&value, 1))).has_value());
    }
    template <class T>
    [[nodiscard]] T load(std::uint64_t address) {
        T value{};
        EXPECT_TRUE(space_.read(Iova{address}, std::as_writable_bytes(std::span(&value, 1))).has_value());
        return value;
    }
    void offer(std::uint16_t head) {
        store(kDescriptors + 16ull * head, Descriptor{kBuffer, 16, VIRTQ_DESC_F_WRITE, 0});
        store(kAvail + 4 + 2ull * (avail_index_ % kSize), head);
        store<std::uint16_t>(kAvail + 2, ++avail_index_);
    }

    static constexpr std::uint64_t kBufferGuest = 0x1'0000, kElsewhere = 0x1'2000;
    static constexpr QueueSetup kSetup{kSize, Iova{kDescriptors}, Iova{kAvail}, Iova{kUsed}};
    std::unique_ptr<memory::GuestMemory> ram_ = memory::GuestMemory::create(1 << 20).value();
    test::ScatteredSpace space_{*ram_};
    Virtqueue queue_{space_, kSize};
    std::array<DescriptorChain, 2> chains_;
    std::uint16_t avail_index_ = 0;
};

TEST_F(VirtqueueBehindIommu, RingsMayLieOnPagesAnywhere) {
    for (std::uint32_t i = 0; i < kSize; ++i) {
        offer(static_cast<std::uint16_t>(i));
        ASSERT_TRUE(queue_.pop(chains_[0]).value()) << i;
        EXPECT_EQ(chains_[0].head(), i);
        EXPECT_EQ(chains_[0].writable_bytes(), 16u);
        queue_.push_used(chains_[0], i + 1);
        EXPECT_TRUE(queue_.publish());
    }
    for (std::uint32_t i = 0; i < kSize; ++i) { // one of the elements lies on two pages
        EXPECT_EQ(load<std::uint32_t>(kUsed + 4 + 8ull * i), i);
        EXPECT_EQ(load<std::uint32_t>(kUsed + 8 + 8ull * i), i + 1);
    }
    EXPECT_EQ(load<std::uint16_t>(kUsed + 2), kSize);
}

TEST_F(VirtqueueBehindIommu, WrittenPagesOfTheRingAreMarkedAndNoOthers) {
    offer(0);
    ASSERT_TRUE(queue_.pop(chains_[0]).value());
    ram_->dirty_log().set_enabled(true);
    queue_.push_used(chains_[0], 0);
    (void)queue_.publish();
    std::uint64_t marked = 0;
    for (const std::uint64_t word : ram_->dirty_log().take())
        marked += static_cast<unsigned>(__builtin_popcountll(word));
    EXPECT_EQ(marked, 2u); // the index at the end of a page, and the element on the next
}

TEST_F(VirtqueueBehindIommu, AnIndirectTableMayLieOnTwoPages) {
    ASSERT_TRUE(queue_.start(kSetup, VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC).has_value());
    space_.map(kBuffer + 0x1000, kElsewhere);
    const std::uint64_t table = kBuffer + 0xFF0;
    store(table, Descriptor{kBuffer, 16, VIRTQ_DESC_F_NEXT, 1});
    store(table + 16, Descriptor{kBuffer + 0x20, 8, VIRTQ_DESC_F_WRITE, 0});
    offer(0);
    store(kDescriptors, Descriptor{table, 32, VIRTQ_DESC_F_INDIRECT, 0});
    ASSERT_TRUE(queue_.pop(chains_[0]).value());
    EXPECT_EQ(chains_[0].readable_bytes(), 16u);
    EXPECT_EQ(chains_[0].writable_bytes(), 8u);
}

TEST_F(VirtqueueBehindIommu, FollowsARingThatMoves) {
    std::memcpy(ram_->base() + kElsewhere, space_.translate(Iova{kAvail}, 0x1000, memory::DmaAccess::kRead)->data(),
                0x1000);
    bool over = false;
    space_.change(kAvail, kElsewhere, [&] { over = true; });
    EXPECT_TRUE(over) << "a queue without chains uses nothing";
    offer(5);
    ASSERT_TRUE(queue_.pop(chains_[0]).value());
    EXPECT_EQ(chains_[0].head(), 5);
}

TEST_F(VirtqueueBehindIommu, AChainKeepsItsMemoryUntilItIsReturned) {
    offer(0);
    ASSERT_TRUE(queue_.pop(chains_[0]).value());
    bool over = false;
    space_.change(kBuffer, 0, [&] { over = true; });
    EXPECT_FALSE(queue_.pop(chains_[1]).value());
    EXPECT_FALSE(over);
    queue_.push_used(chains_[0], 16);
    EXPECT_TRUE(over);
}

TEST_F(VirtqueueBehindIommu, AChainOfAStoppedQueueLetsGoAsWell) {
    offer(0);
    ASSERT_TRUE(queue_.pop(chains_[0]).value());
    bool over = false;
    space_.change(kBuffer, 0, [&] { over = true; });
    queue_.stop();
    EXPECT_FALSE(over);
    queue_.push_used(chains_[0], 0);
    EXPECT_TRUE(over);
}

TEST_F(VirtqueueBehindIommu, ChainsGivenBackLetGoAndAreTranslatedAnew) {
    offer(0);
    offer(1);
    ASSERT_TRUE(queue_.pop(chains_[0]).value());
    ASSERT_TRUE(queue_.pop(chains_[1]).value());
    bool over = false;
    space_.change(kBuffer, kElsewhere, [&] { over = true; });
    queue_.undo_pop(chains_);
    EXPECT_TRUE(over);
    ASSERT_TRUE(queue_.pop(chains_[0]).value());
    EXPECT_EQ(chains_[0].writable()[0].iov_base, ram_->base() + kElsewhere);
}

TEST_F(VirtqueueBehindIommu, AChainInMorePiecesThanAnyTransferHasBreaksTheQueue) {
    constexpr std::uint32_t kMany = 16'385;
    for (std::uint64_t page = 0; page < kMany; ++page)
        space_.map(0x1000'0000 + 0x1000 * page, page % 2 == 0 ? kBufferGuest : kElsewhere); // two pages, over and over
    offer(0);
    store(kDescriptors, Descriptor{0x1000'0000, (kMany - 1) * 0x1000, VIRTQ_DESC_F_WRITE, 0});
    ASSERT_TRUE(queue_.pop(chains_[0]).value());
    offer(1);
    store(kDescriptors + 16, Descriptor{0x1000'0000, kMany * 0x1000, VIRTQ_DESC_F_WRITE, 0});
    EXPECT_EQ(queue_.pop(chains_[1]).error(), QueueError::kTooScattered);
}

TEST_F(VirtqueueBehindIommu, AFailedPopLetsGo) {
    space_.change(kBuffer, 0, [] {});
    offer(0);
    EXPECT_EQ(queue_.pop(chains_[0]).error(), QueueError::kBufferOutsideMemory);
    bool over = false;
    space_.change(kUsedPages, 0, [&] { over = true; });
    EXPECT_TRUE(over);
}

TEST_F(VirtqueueBehindIommu, RingsThatAreTakenAwayAreNotTouchedAndReportedByTheNextPop) {
    offer(0);
    ASSERT_TRUE(queue_.pop(chains_[0]).value());
    const auto before = load<std::uint16_t>(kUsed + 2);
    const std::uint64_t guest = static_cast<std::uint64_t>(
        space_.translate(Iova{kUsedPages + 0xFF8}, 8, memory::DmaAccess::kRead)->data() - ram_->base());
    space_.change(kUsedPages, 0, [] {});
    queue_.push_used(chains_[0], 0);
    EXPECT_FALSE(queue_.publish());
    EXPECT_TRUE(queue_.enable_notifications()) << "look again";
    std::uint16_t after = 0;
    std::memcpy(&after, ram_->base() + guest + 2, sizeof after);
    EXPECT_EQ(after, before);
    EXPECT_EQ(queue_.pop(chains_[0]).error(), QueueError::kRingOutsideMemory);
    EXPECT_FALSE(queue_.running());
}

} // namespace
} // namespace touka::devices::virtio
