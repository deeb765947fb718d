#include <atomic>
#include <functional>

#include "devices/nvme/test_fixture.hpp"
#include "spec/nvme/data_pointer.hpp"

namespace touka::devices::nvme {
namespace {

using namespace spec::nvme;
using storage::BlockOperation;
using storage::BlockStatus;
using test::admin_command;
using test::block_command;
using test::TestDriver;

/// Memory that is taken away.
class RevocableSpace final : public memory::DmaSpace {
public:
    explicit RevocableSpace(memory::DmaSpace& below) : below_(below) {}
    [[nodiscard]] std::expected<std::span<std::byte>, memory::DmaFault>
    translate(memory::Iova address, std::uint64_t length_bytes, memory::DmaAccess access) override {
        if (gone_) return std::unexpected(memory::DmaFault{address, access});
        return below_.translate(address, length_bytes, access);
    }
    void written(std::span<const std::byte> host_memory) override { below_.written(host_memory); }
    void revoke(std::function<void()> done) {
        gone_ = true;
        revoked(std::move(done));
    }

private:
    memory::DmaSpace& below_;
    std::atomic<bool> gone_{false};
};

class NvmeReadWrite : public test::NvmeFixture {
protected:
    void fill_volume() {
        for (std::size_t i = 0; i < volume_.bytes.size(); ++i)
            volume_.bytes[i] = static_cast<std::byte>(i * 7 + i / 512);
    }
    bool same(std::uint64_t address, std::uint64_t volume_offset, std::size_t length) {
        return std::memcmp(driver_->at(address), &volume_.bytes[volume_offset], length) == 0;
    }
};

TEST_F(NvmeReadWrite, EveryShapeOfPrpsReachesItsPages) {
    bring_up();
    fill_volume();
    const std::uint64_t page = machine_.allocate(64 << 10), list = machine_.allocate(8192);
    // One page, with an offset.
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 3, 1, page + 512)), Status::kSuccess);
    EXPECT_TRUE(same(page + 512, 3 * 512, 512));
    // Two pages apart from each other, the first from its middle on.
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 8, 12, page + 2048, page + 0x8000)), Status::kSuccess);
    EXPECT_TRUE(same(page + 2048, 8 * 512, 2048));
    EXPECT_TRUE(same(page + 0x8000, 8 * 512 + 2048, 4096));
    // A list in the middle of a page: backwards.
    for (std::uint64_t i = 0; i < 7; ++i) driver_->store(list + 256 + 8 * i, page + 0x1000 * (7 - i));
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 16, 64, page + 0x8000, list + 256)), Status::kSuccess);
    EXPECT_TRUE(same(page + 0x8000, 16 * 512, 4096));
    for (std::uint64_t i = 0; i < 7; ++i) EXPECT_TRUE(same(page + 0x1000 * (7 - i), 16 * 512 + 4096 * (i + 1), 4096));
    // A list whose page ends: its last entry leads to the next one.
    driver_->store(list + 4096 - 16, page);
    driver_->store(list + 4096 - 8, list + 4096);
    driver_->store(list + 4096, page + 0x2000);
    driver_->store(list + 4096 + 8, page + 0x4000);
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 100, 32, page + 0x6000, list + 4096 - 16)), Status::kSuccess);
    EXPECT_TRUE(same(page, 100 * 512 + 4096, 4096));
    EXPECT_TRUE(same(page + 0x4000, 100 * 512 + 3 * 4096, 4096));
}

TEST_F(NvmeReadWrite, PrpsThatAreWrongHaveTheirStatusAndTouchNothing) {
    bring_up();
    const std::uint64_t list = machine_.allocate(4096);
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 1, data_ + 2)), Status::kPrpOffsetInvalid);
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 16, data_, data_ + 512)), Status::kPrpOffsetInvalid);
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 32, data_, list + 4)), Status::kPrpOffsetInvalid);
    driver_->store(list, data_ + 8);
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 32, data_, list)), Status::kPrpOffsetInvalid);
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 1, 0xFFFF'FFFF'FFFF'FE00)), Status::kDataTransferError);
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 32, data_, 0xFFFF'FFFF'0000)), Status::kDataTransferError);
    driver_->store(list + 4096 - 8, data_ + 8); // the entry that leads on
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 32, data_, list + 4096 - 8)), Status::kPrpOffsetInvalid);
    EXPECT_TRUE(volume_.operations.empty());
}

