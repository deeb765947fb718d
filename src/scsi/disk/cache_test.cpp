#include "scsi/disk/cache.hpp"

#include <gmock/gmock.h>

#include "scsi/disk/test_disk.hpp"
#include "storage/faulty_block_device.hpp"

namespace touka::scsi {
namespace {

using storage::BlockOperation;
using storage::BlockStatus;
using testing::ElementsAre;

constexpr std::uint8_t kImmediate = 0x02;

class CacheTest : public testing::Test, public TestDisk {};

TEST_F(CacheTest, SynchronizingFlushesTheVolume) {
    for (const auto& cdb : {cdb10(0x35, 0, 0), cdb16(0x91, 5, 10)}) {
        volume.operations.clear();
        EXPECT_EQ(run(cdb).status, Status::kGood);
        EXPECT_THAT(volume.operations, ElementsAre(BlockOperation::kFlush));
    }
    EXPECT_EQ(run(cdb16(0x91, kBlocks, 0)).sense_code(), SenseCode::kLogicalBlockAddressOutOfRange);
}

TEST_F(CacheTest, ItCompletesWhenTheFlushDoesUnlessItIsImmediate) {
    volume.held = true;
    auto& task = run(cdb10(0x35, 0, 0));
    EXPECT_FALSE(task.completed());
    auto& immediate = run(cdb10(0x35, 0, 0, kImmediate));
    EXPECT_TRUE(immediate.completed());
    EXPECT_EQ(volume.in_flight(), 2u);
    complete_all();
    EXPECT_EQ(task.status, Status::kGood);
}

TEST_F(CacheTest, AFailedFlushIsAWriteError) {
    storage::FaultyBlockDevice faulty(volume, 1, BlockStatus::kIoError);
    open_again(faulty);
    const auto& task = run(cdb10(0x35, 0, 0));
    EXPECT_EQ(task.sense_key(), SenseKey::kMediumError);
    EXPECT_EQ(task.sense_code(), SenseCode::kWriteError);
}

TEST_F(CacheTest, AFlushIsOfUseWithoutMediumAccessAndWithReadOnly) {
    volume.geometry().read_only = true;
    open_again();
    EXPECT_EQ(run(cdb10(0x35, 0, 0)).status, Status::kGood);
}

TEST_F(CacheTest, PrefetchingPromisesNothing) {
    EXPECT_EQ(run(cdb10(0x34, 0, 8)).status, Status::kGood);
    EXPECT_EQ(run(cdb16(0x90, 8, 0, kImmediate)).status, Status::kGood);
    EXPECT_EQ(run(cdb16(0x90, kBlocks - 1, 2)).sense_code(), SenseCode::kLogicalBlockAddressOutOfRange);
}

} // namespace
} // namespace touka::scsi
