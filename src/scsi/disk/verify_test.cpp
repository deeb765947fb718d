#include "scsi/disk/verify.hpp"

#include <gmock/gmock.h>

#include "scsi/disk/test_disk.hpp"
#include "storage/faulty_block_device.hpp"

namespace touka::scsi {
namespace {

using storage::BlockOperation;
using storage::BlockStatus;
using testing::ElementsAre;

constexpr std::uint8_t kCompareAll = 0x02, kReserved = 0x04, kCompareOne = 0x06;

std::vector<std::uint8_t> compare_and_write(std::uint64_t lba, std::uint8_t count, std::uint8_t flags = 0) {
    auto cdb = cdb16(0x89, lba, 0, flags);
    cdb[13] = count;
    return cdb;
}

/// `expected` and then `fresh`.
std::vector<std::uint8_t> both(std::vector<std::uint8_t> expected, const std::vector<std::uint8_t>& fresh) {
    expected.insert(expected.end(), fresh.begin(), fresh.end());
    return expected;
}

class VerifyTest : public testing::Test, public TestDisk {};
class CompareTest : public testing::Test, public TestDisk {};

TEST_F(VerifyTest, WithoutComparisonItReadsTheMedium) {
    for (const auto& cdb : {cdb10(0x2F, 0, 4), cdb16(0x8F, 0, 4), cdb32(0x000A, 0, 4),
                            std::vector<std::uint8_t>{0xAF, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0}}) {
        volume.operations.clear();
        EXPECT_EQ(run(cdb).status, Status::kGood);
        EXPECT_THAT(volume.operations, ElementsAre(BlockOperation::kRead));
    }
    storage::FaultyBlockDevice faulty(volume, 1, BlockStatus::kIoError);
    open_again(faulty);
    EXPECT_EQ(run(cdb10(0x2F, 0, 4)).sense_code(), SenseCode::kUnrecoveredReadError);
}

TEST_F(VerifyTest, ComparingTellsTheFirstByteThatDiffers) {
    fill(5, 2, 0x10);
    EXPECT_EQ(run(cdb10(0x2F, 5, 2, kCompareAll), blocks(2, 0x10)).status, Status::kGood);
    auto data = blocks(2, 0x10);
    data[600] = 0;
    const auto& task = run(cdb16(0x8F, 5, 2, kCompareAll), data);
    EXPECT_EQ(task.sense_key(), SenseKey::kMiscompare);
    EXPECT_EQ(task.sense_code(), SenseCode::kMiscompareDuringVerifyOperation);
    EXPECT_EQ(task.sense.decode()->information, 600u);
    EXPECT_EQ(task.transfer_bytes, 1024u);
}

TEST_F(VerifyTest, OneBlockIsComparedWithEachOfTheRange) {
    fill(5, 3, 0x10);
    const auto& same = run(cdb10(0x2F, 5, 3, kCompareOne), blocks(1, 0x10));
    EXPECT_EQ(same.status, Status::kGood);
    EXPECT_EQ(same.transfer_bytes, 512u);
    volume.bytes[7 * 512 + 3] = std::byte{0};
    const auto& other = run(cdb10(0x2F, 5, 3, kCompareOne), blocks(1, 0x10));
    EXPECT_EQ(other.sense_key(), SenseKey::kMiscompare);
    EXPECT_EQ(other.sense.decode()->information, 3u);
}

TEST_F(VerifyTest, TheReservedComparisonIsRefused) {
    const auto& ten = run(cdb10(0x2F, 0, 1, kReserved));
    EXPECT_THAT(ten.sense.bytes().subspan(15, 3), ElementsAre(0xCA, 0, 1));
    const auto& variable = run(cdb32(0x000A, 0, 1, kReserved));
    EXPECT_THAT(variable.sense.bytes().subspan(15, 3), ElementsAre(0xCA, 0, 10));
    EXPECT_EQ(run(cdb10(0x2E, 0, 1, kCompareOne), blocks(1, 1)).sense_code(), SenseCode::kInvalidFieldInCdb);
}

TEST_F(VerifyTest, RangesAreChecked) {
    EXPECT_EQ(run(cdb10(0x2F, kBlocks - 1, 2)).sense_code(), SenseCode::kLogicalBlockAddressOutOfRange);
    EXPECT_EQ(run(cdb10(0x2E, kBlocks - 1, 2), blocks(2, 1)).sense_code(), SenseCode::kLogicalBlockAddressOutOfRange);
    EXPECT_EQ(run(cdb10(0x2F, 0, 0, kCompareOne)).status, Status::kGood);
}

TEST_F(VerifyTest, WhatIsNotSentIsNotCompared) {
    fill(0, 2, 0x10);
    const auto& task = run(cdb10(0x2F, 0, 4, kCompareAll), blocks(2, 0x10));
    EXPECT_EQ(task.status, Status::kGood);
    EXPECT_EQ(task.transfer_bytes, 2048u);
    EXPECT_EQ(run(cdb10(0x2F, 0, 4, kCompareOne)).status, Status::kGood);
}

TEST_F(VerifyTest, WriteAndVerifyWritesStableAndReadsBack) {
    for (const auto& cdb : {cdb10(0x2E, 4, 2, kCompareAll), cdb16(0x8E, 4, 2), cdb32(0x000C, 4, 2),
                            std::vector<std::uint8_t>{0xAE, 0, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0}}) {
        fill(4, 2, 0);
        volume.operations.clear();
        EXPECT_EQ(run(cdb, blocks(2, 0x44)).status, Status::kGood);
        EXPECT_THAT(volume.operations, ElementsAre(BlockOperation::kWrite, BlockOperation::kRead));
        EXPECT_TRUE(on_medium(4) == 0x44 && on_medium(5) == 0x44 && on_medium(6) == 0);
    }
}

TEST_F(VerifyTest, WriteAndVerifyTellsWhichHalfFailed) {
    storage::FaultyBlockDevice writes(volume, 1, BlockStatus::kIoError);
    open_again(writes);
    EXPECT_EQ(run(cdb10(0x2E, 0, 1), blocks(1, 1)).sense_code(), SenseCode::kWriteError);
    storage::FaultyBlockDevice reads(volume, 2, BlockStatus::kIoError);
    open_again(reads);
    EXPECT_EQ(run(cdb10(0x2E, 0, 1), blocks(1, 1)).sense_code(), SenseCode::kUnrecoveredReadError);
}

TEST_F(VerifyTest, LongRangesAreVerifiedPieceByPiece) {
    volume.bytes.resize(4 << 20);
    volume.geometry().size_bytes = 4 << 20;
    open_again();
    std::fill(volume.bytes.begin(), volume.bytes.end(), std::byte{1});
    volume.bytes[(3 << 20) + 5] = std::byte{2};
    const auto& task = run(cdb16(0x8F, 0, 8192, kCompareAll), blocks(8192, 1));
    EXPECT_EQ(task.sense.decode()->information, (3u << 20) + 5);
    EXPECT_EQ(volume.operations.size(), 4u);
}

TEST_F(CompareTest, EqualBlocksAreReplaced) {
    fill(9, 2, 1);
    const auto& task = run(compare_and_write(9, 2), both(blocks(2, 1), blocks(2, 5)));
    EXPECT_EQ(task.status, Status::kGood);
    EXPECT_EQ(task.transfer_bytes, 2048u);
    EXPECT_TRUE(on_medium(9) == 5 && on_medium(10) == 5 && on_medium(11) == 0);
}

TEST_F(CompareTest, OtherBlocksStayAndTheDifferenceIsTold) {
    fill(9, 2, 1);
    auto expected = blocks(2, 1);
    expected[513] = 3;
    const auto& task = run(compare_and_write(9, 2), both(expected, blocks(2, 5)));
    EXPECT_EQ(task.sense_key(), SenseKey::kMiscompare);
    EXPECT_EQ(task.sense.decode()->information, 513u);
    EXPECT_EQ(on_medium(9), 1);
}

TEST_F(CompareTest, CompareAndWriteChecksItsRangeAndItsData) {
    EXPECT_EQ(run(compare_and_write(kBlocks - 1, 2), blocks(4, 0)).sense_code(),
              SenseCode::kLogicalBlockAddressOutOfRange);
    EXPECT_EQ(run(compare_and_write(0, 2), blocks(3, 0)).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(run(compare_and_write(0, 0)).status, Status::kGood);
    EXPECT_EQ(run(compare_and_write(0, 1, 0x20), blocks(2, 0)).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(run(compare_and_write(0, 1), blocks(4, 0)).status, Status::kCheckCondition) << "more than it takes";
    volume.geometry().read_only = true;
    open_again();
    EXPECT_EQ(run(compare_and_write(0, 1), blocks(2, 0)).sense_key(), SenseKey::kDataProtect);
}

TEST_F(CompareTest, OfTwoThatExpectTheSameOneAloneSucceeds) {
    volume.held = true;
    auto& first = run(compare_and_write(0, 1), both(blocks(1, 0), blocks(1, 1)));
    auto& second = run(compare_and_write(0, 1), both(blocks(1, 0), blocks(1, 2)));
    complete_all();
    EXPECT_EQ(first.status, Status::kGood);
    EXPECT_EQ(second.sense_key(), SenseKey::kMiscompare);
    EXPECT_EQ(on_medium(0), 1);
}

TEST_F(CompareTest, AWriteDoesNotComeBetweenCompareAndWrite) {
    volume.held = true;
    auto& swap = run(compare_and_write(0, 1), both(blocks(1, 0), blocks(1, 1)));
    auto& write = run(cdb10(0x2A, 0, 1), blocks(1, 9));
    auto& elsewhere = run(cdb10(0x2A, 1, 1), blocks(1, 9));
    volume.complete_all();
    EXPECT_TRUE(elsewhere.completed());
    EXPECT_FALSE(write.completed() || swap.completed());
    complete_all();
    EXPECT_EQ(swap.status, Status::kGood);
    EXPECT_EQ(on_medium(0), 9);
}

TEST_F(CompareTest, AbortedBetweenReadingAndWritingItWritesNothing) {
    volume.held = true;
    auto& task = run(compare_and_write(0, 1), both(blocks(1, 0), blocks(1, 1)));
    auto& later = run(cdb10(0x28, 0, 1));
    bool done = false;
    disk().unit().manage(TaskManagementFunction::kAbortTask, user().a, task.tag, [&](auto) { done = true; });
    complete_all();
    EXPECT_TRUE(done && task.aborted && later.completed());
    EXPECT_EQ(on_medium(0), 0);
}

TEST_F(CompareTest, ATaskThatIsAbortedWhileItWaitsForItsBlocksWritesNothing) {
    volume.held = true;
    run(compare_and_write(0, 1), both(blocks(1, 0), blocks(1, 1)));
    auto& waiting = run(compare_and_write(0, 1), both(blocks(1, 1), blocks(1, 2)));
    auto& write = run(cdb10(0x2A, 0, 1), blocks(1, 3));
    for (const TestTask* task : {&waiting, &write}) {
        disk().unit().manage(TaskManagementFunction::kAbortTask, user().a, task->tag, [](auto) {});
    }
    complete_all();
    EXPECT_TRUE(waiting.aborted && write.aborted);
    EXPECT_EQ(on_medium(0), 1);
}

TEST_F(CompareTest, FailuresOfEitherHalfAreTold) {
    storage::FaultyBlockDevice reads(volume, 1, BlockStatus::kIoError);
    open_again(reads);
    EXPECT_EQ(run(compare_and_write(0, 1), blocks(2, 0)).sense_code(), SenseCode::kUnrecoveredReadError);
    storage::FaultyBlockDevice writes(volume, 2, BlockStatus::kNoSpace);
    open_again(writes);
    EXPECT_EQ(run(compare_and_write(0, 1), blocks(2, 0)).sense_code(), SenseCode::kSpaceAllocationFailedWriteProtect);
    EXPECT_EQ(run(compare_and_write(0, 1), blocks(2, 0)).status, Status::kGood) << "the blocks are free again";
}

TEST_F(CompareTest, FuaMakesTheWriteStable) {
    run(compare_and_write(0, 1), blocks(2, 0));
    EXPECT_FALSE(volume.last_force_unit_access);
    run(compare_and_write(0, 1, kFua), blocks(2, 0));
    EXPECT_TRUE(volume.last_force_unit_access);
}

TEST_F(CompareTest, OrWriteSetsBits) {
    fill(3, 2, 0x0F);
    EXPECT_EQ(run(cdb16(0x8B, 3, 2), blocks(2, 0xA0)).status, Status::kGood);
    EXPECT_TRUE(on_medium(3) == 0xAF && on_medium(4) == 0xAF && on_medium(5) == 0);
    EXPECT_EQ(run(cdb16(0x8B, kBlocks, 1), blocks(1, 1)).sense_code(), SenseCode::kLogicalBlockAddressOutOfRange);
    EXPECT_EQ(run(cdb16(0x8B, 3, 2), blocks(1, 0x10)).status, Status::kGood);
    EXPECT_TRUE(on_medium(3) == 0xBF && on_medium(4) == 0xAF) << "what was not sent stays";
}

} // namespace
} // namespace touka::scsi