TEST_F(NvmeReadWrite, SglsOfOneBlockAndOfSegments) {
    bring_up();
    fill_volume();
    const std::uint64_t list = machine_.allocate(4096);
    const auto with_sgl = [](SubmissionEntry command, const SglDescriptor& descriptor) {
        command.flags = kPsdtSgl << kPsdtShift;
        command.prp1 = descriptor.address;
        command.prp2 = descriptor.length | std::uint64_t{descriptor.identifier} << 56;
        return command;
    };
    const auto block = [](std::uint64_t at, std::uint32_t length) { return SglDescriptor{at, length, {}, 0x00}; };
    const SubmissionEntry read = block_command(IoOpcode::kRead, 5, 2, 0);
    EXPECT_EQ(io(with_sgl(read, block(data_ + 3, 1024))), Status::kSuccess);
    EXPECT_TRUE(same(data_ + 3, 5 * 512, 1024));
    EXPECT_EQ(io(with_sgl(read, block(data_, 1000))), Status::kDataSglLengthInvalid);
    EXPECT_EQ(io(with_sgl(read, block(data_, 4096))), Status::kSuccess); // longer than the data

    driver_->store(list, block(data_ + 100, 24));
    driver_->store(list + 16, SglDescriptor{list + 64, 32, {}, kSglLastSegment << 4});
    driver_->store(list + 64, block(data_ + 8192, 500));
    driver_->store(list + 80, block(data_ + 16384, 500));
    EXPECT_EQ(io(with_sgl(read, {list, 32, {}, kSglSegment << 4})), Status::kSuccess);
    EXPECT_TRUE(same(data_ + 100, 5 * 512, 24));
    EXPECT_TRUE(same(data_ + 8192, 5 * 512 + 24, 500));
    EXPECT_TRUE(same(data_ + 16384, 5 * 512 + 524, 500));

    EXPECT_EQ(io(with_sgl(read, {list, 30, {}, kSglSegment << 4})), Status::kInvalidSglSegment);
    EXPECT_EQ(io(with_sgl(read, {list, 0, {}, kSglSegment << 4})), Status::kInvalidSglSegment);
    EXPECT_EQ(io(with_sgl(read, {list, 32, {}, kSglLastSegment << 4})), Status::kInvalidSglSegment);
    EXPECT_EQ(io(with_sgl(read, {list, 48, {}, kSglSegment << 4})), Status::kInvalidSglCount);
    EXPECT_EQ(io(with_sgl(read, {data_, 1024, {}, 0x40})), Status::kSglTypeInvalid);
    // A segment that leads to itself ends somewhere.
    driver_->store(list, block(0, 0));
    driver_->store(list + 16, SglDescriptor{list, 32, {}, kSglSegment << 4});
    EXPECT_EQ(io(with_sgl(read, {list, 32, {}, kSglSegment << 4})), Status::kInvalidSglCount);
}

TEST_F(NvmeReadWrite, AWriteCompletesOnlyWhenTheVolumeSaysSoAndForceUnitAccessReachesIt) {
    bring_up();
    volume_.held = true;
    driver_->store(data_, std::uint32_t{0xC0FFEE});
    SubmissionEntry command = block_command(IoOpcode::kWrite, 8, 1, data_);
    command.cdw12 |= kForceUnitAccess;
    (void)machine_.messages.take();
    EXPECT_EQ(io(command), TestDriver::kPending);
    EXPECT_TRUE(machine_.messages.take().empty());
    EXPECT_TRUE(volume_.last_force_unit_access);
    complete_held();
    EXPECT_TRUE(driver_->take(driver_->io));
    EXPECT_EQ(volume_.bytes[8 * 512], std::byte{0xEE});
    EXPECT_EQ(machine_.messages.take().size(), 1u);
    volume_.held = false;
    EXPECT_EQ(io(block_command(IoOpcode::kWrite, 8, 1, data_)), Status::kSuccess);
    EXPECT_FALSE(volume_.last_force_unit_access);
    EXPECT_EQ(set_feature(FeatureId::kVolatileWriteCache, 0), Status::kSuccess);
    EXPECT_EQ(io(block_command(IoOpcode::kWrite, 8, 1, data_)), Status::kSuccess);
    EXPECT_TRUE(volume_.last_force_unit_access);
}

TEST_F(NvmeReadWrite, RangesBeyondTheEndAreRefusedHoweverTheyAreMade) {
    bring_up();
    const std::uint64_t blocks = kVolumeBytes / 512;
    EXPECT_EQ(io(block_command(IoOpcode::kRead, blocks - 1, 1, data_)), Status::kSuccess);
    EXPECT_EQ(io(block_command(IoOpcode::kRead, blocks - 1, 2, data_)), Status::kLbaOutOfRange);
    EXPECT_EQ(io(block_command(IoOpcode::kRead, ~std::uint64_t{0}, 2, data_)), Status::kLbaOutOfRange);
    EXPECT_EQ(io(block_command(IoOpcode::kRead, std::uint64_t{1} << 55, 1, data_)), Status::kLbaOutOfRange);
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 1025, data_)), Status::kInvalidField); // MDTS
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 1, data_, 0, 2)), Status::kInvalidNamespaceOrFormat);
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 1, data_, 0, 0)), Status::kInvalidNamespaceOrFormat);
    EXPECT_EQ(io(block_command(IoOpcode::kWriteZeroes, blocks, 1, 0)), Status::kLbaOutOfRange);
}

