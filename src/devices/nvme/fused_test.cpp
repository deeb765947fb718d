#include <algorithm>

#include "devices/nvme/test_fixture.hpp"

namespace touka::devices::nvme {
namespace {

using namespace spec::nvme;
using storage::BlockOperation;
using test::block_command;
using test::TestDriver;

class NvmeFused : public test::NvmeFixture {
protected:
    /// Data to compare is at data_, data to write a page later.
    SubmissionEntry first(std::uint64_t lba, std::uint32_t count = 1) {
        return fused(block_command(IoOpcode::kCompare, lba, count, data_), kFuseFirst);
    }
    SubmissionEntry second(std::uint64_t lba, std::uint32_t count = 1) {
        return fused(block_command(IoOpcode::kWrite, lba, count, data_ + 4096), kFuseSecond);
    }
    static SubmissionEntry fused(SubmissionEntry command, std::uint8_t fuse) {
        command.flags = fuse;
        return command;
    }
    /// Puts commands into a queue and rings once.
    void submit(TestDriver& driver, TestDriver::Queue& queue, std::initializer_list<SubmissionEntry> commands) {
        for (const SubmissionEntry& command : commands) (void)driver.put(queue, command);
        driver.ring_tail(queue);
        driver.settle();
    }
    std::vector<Status> submit(std::initializer_list<SubmissionEntry> commands) {
        submit(*driver_, driver_->io, commands);
        return taken(*driver_, driver_->io);
    }
    static std::vector<Status> taken(TestDriver& driver, TestDriver::Queue& queue) {
        std::vector<Status> all;
        while (const auto entry = driver.take(queue))
            all.push_back(static_cast<Status>(entry->status_phase >> 1 & 0x7FF));
        return all;
    }
    using Statuses = std::vector<Status>;
};

TEST_F(NvmeFused, WritesWhatComparesEqual) {
    bring_up();
    EXPECT_EQ(identify(Cns::kController), Status::kSuccess);
    EXPECT_EQ(driver_->load<IdentifyController>(data_).fuses, kFusesCompareAndWrite);
    std::memset(driver_->at(data_), 0, 4096);
    std::memset(driver_->at(data_ + 4096), 0x5A, 512);
    EXPECT_EQ(submit({first(6), second(6)}), (Statuses{Status::kSuccess, Status::kSuccess}));
    EXPECT_EQ(volume_.bytes[6 * 512], std::byte{0x5A});
    EXPECT_EQ(submit({first(6), second(6)}), (Statuses{Status::kCompareFailure, Status::kAbortedFailedFused}));
}

TEST_F(NvmeFused, HalvesWithoutTheOtherAreAborted) {
    bring_up();
    EXPECT_EQ(submit({first(1)}), Statuses{Status::kAbortedMissingFused});
    EXPECT_EQ(submit({second(1)}), Statuses{Status::kAbortedMissingFused});
    EXPECT_EQ(submit({first(1), block_command(IoOpcode::kRead, 1, 1, data_)}),
              (Statuses{Status::kAbortedMissingFused, Status::kSuccess}));
    EXPECT_EQ(submit({first(1), first(1), second(1)}),
              (Statuses{Status::kAbortedMissingFused, Status::kSuccess, Status::kSuccess}));
    EXPECT_EQ(std::ranges::count(volume_.operations, BlockOperation::kWrite), 1);
}

TEST_F(NvmeFused, PairsThatDoNotFitAreInvalid) {
    bring_up();
    const Statuses invalid{Status::kInvalidField, Status::kInvalidField};
    EXPECT_EQ(submit({first(1), second(2)}), invalid);
    EXPECT_EQ(submit({first(1, 2), second(1)}), invalid);
    SubmissionEntry elsewhere = second(1);
    elsewhere.nsid = 2;
    EXPECT_EQ(submit({first(1), elsewhere}), invalid);
    EXPECT_EQ(submit({fused(block_command(IoOpcode::kRead, 1, 1, data_), kFuseFirst), second(1)}), invalid);
    EXPECT_EQ(submit({first(1 << 20), second(1 << 20)}),
              (Statuses{Status::kLbaOutOfRange, Status::kAbortedFailedFused}));
    EXPECT_TRUE(volume_.operations.empty());
}

TEST_F(NvmeFused, APairAtTheEndOfABurstIsNotTorn) {
    bring_up();
    ASSERT_EQ(set_feature(FeatureId::kArbitration, 0), Status::kSuccess); // bursts of one command
    const auto read = block_command(IoOpcode::kRead, 0, 1, data_ + 8192);
    EXPECT_EQ(submit({read, first(3), second(3), read}), Statuses(4, Status::kSuccess));
}

TEST_F(NvmeFused, CommandsOfOtherControllersWaitForThePair) {
    bring_up();
    NvmePciFunction other_function("nvme@00:04.0", subsystem_, configuration(1), machine_.context());
    TestDriver other(machine_, other_function, {0, 4, 0});
    ASSERT_TRUE(other.bring_up());
    std::memset(driver_->at(data_ + 4096), 0x77, 512);
    volume_.operations.clear();
    volume_.held = true;
    const std::uint64_t there = data_ + 16384;
    submit(other, other.io, {block_command(IoOpcode::kRead, 9, 1, there)}); // began before: the pair waits
    submit(*driver_, driver_->io, {first(9), second(9)});
    EXPECT_EQ(volume_.operations.size(), 1u);
    submit(other, other.io, {block_command(IoOpcode::kRead, 9, 1, there + 512)}); // came after: it waits
    submit(other, other.io, {first(9), second(9)});
    EXPECT_EQ(volume_.operations.size(), 1u);
    complete_held(); // the read; Compare begins
    EXPECT_EQ(taken(other, other.io), Statuses{Status::kSuccess});
    EXPECT_EQ(volume_.operations.size(), 2u);
    complete_held(); // Compare; Write begins
    EXPECT_EQ(volume_.operations.back(), BlockOperation::kWrite);
    EXPECT_EQ(volume_.operations.size(), 3u);
    EXPECT_TRUE(taken(other, other.io).empty());
    on_reactor([this] { volume_.held = false; });
    complete_held();
    EXPECT_EQ(taken(*driver_, driver_->io), Statuses(2, Status::kSuccess));
    other.settle();
    Statuses rest = taken(other, other.io);
    std::ranges::sort(rest);
    EXPECT_EQ(rest, (Statuses{Status::kSuccess, Status::kAbortedFailedFused, Status::kCompareFailure}));
    EXPECT_EQ(*driver_->at(there + 512), std::byte{0x77});
}

TEST_F(NvmeFused, AResetBetweenTheTwoEndsThePairAndLetsOthersGoOn) {
    bring_up();
    std::memset(driver_->at(data_ + 4096), 0x33, 512);
    volume_.held = true;
    submit(*driver_, driver_->io, {first(4), second(4)});
    submit(*driver_, driver_->io, {block_command(IoOpcode::kRead, 4, 1, data_)}); // is held back
    driver_->set_configuration(0);
    EXPECT_TRUE(driver_->ready()); // until Compare's buffer is free
    volume_.held = false;
    complete_held();
    EXPECT_FALSE(driver_->ready());
    EXPECT_EQ(volume_.bytes[4 * 512], std::byte{0});
    ASSERT_TRUE(driver_->bring_up());
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 4, 1, data_)), Status::kSuccess);
    EXPECT_EQ(submit({first(4), second(4)}), Statuses(2, Status::kSuccess));
}

TEST_F(NvmeFused, DeletingTheQueueWaitsForThePair) {
    bring_up();
    volume_.held = true;
    submit(*driver_, driver_->io, {first(4), second(4)});
    EXPECT_EQ(admin(test::admin_command(AdminOpcode::kDeleteSubmissionQueue, 0, 0, 1)), TestDriver::kPending);
    volume_.held = false;
    complete_held();
    EXPECT_EQ(taken(*driver_, driver_->io), Statuses(2, Status::kSuccess));
    EXPECT_EQ(taken(*driver_, driver_->admin), Statuses{Status::kSuccess});
}

} // namespace
} // namespace touka::devices::nvme
