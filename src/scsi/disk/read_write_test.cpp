#include "scsi/disk/read_write.hpp"

#include <gmock/gmock.h>

#include "scsi/disk/test_disk.hpp"
#include "storage/faulty_block_device.hpp"

namespace touka::scsi {
namespace {

using storage::BlockStatus;
using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class ReadWriteTest : public testing::Test, public TestDisk {
protected:
    static constexpr std::uint64_t kLast = kBlocks - 1;
};

TEST_F(ReadWriteTest, EverySizeOfReadReadsTheSameBlocks) {
    fill(3, 2, 0x77);
    const std::vector<std::vector<std::uint8_t>> cdbs{{0x08, 0, 0, 3, 2, 0},
                                                      cdb10(0x28, 3, 2),
                                                      {0xA8, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0},
                                                      cdb16(0x88, 3, 2),
                                                      cdb32(0x0009, 3, 2)};
    for (const auto& cdb : cdbs) {
        const auto& task = run(cdb);
        EXPECT_EQ(task.status, Status::kGood);
        EXPECT_THAT(task.received(), SizeIs(1024));
        EXPECT_THAT(task.received(), Each(0x77)) << int{cdb[0]};
    }
}

TEST_F(ReadWriteTest, EverySizeOfWriteWritesItsBlocks) {
    const std::vector<std::vector<std::uint8_t>> cdbs{{0x0A, 0, 0, 10, 2, 0},
                                                      cdb10(0x2A, 10, 2),
                                                      {0xAA, 0, 0, 0, 0, 10, 0, 0, 0, 2, 0, 0},
                                                      cdb16(0x8A, 10, 2),
                                                      cdb32(0x000B, 10, 2)};
    std::uint8_t value = 1;
    for (const auto& cdb : cdbs) {
        const auto& task = run(cdb, blocks(2, value));
        EXPECT_EQ(task.status, Status::kGood);
        EXPECT_EQ(task.transfer_bytes, 1024u);
        EXPECT_EQ(on_medium(9), 0);
        EXPECT_EQ(on_medium(10), value);
        EXPECT_EQ(on_medium(11, 511), value);
        EXPECT_EQ(on_medium(12), 0);
        ++value;
    }
}

TEST_F(ReadWriteTest, SixByteCommandsMeanTwoHundredFiftySixBlocksByZero) {
    EXPECT_THAT(run({0x08, 0, 0, 0, 0, 0}).received(), SizeIs(256 * 512));
    EXPECT_EQ(run({0x0A, 0, 0, 0, 0, 0}, blocks(256, 5)).status, Status::kGood);
    EXPECT_EQ(on_medium(255), 5);
    EXPECT_EQ(on_medium(256), 0);
}

TEST_F(ReadWriteTest, RangesThatLeaveTheMediumAreRefused) {
    const auto out_of_range = [&](std::vector<std::uint8_t> cdb, std::vector<std::uint8_t> data = {}) {
        const auto& task = run(std::move(cdb), std::move(data));
        return task.sense_code() == SenseCode::kLogicalBlockAddressOutOfRange &&
               task.sense_key() == SenseKey::kIllegalRequest;
    };
    EXPECT_EQ(run(cdb10(0x28, kLast, 1)).status, Status::kGood);
    EXPECT_TRUE(out_of_range(cdb10(0x28, kLast, 2)));
    EXPECT_TRUE(out_of_range(cdb10(0x28, kBlocks, 0)));
    EXPECT_TRUE(out_of_range(cdb10(0x28, 0x8000'0000, 1)));
    EXPECT_TRUE(out_of_range(cdb16(0x88, 0xFFFF'FFFF'FFFF'FFFF, 2)));
    EXPECT_TRUE(out_of_range(cdb10(0x2A, kLast, 2), blocks(2, 1)));
    EXPECT_TRUE(out_of_range(cdb32(0x000B, kBlocks, 1), blocks(1, 1)));
    EXPECT_EQ(on_medium(kLast), 0);
}

TEST_F(ReadWriteTest, NoBlocksAreNoTransfer) {
    EXPECT_EQ(run(cdb10(0x28, kLast, 0)).status, Status::kGood);
    EXPECT_EQ(run(cdb16(0x8A, 0, 0)).status, Status::kGood);
    EXPECT_THAT(volume.operations, IsEmpty());
}

TEST_F(ReadWriteTest, MoreThanTheTransferLimitIsRefusedByItsField) {
    volume.bytes.resize(64 << 20);
    volume.geometry().size_bytes = 64 << 20;
    open_again();
    const auto& task = run(cdb16(0x88, 0, (16 << 20) / 512 + 1));
    EXPECT_EQ(task.sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_THAT(task.sense.bytes().subspan(15, 3), ElementsAre(0xC0, 0, 10));
    EXPECT_EQ(run(cdb16(0x88, 0, (16 << 20) / 512)).status, Status::kGood);
}

TEST_F(ReadWriteTest, AReadIntoASmallerBufferGivesItsFirstPart) {
    fill(0, 1, 0x11);
    fill(1, 1, 0x22);
    const auto& task = run(cdb10(0x28, 0, 2), {}, 700);
    EXPECT_EQ(task.status, Status::kGood);
    EXPECT_EQ(task.transfer_bytes, 1024u);
    ASSERT_THAT(task.received(), SizeIs(700));
    EXPECT_EQ(task.received()[511], 0x11);
    EXPECT_EQ(task.received()[512], 0x22);
    EXPECT_THAT(run(cdb10(0x28, 0, 2), {}, 0).received(), IsEmpty());
}

TEST_F(ReadWriteTest, WithoutMemoryAReadIsBusy) {
    for (const std::uint64_t limit : {4096u, 100u}) {
        TestTask task(user().a, cdb10(0x28, 0, 2), {}, limit);
        task.no_memory = true;
        disk().unit().submit(task);
        EXPECT_EQ(task.status, Status::kBusy) << limit;
        EXPECT_EQ(task.data_in_bytes, 0u);
    }
}

TEST_F(ReadWriteTest, AWriteThatIsSentShortWritesWholeBlocks) {
    auto data = blocks(2, 7);
    data.resize(1000);
    const auto& task = run(cdb10(0x2A, 0, 4), data);
    EXPECT_EQ(task.status, Status::kGood);
    EXPECT_EQ(task.transfer_bytes, 2048u);
    EXPECT_EQ(on_medium(0), 7);
    EXPECT_EQ(on_medium(1), 0);
}

TEST_F(ReadWriteTest, AWriteThatIsSentMoreTakesWhatItsCdbSays) {
    const auto& task = run(cdb10(0x2A, 0, 1), blocks(3, 7));
    EXPECT_EQ(task.status, Status::kGood);
    EXPECT_EQ(task.transfer_bytes, 512u);
    EXPECT_EQ(on_medium(0), 7);
    EXPECT_EQ(on_medium(1), 0);
}

TEST_F(ReadWriteTest, FuaAndASwitchedOffCacheMakeWritesStable) {
    run(cdb10(0x2A, 0, 1), blocks(1, 1));
    EXPECT_FALSE(volume.last_force_unit_access);
    run(cdb10(0x2A, 0, 1, kFua), blocks(1, 1));
    EXPECT_TRUE(volume.last_force_unit_access);
    run(cdb32(0x000B, 0, 1, kFua), blocks(1, 1));
    EXPECT_TRUE(volume.last_force_unit_access);
    EXPECT_EQ(select_page(0x08, std::vector<std::uint8_t>(18)).status, Status::kGood);
    run(cdb10(0x2A, 0, 1), blocks(1, 1));
    EXPECT_TRUE(volume.last_force_unit_access);
}

TEST_F(ReadWriteTest, ProtectionIsRefusedOnADiskWithoutIt) {
    for (const int bits : {0x20, 0x60, 0xE0}) {
        const auto protect = static_cast<std::uint8_t>(bits);
        EXPECT_EQ(run(cdb10(0x28, 0, 1, protect)).sense_code(), SenseCode::kInvalidFieldInCdb);
        EXPECT_EQ(run(cdb16(0x8A, 0, 1, protect), blocks(1, 1)).sense_code(), SenseCode::kInvalidFieldInCdb);
    }
}

TEST_F(ReadWriteTest, AReadOnlyVolumeRefusesWritesAlone) {
    volume.geometry().read_only = true;
    open_again();
    const auto& task = run(cdb10(0x2A, 0, 1), blocks(1, 1));
    EXPECT_EQ(task.sense_key(), SenseKey::kDataProtect);
    EXPECT_EQ(task.sense_code(), SenseCode::kWriteProtected);
    EXPECT_EQ(run(cdb10(0x28, 0, 1)).status, Status::kGood);
}

TEST_F(ReadWriteTest, WhatTheVolumeReportsBecomesSense) {
    struct Case {
        BlockStatus status;
        bool write;
        SenseKey key;
        SenseCode code;
    };
    const Case cases[]{
        {BlockStatus::kIoError, false, SenseKey::kMediumError, SenseCode::kUnrecoveredReadError},
        {BlockStatus::kIoError, true, SenseKey::kMediumError, SenseCode::kWriteError},
        {BlockStatus::kNoSpace, true, SenseKey::kDataProtect, SenseCode::kSpaceAllocationFailedWriteProtect},
        {BlockStatus::kReadOnly, true, SenseKey::kDataProtect, SenseCode::kWriteProtected},
        {BlockStatus::kOutOfRange, false, SenseKey::kIllegalRequest, SenseCode::kLogicalBlockAddressOutOfRange},
        {BlockStatus::kUnsupported, true, SenseKey::kHardwareError, SenseCode::kInternalTargetFailure},
    };
    for (const Case& test : cases) {
        storage::FaultyBlockDevice faulty(volume, 1, test.status);
        open_again(faulty);
        const auto& task = test.write ? run(cdb10(0x2A, 0, 1), blocks(1, 1)) : run(cdb10(0x28, 0, 1));
        EXPECT_EQ(task.sense_key(), test.key);
        EXPECT_EQ(task.sense_code(), test.code);
        EXPECT_EQ(task.data_in_bytes, 0u);
        EXPECT_EQ(run(cdb10(0x28, 0, 1)).status, Status::kGood) << "the next one works";
    }
}

TEST_F(ReadWriteTest, AnAbortedReadEndsWhenTheVolumeIsThroughWithIt) {
    volume.held = true;
    auto& task = run(cdb10(0x28, 0, 1));
    bool done = false;
    disk().unit().manage(TaskManagementFunction::kAbortTask, user().a, task.tag, [&](auto) { done = true; });
    EXPECT_FALSE(done || task.completed());
    complete_all();
    EXPECT_TRUE(done && task.completed() && task.aborted);
}

TEST_F(ReadWriteTest, AnAbortedTaskThatTheVolumeHasNotBegunEndsAtOnceAndNeverBegins) {
    volume.held = true;
    volume.begun = false;
    auto& write = run(cdb10(0x2A, 0, 1), blocks(1, 7));
    auto& read = run(cdb10(0x28, 0, 1));
    auto& other = user().run_from(user().b, cdb10(0x28, 0, 1));
    bool done = false;
    disk().unit().manage(TaskManagementFunction::kAbortTaskSet, user().a, 0, [&](auto) { done = true; });
    EXPECT_TRUE(done && write.aborted && read.aborted);
    EXPECT_EQ(volume.in_flight(), 1u);
    complete_all();
    EXPECT_TRUE(other.completed() && !other.aborted);
    EXPECT_EQ(on_medium(0), 0);
}

TEST_F(ReadWriteTest, AnAbortedTaskThatWaitsForItsBlocksEndsAtOnceAndNeverBegins) {
    volume.held = true;
    auto compare_and_write = cdb16(0x89, 0, 0);
    compare_and_write[13] = 1;
    auto& swap = user().run_from(user().b, compare_and_write, blocks(2, 0));
    auto& write = run(cdb10(0x2A, 0, 1), blocks(1, 7));
    auto& behind = user().run_from(user().b, cdb10(0x28, 0, 1));
    bool done = false;
    disk().unit().manage(TaskManagementFunction::kAbortTaskSet, user().a, 0, [&](auto) { done = true; });
    EXPECT_TRUE(done && write.aborted);
    complete_all();
    EXPECT_TRUE(swap.completed() && behind.completed());
    EXPECT_EQ(on_medium(0), 0);
}

TEST_F(ReadWriteTest, ReadsIntoSmallBuffersDoNotSeeHalfOfAnAtomicCommand) {
    volume.held = true;
    auto data = blocks(2, 0);
    std::fill(data.begin() + 512, data.end(), std::uint8_t{9});
    auto compare_and_write = cdb16(0x89, 0, 0);
    compare_and_write[13] = 1;
    auto& swap = run(compare_and_write, data);
    auto& cut = run(cdb10(0x28, 0, 1), {}, 100);
    EXPECT_EQ(volume.in_flight(), 1u) << "the read waits for COMPARE AND WRITE";
    complete_all();
    EXPECT_EQ(swap.status, Status::kGood);
    EXPECT_THAT(cut.received(), Each(9));
}

TEST_F(ReadWriteTest, BlocksOf4096BytesOnAVolumeOf512) {
    auto options = test_disk_options();
    options.block_bytes = 4096;
    open_again(options);
    fill(8, 8, 0x33);
    const auto& task = run(cdb10(0x28, 1, 1));
    EXPECT_THAT(task.received(), SizeIs(4096));
    EXPECT_THAT(task.received(), Each(0x33));
    EXPECT_EQ(run(cdb10(0x28, kBlocks / 8, 1)).sense_code(), SenseCode::kLogicalBlockAddressOutOfRange);
}

} // namespace
} // namespace touka::scsi
