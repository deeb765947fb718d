#include "scsi/disk/maintenance.hpp"

#include <gmock/gmock.h>

#include "scsi/disk/test_disk.hpp"
#include "storage/faulty_block_device.hpp"

namespace touka::scsi {
namespace {

using storage::BlockOperation;
using storage::BlockStatus;
using testing::ElementsAre;
using testing::SizeIs;

const std::vector<std::uint8_t> kTestUnitReady{0, 0, 0, 0, 0, 0};
const std::vector<std::uint8_t> kFormat{0x04, 0, 0, 0, 0, 0};
const std::vector<std::uint8_t> kFormatWithList{0x04, 0x10, 0, 0, 0, 0};
const std::vector<std::uint8_t> kImmediateList{0, 0x02, 0, 0};
constexpr std::uint8_t kImmediate = 0x80, kUnrestricted = 0x20, kOverwrite = 0x01, kBlockErase = 0x02, kExit = 0x1F;

std::vector<std::uint8_t> sanitize(std::uint8_t action, std::uint8_t length = 0) {
    return {0x48, action, 0, 0, 0, 0, 0, 0, length, 0};
}
std::vector<std::uint8_t> start_stop(std::uint8_t bits) { return {0x1B, 0, 0, 0, bits, 0}; }
constexpr std::uint8_t kStop = 0, kStart = 1, kEject = 2, kLoad = 3;

class MaintenanceTest : public testing::Test, public TestDisk {
protected:
    SenseCode ready() { return run(kTestUnitReady).sense_code().value_or(SenseCode::kNoAdditionalSense); }
    /// PROGRESS INDICATION as REQUEST SENSE tells it; nothing when none is going on.
    std::optional<std::uint64_t> progress() {
        const auto data = read({0x03, 0, 0, 0, 252, 0});
        if ((data[15] & 0x80) == 0) return std::nullopt;
        return spec::scsi::load_number(std::span(data).subspan(16, 2));
    }
    void make_removable() {
        auto options = test_disk_options();
        options.removable = true;
        open_again(options);
    }
};

TEST_F(MaintenanceTest, FormattingLeavesZeros) {
    fill(0, kBlocks, 7);
    EXPECT_EQ(run(kFormat).status, Status::kGood);
    EXPECT_TRUE(on_medium(0) == 0 && on_medium(kBlocks - 1, 511) == 0);
    EXPECT_THAT(volume.operations, ElementsAre(BlockOperation::kWriteZeroes, BlockOperation::kFlush));
}

TEST_F(MaintenanceTest, WhileFormattingTheUnitIsNotReadyAndTellsHowFarItIs) {
    volume.held = true;
    const auto& task = run(kFormatWithList, kImmediateList);
    EXPECT_EQ(task.status, Status::kGood);
    EXPECT_TRUE(task.completed());
    EXPECT_EQ(ready(), SenseCode::kFormatInProgress);
    EXPECT_EQ(run(cdb10(0x28, 0, 1)).sense_key(), SenseKey::kNotReady);
    EXPECT_EQ(run({0x12, 0, 0, 0, 96, 0}).status, Status::kGood);
    EXPECT_EQ(run(start_stop(kStop)).sense_code(), SenseCode::kFormatInProgress);
    EXPECT_EQ(run(sanitize(kBlockErase)).sense_code(), SenseCode::kFormatInProgress);
    EXPECT_EQ(progress(), 0u);
    volume.complete_all();
    EXPECT_EQ(progress(), 65535u) << "written, not flushed";
    complete_all();
    EXPECT_EQ(progress(), std::nullopt);
    EXPECT_EQ(ready(), SenseCode::kNoAdditionalSense);
}

TEST_F(MaintenanceTest, FormattingWithoutImmedTakesItsTime) {
    volume.held = true;
    auto& task = run(kFormat);
    EXPECT_FALSE(task.completed());
    EXPECT_EQ(ready(), SenseCode::kFormatInProgress);
    complete_all();
    EXPECT_EQ(task.status, Status::kGood);
}

TEST_F(MaintenanceTest, AnAbortedFormatGoesOnWithoutItsTask) {
    volume.held = true;
    auto& task = run(kFormat);
    bool done = false;
    disk().unit().manage(TaskManagementFunction::kAbortTask, user().a, task.tag, [&](auto) { done = true; });
    volume.complete_all();
    EXPECT_TRUE(done && task.aborted);
    EXPECT_EQ(ready(), SenseCode::kFormatInProgress);
    complete_all();
    EXPECT_EQ(ready(), SenseCode::kNoAdditionalSense);
}

TEST_F(MaintenanceTest, FormatParametersThatAreAbsentAreRefused) {
    EXPECT_EQ(run({0x04, 0x20, 0, 0, 0, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(run(kFormatWithList, {0, 0}).sense_code(), SenseCode::kParameterListLengthError);
    EXPECT_EQ(run(kFormatWithList, {0x01, 0, 0, 0}).sense_code(), SenseCode::kInvalidFieldInParameterList);
    EXPECT_EQ(run(kFormatWithList, {0, 0x08, 0, 0}).sense_code(), SenseCode::kInvalidFieldInParameterList);
    EXPECT_EQ(run(kFormatWithList, {0, 0, 0, 8}).sense_code(), SenseCode::kInvalidFieldInParameterList);
    EXPECT_EQ(run({0x04, 0x30, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 8}).sense_code(),
              SenseCode::kInvalidFieldInParameterList);
    EXPECT_EQ(run({0x04, 0x30, 0, 0, 0, 0}, std::vector<std::uint8_t>(8)).status, Status::kGood);
}

TEST_F(MaintenanceTest, AFailedFormatIsTold) {
    storage::FaultyBlockDevice faulty(volume, 1, BlockStatus::kIoError);
    open_again(faulty);
    const auto& task = run(kFormat);
    EXPECT_EQ(task.sense_key(), SenseKey::kMediumError);
    EXPECT_EQ(task.sense_code(), SenseCode::kFormatCommandFailed);
}

TEST_F(MaintenanceTest, SanitizeOverwritesWithAPatternInEachPass) {
    const std::vector<std::uint8_t> list{0x80 | 2, 0, 0, 2, 0xA0, 0x0B}; // INVERT, two passes
    EXPECT_EQ(run(sanitize(kOverwrite, 6), list).status, Status::kGood);
    EXPECT_TRUE(on_medium(0, 0) == 0x5F && on_medium(0, 1) == 0xF4 && on_medium(kBlocks - 1, 511) == 0xF4);
    EXPECT_THAT(volume.operations, SizeIs(3));
}

TEST_F(MaintenanceTest, OverwriteParametersAreChecked) {
    EXPECT_EQ(run(sanitize(kOverwrite, 4), {1, 0, 0, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(run(sanitize(kOverwrite, 6), {1, 0, 0, 2}).sense_code(), SenseCode::kParameterListLengthError);
    EXPECT_EQ(run(sanitize(kOverwrite, 6), {0, 0, 0, 2, 1, 1}).sense_code(), SenseCode::kInvalidFieldInParameterList);
    EXPECT_EQ(run(sanitize(kOverwrite, 6), {1, 0, 0, 1, 1, 1}).sense_code(), SenseCode::kInvalidFieldInParameterList);
    EXPECT_EQ(run(sanitize(kBlockErase, 4), {0, 0, 0, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(run(sanitize(0x03)).sense_code(), SenseCode::kInvalidFieldInCdb) << "cryptographic erase";
}

TEST_F(MaintenanceTest, BlockEraseWithImmedTellsItsProgress) {
    fill(0, kBlocks, 7);
    volume.held = true;
    EXPECT_EQ(run(sanitize(kBlockErase | kImmediate)).status, Status::kGood);
    EXPECT_EQ(ready(), SenseCode::kSanitizeInProgress);
    disk().server().reset(SenseCode::kBusDeviceResetFunctionOccurred, [] {});
    EXPECT_EQ(ready(), SenseCode::kBusDeviceResetFunctionOccurred);
    EXPECT_EQ(ready(), SenseCode::kSanitizeInProgress) << "it goes on over a reset (SBC-4 §4.11.3)";
    complete_all();
    EXPECT_EQ(ready(), SenseCode::kNoAdditionalSense);
    EXPECT_EQ(on_medium(kBlocks - 1), 0);
}

TEST_F(MaintenanceTest, AfterAFailedSanitizeOnlyAnotherOneHelps) {
    storage::FaultyBlockDevice faulty(volume, 1, BlockStatus::kIoError);
    open_again(faulty);
    EXPECT_EQ(run(sanitize(kBlockErase)).sense_code(), SenseCode::kSanitizeCommandFailed);
    EXPECT_EQ(ready(), SenseCode::kSanitizeCommandFailed);
    EXPECT_EQ(run(cdb10(0x28, 0, 1)).sense_code(), SenseCode::kSanitizeCommandFailed);
    EXPECT_EQ(run(sanitize(kExit)).sense_code(), SenseCode::kInvalidFieldInCdb) << "AUSE was 0";
    EXPECT_EQ(run(sanitize(kBlockErase)).status, Status::kGood);
    EXPECT_EQ(ready(), SenseCode::kNoAdditionalSense);
}

TEST_F(MaintenanceTest, WithAuseTheFailureModeCanBeLeft) {
    storage::FaultyBlockDevice faulty(volume, 1, BlockStatus::kIoError);
    open_again(faulty);
    EXPECT_EQ(run(sanitize(kBlockErase | kUnrestricted)).sense_code(), SenseCode::kSanitizeCommandFailed);
    EXPECT_EQ(run(sanitize(kExit)).status, Status::kGood);
    EXPECT_EQ(ready(), SenseCode::kNoAdditionalSense);
}

TEST_F(MaintenanceTest, WriteProtectionKeepsTheMedium) {
    volume.geometry().read_only = true;
    open_again();
    EXPECT_EQ(run(kFormat).sense_key(), SenseKey::kDataProtect);
    EXPECT_EQ(run(sanitize(kBlockErase)).sense_key(), SenseKey::kDataProtect);
}

TEST_F(MaintenanceTest, AStoppedUnitIsStartedAgainByCommandOrReset) {
    EXPECT_EQ(run(start_stop(kStop)).status, Status::kGood);
    EXPECT_EQ(ready(), SenseCode::kInitializingCommandRequired);
    EXPECT_EQ(run(start_stop(kStart)).status, Status::kGood);
    EXPECT_EQ(ready(), SenseCode::kNoAdditionalSense);
    run(start_stop(kStop));
    disk().server().reset(SenseCode::kBusDeviceResetFunctionOccurred, [] {});
    EXPECT_EQ(ready(), SenseCode::kBusDeviceResetFunctionOccurred);
    EXPECT_EQ(ready(), SenseCode::kNoAdditionalSense);
}

TEST_F(MaintenanceTest, PowerConditionsAndFixedMediaAreLeftAsTheyAre) {
    EXPECT_EQ(run(start_stop(0x20)).status, Status::kGood);
    EXPECT_EQ(ready(), SenseCode::kNoAdditionalSense);
    EXPECT_EQ(run(start_stop(kEject)).sense_code(), SenseCode::kInvalidFieldInCdb);
}

TEST_F(MaintenanceTest, AMediumIsEjectedAndLoaded) {
    make_removable();
    EXPECT_EQ(run(start_stop(kEject)).status, Status::kGood);
    EXPECT_EQ(ready(), SenseCode::kMediumNotPresent);
    EXPECT_EQ(run(start_stop(kLoad)).status, Status::kGood);
    const auto& other = user().run_from(user().b, kTestUnitReady);
    EXPECT_EQ(other.sense_code(), SenseCode::kNotReadyToReadyChange) << "not for the one that loaded it";
    EXPECT_EQ(ready(), SenseCode::kNoAdditionalSense);
    EXPECT_EQ(read({0x12, 0, 0, 0, 96, 0})[1], 0x80) << "RMB";
}

TEST_F(MaintenanceTest, AnyNexusCanPreventRemoval) {
    make_removable();
    const std::vector<std::uint8_t> prevent{0x1E, 0, 0, 0, 1, 0}, allow{0x1E, 0, 0, 0, 0, 0};
    EXPECT_EQ(user().run_from(user().b, prevent).status, Status::kGood);
    EXPECT_EQ(run(allow).status, Status::kGood);
    const auto& task = run(start_stop(kEject));
    EXPECT_EQ(task.sense_key(), SenseKey::kIllegalRequest);
    EXPECT_EQ(task.sense_code(), SenseCode::kMediumRemovalPrevented);
    disk().unit().manage(TaskManagementFunction::kItNexusReset, user().b, 0, [](auto) {});
    EXPECT_EQ(run(start_stop(kEject)).status, Status::kGood);
    run(start_stop(kLoad));
    run(prevent);
    EXPECT_EQ(run(start_stop(kEject)).sense_code(), SenseCode::kMediumRemovalPrevented);
    const NexusName preempted[]{user().a.name};
    disk().server().abort_tasks_of(preempted, nullptr, [] {});
    EXPECT_EQ(run(start_stop(kEject)).status, Status::kGood) << "PREEMPT AND ABORT ends it";
    EXPECT_EQ(run({0x1E, 0, 0, 0, 2, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);
}

TEST_F(MaintenanceTest, TheOperatorTakesTheMediumAway) {
    disk().maintenance().set_medium_present(false);
    EXPECT_EQ(ready(), SenseCode::kMediumNotPresent);
    disk().maintenance().set_medium_present(true);
    disk().maintenance().set_medium_present(true);
    EXPECT_EQ(ready(), SenseCode::kNotReadyToReadyChange);
    EXPECT_EQ(ready(), SenseCode::kNoAdditionalSense);
}

TEST_F(MaintenanceTest, ThereAreNoDefects) {
    EXPECT_THAT(read({0x37, 0, 0x1D, 0, 0, 0, 0, 0, 64, 0}), ElementsAre(0, 0x1D, 0, 0));
    EXPECT_THAT(read({0xB7, 0x0D, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0}), ElementsAre(0, 0x0D, 0, 0, 0, 0, 0, 0));
}

TEST_F(MaintenanceTest, StoppingTheUnitWaitsForWhatGoesOnWithoutATask) {
    volume.held = true;
    auto list = std::vector<std::uint8_t>{5, 0, 0, 1, 0xAA}; // five passes
    run(sanitize(kOverwrite | kImmediate, 5), list);
    int stopped = 0;
    for (Nexus* nexus : {&user().a, &user().b}) disk().unit().detach(*nexus, [] {});
    disk().stop([&] { ++stopped; });
    EXPECT_EQ(stopped, 0);
    volume.complete_all();
    EXPECT_EQ(stopped, 1);
    EXPECT_EQ(volume.in_flight(), 0u) << "no further step";
}

TEST_F(MaintenanceTest, AStopWithNothingGoingOnIsDoneAtOnce) {
    int stopped = 0;
    disk().stop([&] { ++stopped; });
    EXPECT_EQ(stopped, 1);
}

TEST_F(MaintenanceTest, StoppingWaitsForAFlushThatWasAnsweredAlready) {
    volume.held = true;
    EXPECT_EQ(run(cdb10(0x35, 0, 0, 0x02)).status, Status::kGood);
    int stopped = 0;
    disk().stop([&] { ++stopped; });
    EXPECT_EQ(stopped, 0);
    volume.complete_all();
    EXPECT_EQ(stopped, 1);
}

} // namespace
} // namespace touka::scsi
