#include "devices/virtio/block.hpp"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "devices/virtio/test_driver.hpp"
#include "storage/memory_volume.hpp"

namespace touka::devices::virtio {
namespace {

using namespace spec::virtio;
using storage::BlockOperation;
using storage::BlockStatus;
using storage::MemoryVolume;
using test::Segment;
using test::TestDriver;
using test::TestMachine;

constexpr std::uint64_t kVolumeBytes = 1 << 20;

class VirtioBlock : public testing::Test {
protected:
    void bring_up(std::uint64_t features = VIRTIO_BLK_F_FLUSH, unsigned queue_count = 1) {
        function_.emplace("virtio-blk@00:03.0",
                          std::make_unique<Block>(
                              volume_, BlockConfiguration{static_cast<std::uint16_t>(queue_count), "disk-serial-1"}),
                          machine_.context());
        driver_.emplace(machine_, *function_);
        queues_ = driver_->bring_up(features, queue_count, 64);
        header_ = driver_->allocate(4096);
        data_ = driver_->allocate(64 << 10);
        status_ = driver_->allocate(4096);
    }
    void TearDown() override {
        driver_.reset();
        function_.reset();
    }
    /// Sends one request and @return the status that the device stored; 0xEE when it stored none.
    std::uint8_t request(std::uint32_t type, std::uint64_t sector, std::vector<Segment> data, unsigned queue = 0) {
        driver_->store(header_, BlockRequestHeader{type, 0, sector});
        driver_->store(status_, std::uint8_t{0xEE});
        data.insert(data.begin(), Segment{header_, 16, false});
        data.push_back(Segment{status_, 1, true});
        driver_->send(queues_[queue], data);
        return driver_->load<std::uint8_t>(status_);
    }

