#include <gtest/gtest.h>

#include "scsi/iscsi/test_initiator.hpp"

namespace touka::scsi::iscsi {

using namespace spec::iscsi;

namespace {

int manage(TestInitiator& initiator, TaskFunction function, std::uint32_t referenced = kReservedTag,
           std::uint64_t lun = 0) {
    auto header = initiator.immediate_request(Opcode::kTaskManagementRequest,
                                              static_cast<std::uint8_t>(0x80 | static_cast<unsigned>(function)));
    initiator.send(header.set(kReferencedTaskTag, referenced).set(kLun, lun));
    const auto response = initiator.receive();
    if (!response || response->opcode() != Opcode::kTaskManagementResponse) return -1;
    EXPECT_EQ(response->header.task_tag(), header.task_tag());
    return response->header.bytes[2];
}

} // namespace

TEST(IscsiTaskManagement, AbortedTaskHasNoResponse) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    setup.unit.hold = true;
    initiator.send(initiator.read(0, 1));
    EXPECT_EQ(manage(initiator, TaskFunction::kAbortTask, initiator.tag), 0);
    EXPECT_FALSE(initiator.receive());
    EXPECT_EQ(setup.unit.held(), 0u);
    EXPECT_EQ(setup.entity.buffers().used_bytes(), 0u);
}

TEST(IscsiTaskManagement, AnswerWaitsUntilTheUnitLetsTheTaskGo) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    setup.unit.hold = setup.unit.hold_aborted = true;
    initiator.send(initiator.read(0, 1));
    EXPECT_EQ(manage(initiator, TaskFunction::kLogicalUnitReset), -1);
    setup.unit.release();
    const auto response = initiator.receive();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->opcode(), Opcode::kTaskManagementResponse);
    EXPECT_EQ(response->header.bytes[2], 0);
    EXPECT_FALSE(initiator.receive());
}

TEST(IscsiTaskManagement, CommandThatStillCollectsItsDataIsAborted) {
    for (const TaskFunction function : {TaskFunction::kAbortTask, TaskFunction::kAbortTaskSet,
                                        TaskFunction::kLogicalUnitReset, TaskFunction::kTargetWarmReset}) {
        TestSetup setup;
        TestInitiator initiator(setup.entity);
        ASSERT_EQ(initiator.login(), 0);
        initiator.send(initiator.write(0, 8));
        const std::uint32_t tag = initiator.tag;
        const auto r2t = initiator.receive();
        ASSERT_TRUE(r2t);
        EXPECT_EQ(manage(initiator, function, tag), 0);
        EXPECT_EQ(setup.entity.buffers().used_bytes(), 0u);
        initiator.send(TestInitiator::data_out(tag, r2t->header.get32(kTargetTransferTag), 0, 0, true),
                       pattern(4096, 1));
        EXPECT_FALSE(initiator.receive());
        EXPECT_EQ(setup.unit.submitted, 0);
    }
}

TEST(IscsiTaskManagement, AbortInTheSameSegmentFindsTheTask) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    setup.unit.hold = true;
    auto bytes = initiator.encode(initiator.read(0, 1), {});
    const std::uint32_t tag = initiator.tag;
    auto abort = initiator.immediate_request(Opcode::kTaskManagementRequest, 0x81);
    const auto more = initiator.encode(abort.set(kReferencedTaskTag, tag), {});
    bytes.insert(bytes.end(), more.begin(), more.end());
    initiator.send_bytes(bytes);
    EXPECT_EQ(initiator.receive()->header.bytes[2], 0);
    EXPECT_EQ(setup.unit.commits_at_manage, 1) << "the unit has begun with what it is to abort";
}

TEST(IscsiTaskManagement, FunctionsAreAnsweredByWhatThereIs) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    const std::uint64_t nowhere = Lun::from_number(5).value;
    EXPECT_EQ(manage(initiator, TaskFunction::kAbortTask, 4711), 1);
    EXPECT_EQ(manage(initiator, TaskFunction::kLogicalUnitReset, kReservedTag, nowhere), 2);
    EXPECT_EQ(manage(initiator, TaskFunction::kTaskReassign, 4711), 4);
    EXPECT_EQ(manage(initiator, TaskFunction::kClearAca), 5);
    EXPECT_EQ(manage(initiator, TaskFunction(99)), 5);
    EXPECT_EQ(manage(initiator, TaskFunction::kClearTaskSet), 0);
    EXPECT_EQ(manage(initiator, TaskFunction::kQueryTaskSet), 0);
    EXPECT_EQ(manage(initiator, TaskFunction::kQueryAsynchronousEvent), 0);
    EXPECT_EQ(manage(initiator, TaskFunction::kItNexusReset), 0);
    setup.unit.hold = setup.unit.hold_aborted = true;
}

TEST(IscsiTaskManagement, QueryTellsOfATask) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    setup.unit.hold = setup.unit.hold_aborted = true;
    initiator.send(initiator.read(0, 1));
    EXPECT_EQ(manage(initiator, TaskFunction::kQueryTask, initiator.tag), 7);
    setup.unit.release();
}

TEST(IscsiTaskManagement, ColdResetIsAnsweredAndEndsAllSessions) {
    TestSetup setup;
    TestInitiator a(setup.entity), b(setup.entity);
    b.isid = 2;
    ASSERT_EQ(a.login(), 0);
    ASSERT_EQ(b.login(), 0);
    EXPECT_EQ(manage(a, TaskFunction::kTargetColdReset), 0);
    EXPECT_TRUE(a.connection->over());
    EXPECT_TRUE(b.connection->over());
}

TEST(IscsiTaskManagement, ResponsesThatAreReadyGoBeforeTheAnswer) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    initiator.send(initiator.read(0, 1));
    auto header = initiator.immediate_request(Opcode::kTaskManagementRequest, 0x82);
    initiator.send(header);
    EXPECT_EQ(initiator.receive()->opcode(), Opcode::kDataIn);
    EXPECT_EQ(initiator.receive()->opcode(), Opcode::kTaskManagementResponse);
}

} // namespace touka::scsi::iscsi
