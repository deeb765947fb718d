#include "devices/virtio/balloon.hpp"

#include <gtest/gtest.h>

#include "devices/virtio/test_driver.hpp"

namespace touka::devices::virtio {
namespace {

using namespace spec::virtio;
using test::TestDriver;
using test::TestMachine;

class TestBalloonMemory final : public BalloonMemory {
public:
    void discard(std::span<std::byte> pages) override { discarded.push_back(pages); }
    std::vector<std::span<std::byte>> discarded;
};

class VirtioBalloon : public testing::Test {
protected:
    void SetUp() override {
        function_.emplace("virtio-balloon@00:03.0", std::make_unique<Balloon>(memory_), machine_.context());
        driver_.emplace(machine_, *function_);
        queues_ = driver_->bring_up(VIRTIO_BALLOON_F_PAGE_REPORTING | VIRTIO_BALLOON_F_DEFLATE_ON_OOM, 5, 16);
        buffer_ = driver_->allocate(8192);
    }
    void TearDown() override {
        driver_.reset();
        function_.reset();
    }
    [[nodiscard]] Balloon& balloon() { return static_cast<Balloon&>(function_->device()); }

    TestMachine machine_;
    TestBalloonMemory memory_;
    std::optional<VirtioPciFunction> function_;
    std::optional<TestDriver> driver_;
    std::vector<TestDriver::Queue> queues_;
    std::uint64_t buffer_ = 0;
};

TEST_F(VirtioBalloon, GivesInflatedPagesBackAndIgnoresThoseThatAreNotRam) {
    driver_->store(buffer_, std::array<std::uint32_t, 4>{0x100, 0xFFFF'FFFF, TestMachine::kRamBytes / 4096, 0x101});
    driver_->send(queues_[kInflateQueue], {{buffer_, 16, false}});
    ASSERT_EQ(memory_.discarded.size(), 2u);
    EXPECT_EQ(memory_.discarded[0].data(), driver_->at(0x100'000));
    EXPECT_EQ(memory_.discarded[1].data(), driver_->at(0x101'000));
    EXPECT_EQ(memory_.discarded[0].size(), 4096u);
    EXPECT_TRUE(driver_->has_used(queues_[kInflateQueue]));
}

TEST_F(VirtioBalloon, DeflatingDiscardsNothing) {
    driver_->store(buffer_, std::uint32_t{0x100});
    driver_->send(queues_[kDeflateQueue], {{buffer_, 4, false}});
    EXPECT_TRUE(memory_.discarded.empty());
    EXPECT_TRUE(driver_->has_used(queues_[kDeflateQueue]));
}

TEST_F(VirtioBalloon, DiscardsOnlyWholeReportedPagesWhateverNumberTheDriverGivesTheQueue) {
    for (unsigned queue = kFirstReportingQueue; queue <= kLastReportingQueue; ++queue) {
        memory_.discarded.clear();
        driver_->send(queues_[queue], {{0x200'000, 0x4000, true}, {0x300'800, 0x1800, true}, {0x310'001, 4096, true}});
        ASSERT_EQ(memory_.discarded.size(), 2u);
        EXPECT_EQ(memory_.discarded[0].size(), 0x4000u);
        EXPECT_EQ(memory_.discarded[1].data(), driver_->at(0x301'000));
        EXPECT_EQ(memory_.discarded[1].size(), 0x1000u);
    }
}

TEST_F(VirtioBalloon, AsksForATargetAndLearnsWhatTheDriverGave) {
    (void)machine_.messages.take();
    balloon().set_target_bytes(64 << 20);
    EXPECT_EQ(machine_.messages.take().size(), 1u);
    const std::uint64_t config = driver_->base() + VirtioPciFunction::kDeviceOffset;
    EXPECT_EQ(machine_.memory.read(config, 4), 16384u);
    machine_.memory.write(config + 4, 4, 100);
    EXPECT_EQ(balloon().actual_bytes(), 409600u);
    machine_.memory.write(config, 4, 1); // the driver cannot change what is asked for
    EXPECT_EQ(machine_.memory.read(config, 4), 16384u);
}

TEST_F(VirtioBalloon, RoundTripsItsState) {
    balloon().set_target_bytes(8 << 20);
    machine_.memory.write(driver_->base() + VirtioPciFunction::kDeviceOffset + 4, 4, 7);
    function_->pause();
    const migration::Record record = function_->save();
    function_->reset();
    EXPECT_EQ(balloon().actual_bytes(), 0u);
    ASSERT_TRUE(function_->restore(record).has_value());
    EXPECT_EQ(balloon().actual_bytes(), 7u * 4096);
    EXPECT_EQ(function_->save().bytes, record.bytes);
}

} // namespace
} // namespace touka::devices::virtio