    TestMachine machine_;
    MemoryVolume volume_{kVolumeBytes};
    std::optional<VirtioPciFunction> function_;
    std::optional<TestDriver> driver_;
    std::vector<TestDriver::Queue> queues_;
    std::uint64_t header_ = 0, data_ = 0, status_ = 0;
};

TEST_F(VirtioBlock, ReadsIntoScatteredBuffersWithoutACopyAndCountsDataAndStatus) {
    bring_up();
    for (std::size_t i = 0; i < 2048; ++i) volume_.bytes[1024 + i] = static_cast<std::byte>(i * 7);
    EXPECT_EQ(request(VIRTIO_BLK_T_IN, 2, {{data_, 512, true}, {data_ + 8192, 1536, true}}), VIRTIO_BLK_S_OK);
    EXPECT_EQ(std::memcmp(driver_->at(data_), &volume_.bytes[1024], 512), 0);
    EXPECT_EQ(std::memcmp(driver_->at(data_ + 8192), &volume_.bytes[1536], 1536), 0);
    EXPECT_EQ(driver_->take_used(queues_[0]).len, 2049u);
    EXPECT_EQ(volume_.commits, 2); // one at DRIVER_OK, one for the request
}

TEST_F(VirtioBlock, AWriteCompletesOnlyWhenTheVolumeSaysSo) {
    bring_up();
    volume_.held = true;
    driver_->store(data_, std::uint32_t{0xC0FFEE});
    EXPECT_EQ(request(VIRTIO_BLK_T_OUT, 8, {{data_, 512, false}}), 0xEE);
    EXPECT_FALSE(driver_->has_used(queues_[0]));
    EXPECT_TRUE(machine_.messages.take().empty());
    machine_.reactor.run_and_wait([this] { volume_.complete_all(); });
    EXPECT_EQ(driver_->load<std::uint8_t>(status_), VIRTIO_BLK_S_OK);
    EXPECT_EQ(driver_->take_used(queues_[0]).len, 1u);
    EXPECT_EQ(volume_.bytes[8 * 512], std::byte{0xEE});
    EXPECT_EQ(machine_.messages.take(),
              (std::vector{platform::MsiMessage{TestDriver::kMessageAddress, TestDriver::kFirstMessage + 1}}));
}

TEST_F(VirtioBlock, AFlushReachesTheVolume) {
    bring_up();
    EXPECT_EQ(request(VIRTIO_BLK_T_FLUSH, 0, {}), VIRTIO_BLK_S_OK);
    EXPECT_EQ(volume_.operations, std::vector{BlockOperation::kFlush});
}

TEST_F(VirtioBlock, WritesAreForcedToTheMediumOnlyForADriverThatCannotFlush) {
    bring_up(0);
    EXPECT_EQ(request(VIRTIO_BLK_T_OUT, 0, {{data_, 512, false}}), VIRTIO_BLK_S_OK);
    EXPECT_TRUE(volume_.last_force_unit_access);
    TearDown();
    bring_up(VIRTIO_BLK_F_FLUSH);
    EXPECT_EQ(request(VIRTIO_BLK_T_OUT, 0, {{data_, 512, false}}), VIRTIO_BLK_S_OK);
    EXPECT_FALSE(volume_.last_force_unit_access);
}

TEST_F(VirtioBlock, MapsEveryVolumeStatusToOneOfTheThreeThatTheSpecificationHas) {
    EXPECT_EQ(block_status(BlockStatus::kOk), VIRTIO_BLK_S_OK);
    EXPECT_EQ(block_status(BlockStatus::kUnsupported), VIRTIO_BLK_S_UNSUPP);
    for (const auto status :
         {BlockStatus::kIoError, BlockStatus::kNoSpace, BlockStatus::kOutOfRange, BlockStatus::kReadOnly}) {
        EXPECT_EQ(block_status(status), VIRTIO_BLK_S_IOERR);
    }
}

TEST_F(VirtioBlock, AFailedReadClaimsNoData) {
    bring_up();
    volume_.status = BlockStatus::kNoSpace;
    EXPECT_EQ(request(VIRTIO_BLK_T_IN, 0, {{data_, 512, true}}), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(driver_->take_used(queues_[0]).len, 0u);
}

TEST_F(VirtioBlock, RefusesTransfersBeyondTheEndAndOfOddLengthBeforeTheVolumeSeesThem) {
    bring_up();
    constexpr std::uint64_t kSectors = kVolumeBytes / 512;
    EXPECT_EQ(request(VIRTIO_BLK_T_IN, kSectors, {{data_, 512, true}}), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(request(VIRTIO_BLK_T_IN, kSectors - 1, {{data_, 1024, true}}), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(request(VIRTIO_BLK_T_IN, ~std::uint64_t{0}, {{data_, 512, true}}), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(request(VIRTIO_BLK_T_IN, ~std::uint64_t{0} / 512 + 1, {{data_, 512, true}}), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(request(VIRTIO_BLK_T_OUT, 0, {{data_, 511, false}}), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(request(VIRTIO_BLK_T_IN, 0, {{data_, 512, false}}), VIRTIO_BLK_S_IOERR);
    EXPECT_TRUE(volume_.operations.empty());
    EXPECT_EQ(request(VIRTIO_BLK_T_IN, kSectors - 1, {{data_, 512, true}}), VIRTIO_BLK_S_OK);
}

TEST_F(VirtioBlock, AReadOnlyVolumeOffersRoAndRefusesEveryKindOfWrite) {
    volume_.geometry().read_only = true;
    bring_up();
    EXPECT_TRUE(driver_->device_features() & VIRTIO_BLK_F_RO);
    EXPECT_FALSE(driver_->device_features() & VIRTIO_BLK_F_DISCARD);
    for (const std::uint32_t type : {VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES}) {
        EXPECT_EQ(request(type, 0, {{data_, 512, false}}), VIRTIO_BLK_S_IOERR);
    }
    EXPECT_TRUE(volume_.operations.empty());
}

TEST_F(VirtioBlock, DiscardAndWriteZeroesTakeTheirRangeAndFlagsFromTheRequest) {
    bring_up();
    volume_.bytes[4096] = std::byte{1};
    driver_->store(data_, BlockRange{8, 8, kBlockRangeUnmap});
    EXPECT_EQ(request(VIRTIO_BLK_T_WRITE_ZEROES, 0, {{data_, 16, false}}), VIRTIO_BLK_S_OK);
    EXPECT_EQ(volume_.bytes[4096], std::byte{0});
    EXPECT_TRUE(volume_.last_may_unmap);
    EXPECT_EQ(request(VIRTIO_BLK_T_DISCARD, 0, {{data_, 16, false}}), VIRTIO_BLK_S_UNSUPP); // unmap is not for discard
    driver_->store(data_, BlockRange{8, 8, 0});
    EXPECT_EQ(request(VIRTIO_BLK_T_DISCARD, 0, {{data_, 16, false}}), VIRTIO_BLK_S_OK);
    EXPECT_FALSE(volume_.last_may_unmap);
    driver_->store(data_, BlockRange{~std::uint64_t{0} - 3, 8, 0});
    EXPECT_EQ(request(VIRTIO_BLK_T_DISCARD, 0, {{data_, 16, false}}), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(request(VIRTIO_BLK_T_DISCARD, 0, {{data_, 32, false}}), VIRTIO_BLK_S_IOERR);
}

TEST_F(VirtioBlock, AnswersItsSerialAndRefusesWhatItDoesNotKnow) {
    bring_up();
    EXPECT_EQ(request(VIRTIO_BLK_T_GET_ID, 0, {{data_, 20, true}}), VIRTIO_BLK_S_OK);
    EXPECT_STREQ(reinterpret_cast<const char*>(driver_->at(data_)), "disk-serial-1");
    EXPECT_EQ(driver_->take_used(queues_[0]).len, 21u);
    EXPECT_EQ(request(VIRTIO_BLK_T_GET_ID, 0, {{data_, 19, true}}), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(request(0x1234, 0, {}), VIRTIO_BLK_S_UNSUPP);
}

TEST_F(VirtioBlock, AChainWithoutRoomForAStatusComesBackAndTheDeviceLives) {
    bring_up();
    driver_->send(queues_[0], {{header_, 16, false}});
    EXPECT_EQ(driver_->take_used(queues_[0]).len, 0u);
    driver_->send(queues_[0], {{header_, 3, false}, {status_, 1, true}});
    EXPECT_EQ(driver_->take_used(queues_[0]).len, 1u);
    EXPECT_EQ(driver_->load<std::uint8_t>(status_), VIRTIO_BLK_S_IOERR);
    EXPECT_FALSE(driver_->needs_reset());
}

TEST_F(VirtioBlock, ConfigurationShowsTheVolume) {
    volume_.geometry().physical_block_bytes = 4096;
    bring_up(VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_MQ, 3);
    const std::uint64_t config = driver_->base() + VirtioPciFunction::kDeviceOffset;
    EXPECT_EQ(machine_.memory.read(config, 8), kVolumeBytes / 512);
    EXPECT_EQ(machine_.memory.read(config + offsetof(BlockConfig, physical_block_exp), 1), 3u);
    EXPECT_EQ(machine_.memory.read(config + offsetof(BlockConfig, num_queues), 2), 3u);
    EXPECT_EQ(machine_.memory.read(config + sizeof(BlockConfig), 4), 0u);
    EXPECT_EQ(driver_->read(TestDriver::Register::num_queues, 2), 3u);
    EXPECT_EQ(request(VIRTIO_BLK_T_FLUSH, 0, {}, 2), VIRTIO_BLK_S_OK);
}

TEST_F(VirtioBlock, PauseWaitsForTheRequestInFlightAndResumeTakesWhatCameMeanwhile) {
    bring_up();
    volume_.held = true;
    EXPECT_EQ(request(VIRTIO_BLK_T_FLUSH, 0, {}), 0xEE);
    std::thread control([this] { function_->pause(); });
    machine_.reactor.run_and_wait([] {});
    machine_.reactor.run_and_wait([this] { volume_.complete_all(); });
    control.join();
    EXPECT_TRUE(driver_->has_used(queues_[0]));
    volume_.held = false;
    EXPECT_EQ(request(VIRTIO_BLK_T_FLUSH, 0, {}), 0xEE);
    function_->resume();
    machine_.flush();
    EXPECT_EQ(driver_->load<std::uint8_t>(status_), VIRTIO_BLK_S_OK);
}

TEST_F(VirtioBlock, AResetIsNotOverWhileTheVolumeStillUsesTheBuffers) {
    bring_up();
    volume_.held = true;
    EXPECT_EQ(request(VIRTIO_BLK_T_IN, 0, {{data_, 512, true}}), 0xEE);
    driver_->write(TestDriver::Register::device_status, 1, 0);
    EXPECT_NE(driver_->status(), 0);
    machine_.reactor.run_and_wait([this] { volume_.complete_all(); });
    EXPECT_EQ(driver_->status(), 0);
    EXPECT_FALSE(driver_->has_used(queues_[0])); // the queue is no longer the device's
}

TEST_F(VirtioBlock, GoesOnAfterARestoreIntoAnotherMachineWithTheSameMemory) {
    bring_up();
    EXPECT_EQ(request(VIRTIO_BLK_T_FLUSH, 0, {}), VIRTIO_BLK_S_OK);
    function_->pause();
    const migration::Record record = function_->save();

    VirtioPciFunction other("virtio-blk@00:03.0", std::make_unique<Block>(volume_, BlockConfiguration{1, ""}),
                            machine_.context());
    machine_.root.unplug(TestDriver::kPlace);
    ASSERT_TRUE(machine_.root.plug(TestDriver::kPlace, other).has_value());
    ASSERT_TRUE(other.restore(record).has_value());
    EXPECT_EQ(other.save().bytes, record.bytes);
    other.resume();
    EXPECT_EQ(request(VIRTIO_BLK_T_FLUSH, 0, {}), VIRTIO_BLK_S_OK);
    EXPECT_EQ(driver_->used_index(queues_[0]), 2);
    EXPECT_EQ(machine_.messages.take().size(), 2u);
    machine_.root.unplug(TestDriver::kPlace);
}

TEST_F(VirtioBlock, RefusesTheStateOfADeviceWithAnotherNumberOfQueues) {
    bring_up();
    function_->pause();
    VirtioPciFunction other("virtio-blk@00:04.0", std::make_unique<Block>(volume_, BlockConfiguration{2, ""}),
                            machine_.context());
    EXPECT_EQ(other.restore(function_->save()).error(), migration::RestoreError::kMismatch);
    migration::Record damaged = function_->save();
    damaged.bytes.pop_back();
    EXPECT_EQ(other.restore(damaged).error(), migration::RestoreError::kDamaged);
}

} // namespace
} // namespace touka::devices::virtio