TEST_F(NvmeReadWrite, WhatTheVolumeAnswersBecomesAStatusAndAnErrorLogEntry) {
    bring_up();
    volume_.status = BlockStatus::kIoError;
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 5, 1, data_)), Status::kUnrecoveredReadError);
    EXPECT_EQ(io(block_command(IoOpcode::kWrite, 6, 1, data_)), Status::kWriteFault);
    volume_.status = BlockStatus::kNoSpace;
    EXPECT_EQ(io(block_command(IoOpcode::kWrite, 7, 1, data_)), Status::kCapacityExceeded);
    volume_.status = BlockStatus::kOk;
    EXPECT_EQ(get_log(LogId::kErrors, 256), Status::kSuccess);
    const auto newest = driver_->load<ErrorLogEntry>(data_);
    EXPECT_EQ(newest.error_count, 3u);
    EXPECT_EQ(newest.lba, 7u);
    EXPECT_EQ(newest.nsid, 1u);
    EXPECT_EQ(newest.sqid, 1u);
    EXPECT_EQ(driver_->load<ErrorLogEntry>(data_ + 64).lba, 6u);
    EXPECT_EQ(driver_->load<ErrorLogEntry>(data_ + 192).error_count, 0u);
}

TEST_F(NvmeReadWrite, FlushIsOfOneNamespaceOrOfAll) {
    bring_up();
    EXPECT_EQ(io(block_command(IoOpcode::kFlush, 0, 1, 0)), Status::kSuccess);
    EXPECT_EQ(io(block_command(IoOpcode::kFlush, 0, 1, 0, 0, kAllNamespaces)), Status::kSuccess);
    EXPECT_EQ(volume_.operations, (std::vector{BlockOperation::kFlush, BlockOperation::kFlush}));
    EXPECT_EQ(io(block_command(IoOpcode::kFlush, 0, 1, 0, 0, 3)), Status::kInvalidNamespaceOrFormat);
}

TEST_F(NvmeReadWrite, WriteZeroesMayDeallocateIfAsked) {
    bring_up();
    fill_volume();
    SubmissionEntry command = block_command(IoOpcode::kWriteZeroes, 8, 8, 0);
    EXPECT_EQ(io(command), Status::kSuccess);
    EXPECT_FALSE(volume_.last_may_unmap);
    EXPECT_EQ(volume_.bytes[8 * 512], std::byte{0});
    command.cdw12 |= kDeallocate;
    EXPECT_EQ(io(command), Status::kSuccess);
    EXPECT_TRUE(volume_.last_may_unmap);
}

TEST_F(NvmeReadWrite, DatasetManagementDeallocatesItsRangesAfterLookingAtAll) {
    bring_up();
    driver_->store(data_, DatasetRange{0, 8, 16});
    driver_->store(data_ + 16, DatasetRange{0, 0, 0});
    driver_->store(data_ + 32, DatasetRange{0, 8, 64});
    SubmissionEntry command = block_command(IoOpcode::kDatasetManagement, 2, 1, data_);
    EXPECT_EQ(io(command), Status::kSuccess);
    EXPECT_TRUE(volume_.operations.empty()); // a hint
    command.cdw11 = kDatasetDeallocate;
    EXPECT_EQ(io(command), Status::kSuccess);
    EXPECT_EQ(volume_.operations, (std::vector{BlockOperation::kDiscard, BlockOperation::kDiscard}));
    driver_->store(data_ + 32, DatasetRange{0, 8, ~std::uint64_t{0} - 3});
    EXPECT_EQ(io(command), Status::kLbaOutOfRange);
    EXPECT_EQ(volume_.operations.size(), 2u);
}

TEST_F(NvmeReadWrite, CompareTellsWhetherTheMediumIsTheSame) {
    bring_up();
    fill_volume();
    std::memcpy(driver_->at(data_), &volume_.bytes[4 * 512], 1024);
    EXPECT_EQ(io(block_command(IoOpcode::kCompare, 4, 2, data_)), Status::kSuccess);
    driver_->store(data_ + 1023, std::byte{0x55});
    EXPECT_EQ(io(block_command(IoOpcode::kCompare, 4, 2, data_)), Status::kCompareFailure);
}

