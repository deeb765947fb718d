#include "scsi/copy/copy_manager.hpp"

#include <gmock/gmock.h>

#include <map>

#include "runtime/manual_timers.hpp"
#include "scsi/copy/copy_list_builder.hpp"
#include "scsi/disk/test_disk.hpp"
#include "storage/faulty_block_device.hpp"

namespace touka::scsi {
namespace {

using spec::scsi::ListIdUsage;
using spec::scsi::load_number;
using storage::BlockStatus;
using testing::ElementsAre;
using testing::SizeIs;

constexpr std::uint8_t kStatus = 0x00, kParameters = 0x03, kDetails = 0x04;
const std::uint64_t kNaaOne = derive_naa("one"), kNaaTwo = derive_naa("two");

struct Directory final : CopyDirectory {
    [[nodiscard]] std::optional<CopyEndpoint> find(std::uint64_t naa) const override {
        const auto found = units.find(naa);
        return found == units.end() ? std::nullopt : std::optional(found->second);
    }
    std::map<std::uint64_t, CopyEndpoint> units;
};

struct Refusing final : ReservationPolicy {
    bool conflicts(const NexusName&, ReservationClass command) const override { return command == refused; }
    ReservationClass refused = ReservationClass::kExempt;
};

DiskOptions options(std::uint64_t naa) {
    auto made = test_disk_options();
    made.identity.naa = naa;
    return made;
}

/// Two disks, of which the first has the copy manager.
class CopyTest : public testing::Test {
protected:
    static constexpr std::uint64_t kBlocks = TestDisk::kBlocks;

    CopyTest() {
        connect();
        manager.emplace(one.disk(), directory);
    }
    void connect() {
        directory.units = {{kNaaOne, {&one.disk().unit(), &one.disk().core()}},
                           {kNaaTwo, {&two.disk().unit(), &two.disk().core()}}};
        one.user().a.units = {{Lun::from_number(0), &one.disk().unit()}, {Lun::from_number(1), &two.disk().unit()}};
    }
    TestTask& copy(const std::vector<CopySegment>& segments, std::uint8_t identifier = 1,
                   ListIdUsage usage = ListIdUsage::kHold) {
        return send(copy_list(identifier, {copy_target(kNaaOne), copy_target(kNaaTwo)}, segments, usage));
    }
    TestTask& send(std::vector<std::uint8_t> list) {
        const auto cdb = extended_copy_cdb(list.size());
        return one.run(cdb, std::move(list));
    }
    TestTask& receive(std::uint8_t action, std::uint8_t identifier, std::uint32_t allocation_length = 1024) {
        return one.run(receive_copy_cdb(action, identifier, allocation_length));
    }
    void complete_all() {
        while (one.volume.in_flight() + two.volume.in_flight() > 0) {
            one.volume.complete_all();
            two.volume.complete_all();
        }
    }
    /// COPY ABORTED with this code and the number of the segment.
    static void expect_aborted(const TestTask& task, SenseCode code, std::uint16_t segment = 0) {
        EXPECT_EQ(task.status, Status::kCheckCondition);
        EXPECT_EQ(task.sense_key(), SenseKey::kCopyAborted);
        EXPECT_EQ(task.sense_code(), code);
        EXPECT_EQ(load_number(task.sense.bytes().subspan(10, 2)), segment);
    }

