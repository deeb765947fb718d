#include "scsi/device_server/device_server.hpp"

#include <gmock/gmock.h>

#include "scsi/device_server/mode_pages.hpp"
#include "scsi/device_server/primary_commands.hpp"
#include "scsi/device_server/test_server.hpp"

namespace touka::scsi {
namespace {

using enum TaskManagementFunction;
using enum TaskManagementResponse;
using testing::ElementsAre;
using testing::SizeIs;

const std::vector<std::uint8_t> kTestUnitReady{0, 0, 0, 0, 0, 0};

class DeviceServerTest : public testing::Test, public TestServer {
protected:
    DeviceServerTest() { add_primary_commands(server); }
    /// What the function answered; nothing while it has not.
    std::vector<spec::scsi::TaskManagementResponse>& manage(spec::scsi::TaskManagementFunction function, Nexus& nexus,
                                                            std::uint64_t tag = 0) {
        auto& answers = answers_.emplace_back();
        server.manage(function, nexus, tag, [&answers](auto response) { answers.push_back(response); });
        return answers;
    }

private:
    std::deque<std::vector<spec::scsi::TaskManagementResponse>> answers_;
};

struct Refusing final : ReservationPolicy {
    bool conflicts(const NexusName&, ReservationClass command) const override {
        return command == ReservationClass::kChanges;
    }
};

TEST_F(DeviceServerTest, UnknownOperationCodesAndServiceActionsAreToldApart) {
    server.add({.service_action = 1, .usage = {0xA3, 0x1F}, .execute = [](Task&) {}});
    server.add({.service_action = 9, .usage = {0x7F}, .execute = [](Task&) {}});
    EXPECT_EQ(submit(a, {0xFF}).sense_code(), SenseCode::kInvalidCommandOperationCode);
    const auto& action = submit(a, {0xA3, 0x02});
    EXPECT_EQ(action.sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_THAT(action.sense.bytes().subspan(15, 3), ElementsAre(0xCC, 0, 1));
    const auto& variable = submit(a, {0x7F, 0, 0, 0, 0, 0, 0, 0, 0, 1});
    EXPECT_THAT(variable.sense.bytes().subspan(15, 3), ElementsAre(0xCF, 0, 8));
}

TEST_F(DeviceServerTest, BitsThatACommandDoesNotEvaluateAreRefusedByTheirPlace) {
    const auto& task = submit(a, {kHold, 0x03, 0, 0, 0, 0});
    EXPECT_EQ(task.sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_THAT(task.sense.bytes().subspan(15, 3), ElementsAre(0xC9, 0, 1));
    EXPECT_EQ(submit(a, {kHold, 0, 0, 0, 0, 0x04}).sense_key(), SenseKey::kIllegalRequest) << "NACA";
}

TEST_F(DeviceServerTest, ACdbThatIsTooShortIsRefusedAndOneThatIsPaddedIsNot) {
    EXPECT_EQ(submit(a, {kHold, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_TRUE(has_started(submit(a, std::vector<std::uint8_t>{kHold, 0, 0, 0, 0, 0, 0xFF, 0xFF})));
}

TEST_F(DeviceServerTest, AUnitAttentionComesBeforeReservationsAndOnce) {
    const Refusing refusing;
    server.set_reservations(refusing);
    server.attentions().establish(a.name, SenseCode::kPowerOnOccurred);
    EXPECT_EQ(hold(a).sense_code(), SenseCode::kPowerOnOccurred);
    EXPECT_EQ(hold(a).status, Status::kReservationConflict);
    EXPECT_EQ(submit(a, {kHold, 0x02, 0, 0, 0, 0}).status, Status::kReservationConflict) << "before fields of the CDB";
    EXPECT_EQ(server.counters().reservation_conflicts, 2u);
}

TEST_F(DeviceServerTest, ReservationsComeBeforeReadiness) {
    const Refusing refusing;
    server.set_reservations(refusing);
    server.set_readiness([] { return Sense::not_ready(SenseCode::kMediumNotPresent); });
    EXPECT_EQ(hold(a).status, Status::kReservationConflict);
    EXPECT_EQ(submit(a, kTestUnitReady).sense_code(), SenseCode::kMediumNotPresent);
}

TEST_F(DeviceServerTest, RequestSenseTakesAUnitAttentionThenTellsOfReadiness) {
    server.set_readiness([] { return Sense::not_ready(SenseCode::kMediumNotPresent); });
    server.attentions().establish(a.name, SenseCode::kModeParametersChanged);
    const std::vector<std::uint8_t> request_sense{0x03, 0, 0, 0, 252, 0};
    const auto code = [&](const TestTask& task) { return SenseData(task.received()).decode()->code; };
    const auto& first = submit(a, request_sense);
    EXPECT_EQ(first.status, Status::kGood);
    EXPECT_EQ(code(first), SenseCode::kModeParametersChanged);
    EXPECT_FALSE(server.attentions().pending(a.name));
    EXPECT_EQ(code(submit(a, request_sense)), SenseCode::kMediumNotPresent);
    server.set_readiness([] { return std::optional<Sense>(); });
    EXPECT_EQ(code(submit(a, request_sense)), SenseCode::kNoAdditionalSense);
    const auto& descriptor = submit(a, {0x03, 0x01, 0, 0, 252, 0});
    EXPECT_THAT(descriptor.received(), ElementsAre(0x72, 0, 0, 0, 0, 0, 0, 0));
}

TEST_F(DeviceServerTest, SenseGoesOutInTheFormatThatWasChosen) {
    server.set_sense_format(SenseFormat::kDescriptor);
    EXPECT_EQ(submit(a, {0xFF}).sense.bytes()[0], 0x72);
}

TEST_F(DeviceServerTest, AReplyIsCutByAllocationLengthAndByTheInitiatorsBuffer) {
    TestTask small(a, {0x03, 0, 0, 0, 100, 0}, {}, 8);
    server.submit(small);
    EXPECT_THAT(small.received(), SizeIs(8));
    EXPECT_EQ(small.transfer_bytes, 18u);
    TestTask shorter(a, {0x03, 0, 0, 0, 4, 0});
    server.submit(shorter);
    EXPECT_THAT(shorter.received(), SizeIs(4));
    EXPECT_EQ(shorter.transfer_bytes, 4u);
    TestTask none(a, {0x03, 0, 0, 0, 100, 0}, {}, 0);
    server.submit(none);
    EXPECT_EQ(none.status, Status::kGood);
    TestTask without_memory(a, {0x03, 0, 0, 0, 100, 0});
    without_memory.no_memory = true;
    server.submit(without_memory);
    EXPECT_EQ(without_memory.status, Status::kBusy);
}

TEST_F(DeviceServerTest, AbortTaskWaitsForTheTaskInFlight) {
    auto& task = hold(a);
    auto& other = hold(a);
    const auto& answer = manage(kAbortTask, a, task.tag);
    EXPECT_THAT(answer, SizeIs(0));
    finish(task);
    EXPECT_THAT(answer, ElementsAre(kComplete));
    EXPECT_TRUE(task.completed() && task.aborted);
    finish(other);
    EXPECT_FALSE(other.aborted);
    EXPECT_EQ(server.counters().aborted_tasks, 1u);
}

TEST_F(DeviceServerTest, AbortTaskFindsTasksOfItsOwnNexusAlone) {
    auto& task = hold(a);
    EXPECT_THAT(manage(kAbortTask, b, task.tag), ElementsAre(kTaskDoesNotExist));
    EXPECT_THAT(manage(kAbortTask, a, 77), ElementsAre(kTaskDoesNotExist));
    finish(task);
    EXPECT_FALSE(task.aborted);
}

TEST_F(DeviceServerTest, ATaskThatWaitsIsAbortedAtOnce) {
    auto& first = hold(a);
    auto& waiting = hold(a, TaskAttribute::kOrdered);
    EXPECT_THAT(manage(kAbortTask, a, waiting.tag), ElementsAre(kComplete));
    EXPECT_TRUE(waiting.completed() && waiting.aborted);
    finish(first);
    EXPECT_THAT(started, SizeIs(0));
}

TEST_F(DeviceServerTest, AbortTaskSetLeavesOtherNexusesAlone) {
    auto& mine = hold(a);
    auto& another = hold(b);
    auto& waiting = hold(a, TaskAttribute::kOrdered);
    const auto& answer = manage(kAbortTaskSet, a);
    EXPECT_TRUE(waiting.aborted);
    finish(another);
    EXPECT_FALSE(another.aborted);
    EXPECT_THAT(answer, SizeIs(0));
    finish(mine);
    EXPECT_THAT(answer, ElementsAre(kComplete));
}

TEST_F(DeviceServerTest, NothingThatWasAbortedStartsWhenAPortSubmitsFromACompletion) {
    auto& another = hold(b);
    auto& ordered = hold(a, TaskAttribute::kOrdered); // waits for the other nexus's task
    auto& behind = hold(a);                           // waits for the ordered one alone
    TestTask* fresh = nullptr;
    ordered.on_complete = [&](TestTask&) { fresh = &hold(a); };
    EXPECT_THAT(manage(kAbortTaskSet, a), ElementsAre(kComplete));
    EXPECT_TRUE(ordered.aborted && behind.completed() && behind.aborted);
    EXPECT_THAT(started, ElementsAre(&another, fresh));
    finish(*fresh);
    EXPECT_FALSE(fresh->aborted);
}

TEST_F(DeviceServerTest, AnAbortWithinTheCompletionOfAnAbortedTaskIsNoTrouble) {
    auto& first = hold(a);
    auto& second = hold(a, TaskAttribute::kOrdered);
    auto& third = hold(a, TaskAttribute::kOrdered);
    second.on_complete = [&](TestTask&) { manage(kClearTaskSet, b); };
    const auto& answer = manage(kAbortTaskSet, a);
    EXPECT_TRUE(third.completed());
    finish(first);
    EXPECT_THAT(answer, ElementsAre(kComplete));
}

TEST_F(DeviceServerTest, ClearTaskSetEndsEverythingAndTellsTheOthers) {
    auto& mine = hold(a);
    auto& another = hold(b);
    const auto& answer = manage(kClearTaskSet, a);
    finish(mine);
    EXPECT_THAT(answer, SizeIs(0));
    finish(another);
    EXPECT_THAT(answer, ElementsAre(kComplete));
    EXPECT_TRUE(mine.aborted && another.aborted);
    EXPECT_FALSE(server.attentions().pending(a.name));
    EXPECT_EQ(server.attentions().take(b.name), SenseCode::kCommandsClearedByAnotherInitiator);
}

TEST_F(DeviceServerTest, WithTasTheTasksOfOthersEndWithTaskAborted) { // SPC-5 §7.5.10
    server.set_task_aborted_status(true);
    auto& mine = hold(a);
    auto& another = hold(b);
    auto& waiting = hold(b, TaskAttribute::kOrdered);
    manage(kClearTaskSet, a);
    finish(mine);
    finish(another);
    EXPECT_TRUE(mine.aborted);
    for (const TestTask* task : {&another, &waiting}) {
        EXPECT_TRUE(task->completed());
        EXPECT_FALSE(task->aborted);
        EXPECT_EQ(task->status, Status::kTaskAborted);
    }
    EXPECT_FALSE(server.attentions().pending(b.name));
}

TEST_F(DeviceServerTest, ALogicalUnitResetEndsEverythingAndTellsEveryNexus) {
    struct Observer final : UnitEvents {
        void logical_unit_reset() override { ++resets; }
        int resets = 0;
    } observer;
    server.add_observer(observer);
    auto& mine = hold(a);
    auto& another = hold(b);
    const auto& answer = manage(kLogicalUnitReset, a);
    EXPECT_EQ(observer.resets, 1);
    finish(mine);
    finish(another);
    EXPECT_THAT(answer, ElementsAre(kComplete));
    EXPECT_TRUE(mine.aborted && another.aborted);
    EXPECT_EQ(server.attentions().take(a.name), SenseCode::kBusDeviceResetFunctionOccurred);
    EXPECT_EQ(server.attentions().take(b.name), SenseCode::kBusDeviceResetFunctionOccurred);
}

TEST_F(DeviceServerTest, ANexusResetConcernsThatNexusAlone) {
    struct Observer final : UnitEvents {
        void nexus_lost(const NexusName& name) override { lost.push_back(name); }
        std::vector<NexusName> lost;
    } observer;
    server.add_observer(observer);
    auto& mine = hold(a);
    auto& another = hold(b);
    const auto& answer = manage(kItNexusReset, a);
    finish(mine);
    finish(another);
    EXPECT_THAT(answer, ElementsAre(kComplete));
    EXPECT_TRUE(mine.aborted);
    EXPECT_FALSE(another.aborted);
    EXPECT_THAT(observer.lost, ElementsAre(a.name));
    EXPECT_EQ(server.attentions().take(a.name), SenseCode::kNexusLossOccurred);
}

TEST_F(DeviceServerTest, QueriesTellWhatThereIs) {
    auto& task = hold(a);
    EXPECT_THAT(manage(kQueryTask, a, task.tag), ElementsAre(kSucceeded));
    EXPECT_THAT(manage(kQueryTask, b, task.tag), ElementsAre(kComplete));
    EXPECT_THAT(manage(kQueryTaskSet, a), ElementsAre(kSucceeded));
    EXPECT_THAT(manage(kQueryTaskSet, b), ElementsAre(kComplete));
    EXPECT_THAT(manage(kQueryAsynchronousEvent, a), ElementsAre(kComplete));
    server.attentions().establish(a.name, SenseCode::kModeParametersChanged);
    EXPECT_THAT(manage(kQueryAsynchronousEvent, a), ElementsAre(kSucceeded));
    EXPECT_THAT(manage(kClearAca, a), ElementsAre(kRejected));
    finish(task);
}

TEST_F(DeviceServerTest, DetachingWaitsForTheTasksOfTheNexus) {
    auto& mine = hold(a);
    int detached = 0;
    server.detach(a, [&] { ++detached; });
    EXPECT_EQ(detached, 0);
    finish(mine);
    EXPECT_EQ(detached, 1);
    EXPECT_TRUE(mine.aborted);
    EXPECT_FALSE(server.attentions().pending(a.name));
}

TEST_F(DeviceServerTest, TwoFunctionsCanWaitForTheSameTask) {
    auto& task = hold(a);
    const auto& first = manage(kAbortTask, a, task.tag);
    const auto& second = manage(kLogicalUnitReset, b);
    finish(task);
    EXPECT_THAT(first, ElementsAre(kComplete));
    EXPECT_THAT(second, ElementsAre(kComplete));
    EXPECT_EQ(task.completions, 1);
}

TEST_F(DeviceServerTest, SendDiagnosticKnowsTheSelfTestAlone) {
    EXPECT_EQ(submit(a, {0x1D, 0x04, 0, 0, 0, 0}).status, Status::kGood);
    EXPECT_EQ(submit(a, {0x1D, 0x04, 0, 0, 4, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);
}

TEST(UnitAttentions, ComeInTheirOrderAndOnce) {
    UnitAttentions attentions;
    const NexusName nexus{{spec::scsi::ProtocolIdentifier::kIscsi, "iqn.a"}, 1};
    attentions.establish(nexus, SenseCode::kModeParametersChanged);
    EXPECT_FALSE(attentions.pending(nexus)) << "not attached";
    attentions.attach(nexus, SenseCode::kPowerOnOccurred);
    attentions.establish(nexus, SenseCode::kModeParametersChanged);
    attentions.establish(nexus, SenseCode::kCapacityDataHasChanged);
    attentions.establish(nexus, SenseCode::kModeParametersChanged);
    attentions.clear(nexus, SenseCode::kCapacityDataHasChanged);
    EXPECT_EQ(attentions.take(nexus), SenseCode::kPowerOnOccurred);
    EXPECT_EQ(attentions.take(nexus), SenseCode::kModeParametersChanged);
    EXPECT_FALSE(attentions.take(nexus));
    attentions.establish_for_others(&nexus, SenseCode::kModeParametersChanged);
    EXPECT_FALSE(attentions.pending(nexus));
    attentions.establish_for_others(nullptr, SenseCode::kModeParametersChanged);
    attentions.replace_all(SenseCode::kBusDeviceResetFunctionOccurred);
    EXPECT_EQ(attentions.take(nexus), SenseCode::kBusDeviceResetFunctionOccurred);
    EXPECT_FALSE(attentions.pending(nexus));
}

} // namespace
} // namespace touka::scsi