TEST_F(NvmeReadWrite, VerifyReadsEverythingAndMovesNothing) {
    bring_up();
    EXPECT_EQ(io(block_command(IoOpcode::kVerify, 0, 4096, 0)), Status::kSuccess); // 2 MiB: four pieces
    EXPECT_EQ(volume_.operations.size(), 4u);
    volume_.status = BlockStatus::kIoError;
    EXPECT_EQ(io(block_command(IoOpcode::kVerify, 0, 1, 0)), Status::kUnrecoveredReadError);
}

TEST_F(NvmeReadWrite, CopyGathersItsRanges) {
    bring_up();
    fill_volume();
    CopyRange range{};
    range.first_lba = 10, range.block_count = 1023;
    driver_->store(data_, range);
    range.first_lba = 3000, range.block_count = 0;
    driver_->store(data_ + sizeof range, range);
    SubmissionEntry command = block_command(IoOpcode::kCopy, 5000, 2, data_);
    const std::vector before = volume_.bytes;
    EXPECT_EQ(io(command), Status::kSuccess);
    EXPECT_EQ(std::memcmp(&volume_.bytes[5000 * 512], &before[10 * 512], 1024 * 512), 0);
    EXPECT_EQ(std::memcmp(&volume_.bytes[6024 * 512], &before[3000 * 512], 512), 0);
    range.block_count = 1024;
    driver_->store(data_, range);
    EXPECT_EQ(io(command), Status::kCommandSizeLimitExceeded);
    range.block_count = 0, range.first_lba = kVolumeBytes / 512;
    driver_->store(data_, range);
    EXPECT_EQ(io(command), Status::kLbaOutOfRange);
}

TEST_F(NvmeReadWrite, MoreComparesThanThereIsMemoryForWaitInLine) {
    bring_up(32);
    volume_.held = true;
    for (int i = 0; i < 12; ++i) (void)driver_->put(driver_->io, block_command(IoOpcode::kVerify, 0, 1, 0));
    driver_->ring_tail(driver_->io);
    EXPECT_EQ(volume_.in_flight(), BounceBuffers::kCount);
    for (int i = 0; i < 3; ++i) complete_held();
    int done = 0;
    while (driver_->take(driver_->io)) ++done;
    EXPECT_EQ(done, 12);
}

TEST_F(NvmeReadWrite, AReadOnlyVolumeIsWriteProtected) {
    volume_.geometry().read_only = true;
    const auto nsid = subsystem_.add_namespace(test::namespace_on(volume_));
    bring_up();
    EXPECT_EQ(io(block_command(IoOpcode::kWrite, 0, 1, data_, 0, *nsid)), Status::kNamespaceWriteProtected);
    EXPECT_EQ(io(block_command(IoOpcode::kFlush, 0, 1, 0, 0, *nsid)), Status::kSuccess);
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 1, data_, 0, *nsid)), Status::kSuccess);
    ASSERT_EQ(identify(Cns::kNamespace, *nsid), Status::kSuccess);
    EXPECT_EQ(driver_->load<IdentifyNamespace>(data_).nsattr, kNsattrWriteProtected);
}

TEST_F(NvmeReadWrite, MemoryThatIsTakenAwayIsUsedToTheEndOfTheReadIntoItAndNoLonger) {
    RevocableSpace space(machine_.dma);
    function_ = std::make_unique<NvmePciFunction>("nvme@00:03.0", subsystem_, configuration(),
                                                  NvmePciContext{machine_.reactor, space, machine_.messages});
    driver_ = std::make_unique<TestDriver>(machine_, *function_);
    ASSERT_TRUE(driver_->bring_up());
    volume_.held = true;
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 1, data_)), TestDriver::kPending);
    std::atomic<bool> quiet{false};
    space.revoke([&quiet] { quiet = true; });
    EXPECT_FALSE(quiet);
    complete_held();
    EXPECT_TRUE(quiet);
    EXPECT_TRUE(driver_->fatal()); // the completion has no place
    driver_.reset();               // before the space
    function_.reset();
}

TEST_F(NvmeReadWrite, TheHealthLogCounts) {
    bring_up();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(io(block_command(IoOpcode::kWrite, 0, 8, data_)), Status::kSuccess);
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 1, data_)), Status::kSuccess);
    ASSERT_EQ(get_log(LogId::kHealth, 512), Status::kSuccess);
    const auto health = driver_->load<HealthLog>(data_);
    EXPECT_EQ(HealthLog::Counter(health.host_writes)[0], 3u);
    EXPECT_EQ(HealthLog::Counter(health.host_reads)[0], 1u);
    EXPECT_EQ(HealthLog::Counter(health.data_units_written)[0], 1u);
}

} // namespace
} // namespace touka::devices::nvme