    TestDisk one{options(kNaaOne)}, two{options(kNaaTwo)};
    Directory directory;
    std::optional<CopyManager> manager;
    static constexpr CopySegment kThere{
        .source = 0, .destination = 1, .count = 8, .source_lba = 0, .destination_lba = 16};
};

TEST_F(CopyTest, BlocksGoFromUnitToUnit) {
    one.fill(0, 8, 7);
    const auto& task = copy({kThere});
    EXPECT_EQ(task.status, Status::kGood);
    EXPECT_TRUE(two.on_medium(15) == 0 && two.on_medium(16) == 7 && two.on_medium(23, 511) == 7);
    EXPECT_EQ(two.on_medium(24), 0);
}

TEST_F(CopyTest, SegmentsAreCopiedInTheirOrder) {
    one.fill(0, 8, 7);
    const CopySegment back{.source = 1, .destination = 0, .count = 8, .source_lba = 16, .destination_lba = 100};
    EXPECT_EQ(copy({kThere, back}).status, Status::kGood);
    EXPECT_EQ(one.on_medium(107), 7);
}

TEST_F(CopyTest, ASegmentWithinAUnitMayOverlap) {
    for (std::uint64_t lba = 0; lba < 1024; ++lba) one.fill(lba, 1, static_cast<std::uint8_t>(lba % 251));
    const std::vector<std::vector<std::uint8_t>> targets{copy_target(kNaaOne)};
    EXPECT_EQ(send(copy_list(1, targets, {{.count = 1024, .source_lba = 0, .destination_lba = 100}})).status,
              Status::kGood);
    for (std::uint64_t lba = 0; lba < 1024; ++lba) ASSERT_EQ(one.on_medium(lba + 100), lba % 251);
    EXPECT_EQ(send(copy_list(1, targets, {{.count = 1024, .source_lba = 100, .destination_lba = 7}})).status,
              Status::kGood);
    for (std::uint64_t lba = 0; lba < 1024; ++lba) ASSERT_EQ(one.on_medium(lba + 7), lba % 251);
}

TEST_F(CopyTest, LongOverlappingSegmentsAreCopiedFromTheRightEnd) {
    one.volume.bytes.resize(8 << 20);
    one.volume.geometry().size_bytes = 8 << 20;
    manager.reset();
    one.open_again(options(kNaaOne));
    connect();
    manager.emplace(one.disk(), directory);
    const std::uint16_t count = 6000;
    for (std::uint64_t lba = 0; lba < count; ++lba) one.fill(lba, 1, static_cast<std::uint8_t>(lba % 251));
    EXPECT_EQ(send(copy_list(1, {copy_target(kNaaOne)}, {{.count = count, .destination_lba = 500}})).status,
              Status::kGood);
    for (std::uint64_t lba = 0; lba < count; ++lba) ASSERT_EQ(one.on_medium(lba + 500), lba % 251);
}

TEST_F(CopyTest, NothingToDoIsDone) {
    EXPECT_EQ(one.run(extended_copy_cdb(0)).status, Status::kGood);
    EXPECT_EQ(copy({}).status, Status::kGood);
    EXPECT_EQ(copy({{.destination = 1, .count = 0}}).status, Status::kGood);
}

TEST_F(CopyTest, ListsOfWrongLengthAreRefused) {
    EXPECT_EQ(one.run(extended_copy_cdb(100), std::vector<std::uint8_t>(50)).sense_code(),
              SenseCode::kParameterListLengthError);
    EXPECT_EQ(one.run(extended_copy_cdb(0xFFFF'FFFF), std::vector<std::uint8_t>(50)).sense_code(),
              SenseCode::kParameterListLengthError);
    EXPECT_EQ(one.run(extended_copy_cdb(15), std::vector<std::uint8_t>(15)).sense_code(),
              SenseCode::kParameterListLengthError);
}

TEST_F(CopyTest, UnitsThatCannotBeReachedAbortTheCopy) {
    expect_aborted(copy({kThere, {.source = 0, .destination = 2}}), SenseCode::kCopyTargetDeviceNotReachable, 1);
    expect_aborted(send(copy_list(1, {copy_target(0)}, {{}})), SenseCode::kCopyTargetDeviceNotReachable);
    expect_aborted(send(copy_list(1, {copy_target(derive_naa("none"))}, {{}})),
                   SenseCode::kCopyTargetDeviceNotReachable);
}

TEST_F(CopyTest, UnitsThatTheNexusDoesNotSeeCannotBeReached) {
    two.fill(0, 8, 9);
    one.user().a.units.pop_back();
    expect_aborted(copy({{.source = 1, .destination = 0, .count = 8}}), SenseCode::kCopyTargetDeviceNotReachable);
    EXPECT_EQ(one.on_medium(0), 0);
}

TEST_F(CopyTest, TargetsOfAnotherKindAreRefused) {
    auto tape = copy_target(kNaaOne);
    tape[1] = 0x01;
    expect_aborted(send(copy_list(1, {tape}, {{}})), SenseCode::kIncorrectCopyTargetDeviceType);
    expect_aborted(send(copy_list(1, {copy_target(kNaaOne, 4096)}, {{}})), SenseCode::kInvalidFieldInParameterList);
    EXPECT_EQ(send(copy_list(1, {copy_target(kNaaOne, 0)}, {{}})).status, Status::kGood);
}

TEST_F(CopyTest, DifferentBlocksAreCopiedWhereTheyFit) {
    auto large = options(kNaaTwo);
    large.block_bytes = 4096;
    two.open_again(large);
    connect();
    one.fill(0, 16, 5);
    const std::vector<std::vector<std::uint8_t>> targets{copy_target(kNaaOne), copy_target(kNaaTwo, 4096)};
    CopySegment segment{.source = 0, .destination = 1, .count = 16, .source_lba = 0, .destination_lba = 1};
    EXPECT_EQ(send(copy_list(1, targets, {segment})).status, Status::kGood);
    EXPECT_TRUE(two.on_medium(7) == 0 && two.on_medium(8) == 5 && two.on_medium(23) == 5 && two.on_medium(24) == 0);
    segment.count = 9;
    expect_aborted(send(copy_list(1, targets, {segment})), SenseCode::kUnexpectedInexactSegment);
    segment = {.count_is_destinations = true, .destination = 1, .count = 2, .destination_lba = 100};
    EXPECT_EQ(send(copy_list(1, targets, {segment})).status, Status::kGood);
    EXPECT_EQ(two.on_medium(815), 5);
}

TEST_F(CopyTest, TheAnswerOfSourceOrDestinationIsPassedOn) {
    auto beyond = kThere;
    beyond.destination_lba = kBlocks - 1;
    const auto& task = copy({kThere, beyond});
    expect_aborted(task, SenseCode::kNoAdditionalSense, 1);
    const auto bytes = task.sense.bytes();
    EXPECT_EQ(bytes[0], 0x70) << "INFORMATION is not valid";
    EXPECT_EQ(bytes[7], bytes.size() - 8);
    EXPECT_EQ(bytes[8], 0) << "not the source's";
    ASSERT_EQ(bytes[9], 18) << "where the destination's is";
    EXPECT_EQ(bytes[18], 0x02) << "its status";
    EXPECT_EQ(SenseData(bytes.subspan(19)).decode()->code, SenseCode::kLogicalBlockAddressOutOfRange);
    beyond = kThere;
    beyond.source_lba = kBlocks;
    EXPECT_EQ(copy({beyond}).sense.bytes()[8], 18);
}

TEST_F(CopyTest, InDescriptorFormatItIsForwardedSenseData) {
    one.disk().server().set_sense_format(SenseFormat::kDescriptor);
    auto beyond = kThere;
    beyond.source_lba = kBlocks;
    const auto bytes = copy({kThere, beyond}).sense.bytes();
    EXPECT_THAT(bytes, ElementsAre(0x72, 0x0A, 0x00, 0x00, 0, 0, 0, 24,    //
                                   0x01, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, // the segment
                                   0x0C, 10, 0x01, 0x02, 0x72, 0x05, 0x21, 0x00, 0, 0, 0, 0));
}

TEST_F(CopyTest, ReservationsOfBothUnitsCount) {
    Refusing source, destination;
    one.disk().server().set_reservations(source);
    two.disk().server().set_reservations(destination);
    const CopySegment here{.source = 1, .destination = 1, .count = 1, .destination_lba = 9};
    destination.refused = ReservationClass::kChanges;
    const auto& written = copy({kThere});
    expect_aborted(written, SenseCode::kThirdPartyDeviceFailure);
    EXPECT_EQ(written.sense.bytes()[9], 18);
    EXPECT_THAT(written.sense.bytes().subspan(18), ElementsAre(0x18)) << "RESERVATION CONFLICT, without sense data";
    EXPECT_EQ(copy({{.source = 1, .destination = 0, .count = 1}}).status, Status::kGood) << "reading is allowed";
    destination.refused = ReservationClass::kReads;
    EXPECT_EQ(copy({here}).sense.bytes()[8], 18);
    source.refused = ReservationClass::kChanges;
    EXPECT_EQ(copy({kThere}).status, Status::kReservationConflict) << "of the unit that was asked to copy";
}

TEST_F(CopyTest, WriteProtectionAndReadinessOfBothUnitsCount) {
    two.select_page(0x0A, {0x00, 0x10, 0x08, 0x00, 0, 0, 0xFF, 0xFF, 0, 0});
    const auto inner = [](const TestTask& task) { return SenseData(task.sense.bytes().subspan(19)).decode()->code; };
    EXPECT_EQ(inner(copy({kThere})), SenseCode::kLogicalUnitSoftwareWriteProtected);
    EXPECT_EQ(copy({{.source = 1, .destination = 0, .count = 1}}).status, Status::kGood);
    two.disk().maintenance().set_medium_present(false);
    EXPECT_EQ(inner(copy({{.source = 1, .destination = 0, .count = 1}})), SenseCode::kMediumNotPresent);
}

TEST_F(CopyTest, ErrorsOfTheMediumAreToldFromTheirSide) {
    storage::FaultyBlockDevice faulty(two.volume, 1, BlockStatus::kNoSpace);
    two.open_again(faulty);
    connect();
    const auto& written = copy({kThere});
    EXPECT_EQ(SenseData(written.sense.bytes().subspan(19)).decode()->code,
              SenseCode::kSpaceAllocationFailedWriteProtect);
    EXPECT_EQ(copy({kThere}).status, Status::kGood) << "nothing is held any more";
    storage::FaultyBlockDevice unreadable(two.volume, 1, BlockStatus::kIoError);
    two.open_again(unreadable);
    connect();
    const auto& read = copy({{.source = 1, .destination = 0, .count = 1}});
    EXPECT_EQ(read.sense.bytes()[8], 18);
    EXPECT_EQ(SenseData(read.sense.bytes().subspan(19)).decode()->code, SenseCode::kUnrecoveredReadError);
}

TEST_F(CopyTest, WithoutAWriteCacheCopiesAreStable) {
    copy({kThere});
    EXPECT_FALSE(two.volume.last_force_unit_access);
    two.select_page(0x08, std::vector<std::uint8_t>(18));
    copy({kThere});
    EXPECT_TRUE(two.volume.last_force_unit_access);
}

TEST_F(CopyTest, StatusIsToldWhileItRunsAndOnceAfterwards) {
    EXPECT_EQ(receive(kStatus, 1).sense_code(), SenseCode::kInvalidFieldInCdb) << "no such copy";
    two.volume.held = true;
    auto& task = copy({kThere, kThere});
    EXPECT_THAT(receive(kStatus, 1).received(), ElementsAre(0, 0, 0, 8, 0, 0, 1, 0, 0, 0, 0, 0));
    EXPECT_EQ(copy({kThere}).sense_code(), SenseCode::kOperationInProgress) << "the identifier is in use";
    two.volume.complete_all();
    EXPECT_THAT(receive(kStatus, 1).received(), ElementsAre(0, 0, 0, 8, 0, 0, 2, 0, 0, 0, 0x10, 0));
    complete_all();
    EXPECT_EQ(task.status, Status::kGood);
    EXPECT_THAT(receive(kStatus, 1, 4).received(), SizeIs(4)) << "not told wholly";
    EXPECT_THAT(receive(kStatus, 1).received(), ElementsAre(0, 0, 0, 8, 1, 0, 2, 0, 0, 0, 0x20, 0));
    EXPECT_EQ(receive(kStatus, 1).sense_code(), SenseCode::kInvalidFieldInCdb);
}

TEST_F(CopyTest, FailureDetailsAreToldOnce) {
    auto beyond = kThere;
    beyond.source_lba = kBlocks;
    const auto& task = copy({beyond});
    EXPECT_EQ(receive(kStatus, 1).received()[4], 2);
    const auto data = receive(kDetails, 1).received();
    EXPECT_EQ(load_number(data.first(4)), data.size() - 4);
    EXPECT_EQ(data[56], 0x02);
    EXPECT_EQ(load_number(data.subspan(58, 2)), task.sense.bytes().size());
    EXPECT_TRUE(std::ranges::equal(data.subspan(60), task.sense.bytes()));
    EXPECT_EQ(receive(kDetails, 1).sense_code(), SenseCode::kInvalidFieldInCdb);
    copy({kThere});
    EXPECT_THAT(receive(kDetails, 1).received(), ElementsAre(0, 0, 0, 0)) << "there is none";
}

TEST_F(CopyTest, RecordsBelongToTheirNexusAndGoWithIt) {
    copy({kThere}, 5);
    const auto from_b = [&] { return one.user().run_from(one.user().b, receive_copy_cdb(kStatus, 5)).sense_code(); };
    EXPECT_EQ(from_b(), SenseCode::kInvalidFieldInCdb);
    one.disk().unit().manage(TaskManagementFunction::kItNexusReset, one.user().a, 0, [](auto) {});
    (void)one.run({0, 0, 0, 0, 0, 0});
    EXPECT_EQ(receive(kStatus, 5).sense_code(), SenseCode::kInvalidFieldInCdb);
    copy({kThere}, 5);
    one.disk().server().reset(SenseCode::kBusDeviceResetFunctionOccurred, [] {});
    (void)one.run({0, 0, 0, 0, 0, 0});
    EXPECT_EQ(receive(kStatus, 5).sense_code(), SenseCode::kInvalidFieldInCdb);
}

TEST_F(CopyTest, DiscardedAndUnnamedCopiesLeaveNoRecord) {
    copy({kThere}, 5, ListIdUsage::kDiscard);
    EXPECT_EQ(receive(kStatus, 5).sense_code(), SenseCode::kInvalidFieldInCdb);
    two.volume.held = true;
    auto& first = copy({kThere}, 0, ListIdUsage::kNone);
    auto& second = copy({kThere}, 0, ListIdUsage::kNone);
    EXPECT_EQ(receive(kStatus, 0).sense_code(), SenseCode::kInvalidFieldInCdb);
    complete_all();
    EXPECT_TRUE(first.status == Status::kGood && second.status == Status::kGood);
}

TEST_F(CopyTest, OnlySoManyCopiesRunAtOnce) {
    two.volume.held = true;
    for (std::uint8_t i = 0; i < copy_limit::kConcurrentCopies; ++i) copy({kThere}, i);
    EXPECT_EQ(copy({kThere}, 99).status, Status::kBusy);
    complete_all();
    two.volume.held = false;
    EXPECT_EQ(copy({kThere}, 99).status, Status::kGood);
}

TEST_F(CopyTest, AnAbortedCopyStopsAtItsNextStep) {
    one.volume.held = true;
    one.fill(0, 8, 7);
    auto& task = copy({kThere, kThere});
    bool done = false;
    one.disk().unit().manage(TaskManagementFunction::kLogicalUnitReset, one.user().a, 0, [&](auto) { done = true; });
    EXPECT_FALSE(done);
    one.volume.complete_all();
    EXPECT_TRUE(done && task.aborted);
    EXPECT_EQ(two.on_medium(16), 0);
    EXPECT_EQ(one.volume.in_flight() + two.volume.in_flight(), 0u);
}

TEST_F(CopyTest, ACopyThatWasGivenUpKeepsEverybodyOffTheMediumThatItMayStillWriteTo) {
    runtime::ManualTimers timers;
    one.disk().server().limit_aborts(timers);
    one.fill(0, 8, 7);
    two.volume.held = true;
    auto& task = copy({kThere, kThere});
    one.disk().unit().manage(TaskManagementFunction::kAbortTask, one.user().a, task.tag, [](auto) {});
    EXPECT_FALSE(two.disk().server().medium_blocked());
    timers.advance(kAbortLimitNs);
    EXPECT_TRUE(task.given_up);
    EXPECT_EQ(two.run(cdb10(0x2A, 16, 1), blocks(1, 9)).status, Status::kBusy);
    two.volume.held = false;
    complete_all();
    EXPECT_EQ(task.completions, 1);
    EXPECT_EQ(two.on_medium(16), 7);
    EXPECT_EQ(two.run(cdb10(0x2A, 16, 1), blocks(1, 9)).status, Status::kGood);
    EXPECT_EQ(two.on_medium(16), 9);
}

TEST_F(CopyTest, ACopyKeepsOffAMediumThatATaskMayStillWriteTo) {
    runtime::ManualTimers timers;
    two.disk().server().limit_aborts(timers);
    two.volume.held = true;
    auto& write = two.run(cdb10(0x2A, 16, 1), blocks(1, 9));
    two.disk().unit().manage(TaskManagementFunction::kAbortTask, two.user().a, write.tag, [](auto) {});
    timers.advance(kAbortLimitNs);
    two.volume.held = false;
    expect_aborted(copy({kThere}), SenseCode::kThirdPartyDeviceFailure);
    complete_all();
    EXPECT_EQ(copy({kThere}).status, Status::kGood);
}

TEST_F(CopyTest, ACopyDoesNotComeBetweenCompareAndWrite) {
    one.fill(0, 8, 7);
    two.volume.held = true;
    auto cdb = cdb16(0x89, 16, 0);
    cdb[13] = 1;
    auto data = blocks(1, 0);
    data.resize(1024, 3);
    auto& swap = two.run(cdb, data);
    auto& task = copy({kThere});
    EXPECT_EQ(two.volume.in_flight(), 1u) << "the write of the copy waits";
    complete_all();
    EXPECT_EQ(swap.status, Status::kGood);
    EXPECT_EQ(task.status, Status::kGood);
    EXPECT_EQ(two.on_medium(16), 7);
}

TEST_F(CopyTest, AUnitThatIsStoppedIsLetGoOf) {
    two.volume.held = true;
    auto& task = copy({kThere, kThere});
    int stopped = 0;
    two.disk().stop([&] { ++stopped; });
    EXPECT_EQ(stopped, 0);
    two.volume.complete_all();
    EXPECT_EQ(stopped, 1);
    expect_aborted(task, SenseCode::kCopyTargetDeviceNotReachable, 1);
    expect_aborted(copy({kThere}), SenseCode::kCopyTargetDeviceNotReachable);
}

TEST_F(CopyTest, OperatingParametersSayWhatIsKeptTo) {
    const auto data = receive(kParameters, 0).received();
    ASSERT_THAT(data, SizeIs(46));
    EXPECT_EQ(load_number(data.first(4)), 42u);
    EXPECT_EQ(data[4], 0x01) << "SNLID";
    EXPECT_EQ(load_number(data.subspan(8, 2)), copy_limit::kTargets);
    EXPECT_EQ(load_number(data.subspan(10, 2)), copy_limit::kSegments);
    EXPECT_EQ(load_number(data.subspan(12, 4)), copy_limit::kDescriptorListBytes);
    EXPECT_EQ(data[36], copy_limit::kConcurrentCopies);
    EXPECT_THAT(data.subspan(43), ElementsAre(2, 0x02, 0xE4));
}

TEST_F(CopyTest, InquiryTellsOfTheCopyManager) {
    EXPECT_EQ(one.read({0x12, 0, 0, 0, 255, 0})[5] & 0x08, 0x08) << "3PC";
    EXPECT_EQ(two.read({0x12, 0, 0, 0, 255, 0})[5] & 0x08, 0);
    const auto page = one.read({0x12, 0x01, 0x8F, 0, 255, 0});
    EXPECT_EQ(load_number(std::span(page).subspan(2, 2)), page.size() - 4);
    std::map<std::uint64_t, std::vector<std::uint8_t>> descriptors;
    for (std::size_t at = 4; at < page.size();) {
        const std::size_t length = load_number(std::span(page).subspan(at + 2, 2));
        ASSERT_LE(at + 4 + length, page.size());
        EXPECT_EQ(length % 4, 0u);
        const auto content = std::span(page).subspan(at + 4, length);
        descriptors[load_number(std::span(page).subspan(at, 2))] = {content.begin(), content.end()};
        at += 4 + length;
    }
    EXPECT_THAT(descriptors[0x0001], ElementsAre(8, 0x83, 1, 0, 0x84, 3, 0, 3, 4, 0, 0, 0));
    EXPECT_THAT(descriptors[0x0004], SizeIs(28));
    EXPECT_THAT(descriptors[0x0008], ElementsAre(2, 0x02, 0xE4, 0));
    EXPECT_THAT(descriptors[0x8001], SizeIs(32));
    EXPECT_EQ(one.run({0x83, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}).sense_code(),
              SenseCode::kInvalidFieldInCdb);
}

} // namespace
} // namespace touka::scsi
