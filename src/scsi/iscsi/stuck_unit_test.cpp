// Sessions with a unit whose volume does not answer, beside another one that does.
#include <gtest/gtest.h>

#include "scsi/disk/disk_unit.hpp"
#include "scsi/iscsi/test_initiator.hpp"
#include "storage/memory_volume.hpp"

namespace touka::scsi::iscsi {

using namespace spec::iscsi;

namespace {

constexpr std::uint8_t kBusy = 0x08, kTaskAborted = 0x40, kComplete = 0, kTaskDoesNotExist = 1;

class AStuckUnit : public testing::Test {
protected:
    AStuckUnit() {
        disk.server().limit_aborts(timers);
        policy.mapped = {{Lun::from_number(0), &disk.unit()}, {Lun::from_number(1), &other}};
        entity->set_portal_address(0, "0.0.0.0:3260");
        entity->set_targets({{.name = "iqn.2026-01.test:target",
                              .target = &*target,
                              .portals = {{.portal = 0, .group_tag = 1, .relative_port = 1}},
                              .alias = {}}});
    }
    ~AStuckUnit() override { volume.complete_all(); }

    /// Logs in and takes the unit attention, which the volume knows nothing of.
    void log_in(TestInitiator& initiator) {
        ASSERT_EQ(initiator.login(), 0);
        take_attention(initiator);
        volume.held = true;
    }
    static void take_attention(TestInitiator& initiator) {
        initiator.send(initiator.command(0x00, 0, 0, 0x81, 0));
        ASSERT_TRUE(initiator.receive());
    }
    static void send_write(TestInitiator& initiator, std::uint8_t value) {
        initiator.send(initiator.write(8, 1), std::vector<std::uint8_t>(512, value)); // immediate data
    }
    /// @return the tag that its response has.
    static std::uint32_t send_management(TestInitiator& initiator, TaskFunction function, std::uint32_t referenced) {
        auto header = initiator.immediate_request(Opcode::kTaskManagementRequest,
                                                  static_cast<std::uint8_t>(0x80 | static_cast<unsigned>(function)));
        initiator.send(header.set(kReferencedTaskTag, referenced));
        return initiator.tag;
    }
    static void expect_answer(TestInitiator& initiator, std::uint32_t tag, std::uint8_t answer) {
        const auto response = initiator.receive();
        ASSERT_TRUE(response);
        EXPECT_EQ(response->opcode(), Opcode::kTaskManagementResponse);
        EXPECT_EQ(response->header.task_tag(), tag);
        EXPECT_EQ(response->header.bytes[2], answer);
    }
    /// The status of the response that is there.
    static int status(TestInitiator& initiator) {
        const auto response = initiator.receive();
        if (!response || response->opcode() != Opcode::kScsiResponse) return -1;
        return response->header.bytes[3];
    }
    static bool other_unit_answers(TestInitiator& initiator) {
        initiator.send(initiator.read(0, 1).set(kLun, Lun::from_number(1).value));
        const auto response = initiator.receive();
        return response && response->opcode() == Opcode::kDataIn && response->data.size() == 512;
    }
    [[nodiscard]] std::uint8_t on_medium() const { return static_cast<std::uint8_t>(volume.bytes[8 * 512]); }
    void wait_for_the_limit() { timers.advance(kAbortLimitNs); }

    runtime::ManualTimers timers;
    storage::MemoryVolume volume{1 << 20};
    DiskUnit disk{volume, {.identity = {.product = "DISK", .revision = "1", .serial = "1"}, .ports = {}}};
    RamUnit other{2048};
    std::optional<Target> target{std::in_place};
    TestPolicy policy;
    EntityOptions options{.connection_memory_bytes = 8192};
    std::optional<NetworkEntity> entity{std::in_place, timers, policy, options};
};

TEST_F(AStuckUnit, IsAbortedInBoundedTimeWhileAnotherGoesOn) {
    for (const TaskFunction function :
         {TaskFunction::kAbortTask, TaskFunction::kAbortTaskSet, TaskFunction::kClearTaskSet,
          TaskFunction::kLogicalUnitReset, TaskFunction::kTargetWarmReset, TaskFunction::kItNexusReset}) {
        TestInitiator initiator(*entity);
        volume.held = false;
        log_in(initiator);
        initiator.send(initiator.read(0, 8));
        const std::uint32_t stuck = initiator.tag;
        const std::uint32_t tag = send_management(initiator, function, stuck);
        EXPECT_TRUE(other_unit_answers(initiator) || other_unit_answers(initiator)) << "but for a unit attention";
        timers.advance(kAbortLimitNs - 1);
        EXPECT_FALSE(initiator.receive());
        timers.advance(1);
        expect_answer(initiator, tag, kComplete);
        EXPECT_TRUE(other_unit_answers(initiator));
        const std::uint32_t again = send_management(initiator, TaskFunction::kAbortTask, stuck);
        expect_answer(initiator, again, kTaskDoesNotExist);
        EXPECT_GT(entity->buffers().used_bytes(), 0u) << "the host may still fill it";
        volume.complete_all();
        EXPECT_FALSE(initiator.receive());
        EXPECT_EQ(entity->buffers().used_bytes(), 0u);
    }
}

TEST_F(AStuckUnit, LeavesTagWindowAndMemoryOfWhatWasGivenUpToTheInitiator) {
    TestInitiator initiator(*entity);
    log_in(initiator);
    const std::uint32_t depth = entity->options().queue_depth;
    initiator.send(initiator.read(0, 8));
    const std::uint32_t stuck = initiator.tag;
    send_management(initiator, TaskFunction::kAbortTask, stuck);
    wait_for_the_limit();
    const auto answer = initiator.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->header.get32(kMaxCmdSn), initiator.cmd_sn - 1 + depth);
    initiator.tag = stuck - 1;
    EXPECT_TRUE(other_unit_answers(initiator)) << "with the same tag";
    initiator.send(initiator.read(0, 16).set(kLun, Lun::from_number(1).value)); // which takes all of it
    EXPECT_EQ(initiator.receive()->opcode(), Opcode::kDataIn);
    volume.complete_all();
    EXPECT_FALSE(initiator.receive());
}

TEST_F(AStuckUnit, LetsNobodyWriteBeforeWhatMayStillBeWritten) {
    TestInitiator initiator(*entity);
    log_in(initiator);
    send_write(initiator, 0xA1);
    const std::uint32_t tag = send_management(initiator, TaskFunction::kAbortTask, initiator.tag);
    wait_for_the_limit();
    expect_answer(initiator, tag, kComplete);
    send_write(initiator, 0xB2);
    EXPECT_EQ(status(initiator), kBusy);
    initiator.send(initiator.command(0x00, 0, 0, 0x81, 0));
    EXPECT_EQ(status(initiator), 0) << "TEST UNIT READY";
    volume.held = false;
    volume.complete_all();
    EXPECT_EQ(on_medium(), 0xA1);
    send_write(initiator, 0xB2);
    EXPECT_EQ(status(initiator), 0);
    EXPECT_EQ(on_medium(), 0xB2);
}

TEST_F(AStuckUnit, DoesNotKeepASessionThatEnds) {
    TestInitiator initiator(*entity);
    log_in(initiator);
    initiator.send(initiator.read(0, 8));
    send_write(initiator, 0xA1);
    initiator.disconnect();
    entity->collect();
    EXPECT_EQ(disk.server().attentions().attached().size(), 0u);
    EXPECT_FALSE(disk.server().idle());
    wait_for_the_limit();
    entity->collect();
    EXPECT_EQ(other.nexuses, 0);
    EXPECT_GT(entity->buffers().used_bytes(), 0u);
    TestInitiator fresh(*entity);
    EXPECT_EQ(fresh.login(), 0);
    EXPECT_TRUE(other_unit_answers(fresh));
    volume.complete_all();
    EXPECT_EQ(on_medium(), 0xA1);
    EXPECT_EQ(entity->buffers().used_bytes(), 0u);
    EXPECT_FALSE(fresh.receive());
}

TEST_F(AStuckUnit, DoesNotKeepAnInitiatorFromLoggingInAgain) {
    TestInitiator old(*entity), fresh(*entity);
    log_in(old);
    old.send(old.read(0, 8));
    EXPECT_EQ(fresh.login(), 0xFFFF) << "not yet";
    wait_for_the_limit();
    const auto response = fresh.receive();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->login_status(), 0);
    EXPECT_TRUE(other_unit_answers(fresh));
    volume.complete_all();
    EXPECT_FALSE(fresh.receive());
}

TEST_F(AStuckUnit, DoesNotKeepTheTargetFromClosingAndMayAnswerWhenAllElseHasGone) {
    std::optional<TestInitiator> initiator(std::in_place, *entity);
    log_in(*initiator);
    initiator->send(initiator->read(0, 8));
    send_write(*initiator, 0xA1);
    bool done = false;
    entity->shut_down(1, [&] { done = true; });
    timers.advance(2'000'000'000);
    initiator->disconnect();
    entity->collect();
    EXPECT_FALSE(done);
    wait_for_the_limit();
    entity->collect();
    EXPECT_TRUE(done);
    initiator.reset();
    entity.reset();
    target.reset();
    volume.complete_all(); // into and from memory that nobody else has
    EXPECT_EQ(on_medium(), 0xA1);
    EXPECT_TRUE(disk.server().idle());
    EXPECT_EQ(disk.server().counters().given_up_tasks, 2u);
}

TEST_F(AStuckUnit, TellsAnotherInitiatorsCommandsThatTheyWereAborted) { // SPC-5 §7.5.10, TAS
    disk.server().set_task_aborted_status(true);
    TestInitiator a(*entity), b(*entity);
    b.isid = 2;
    log_in(a);
    volume.held = false;
    log_in(b);
    a.send(a.read(0, 8));
    const std::uint32_t stuck = a.tag;
    const std::uint32_t tag = send_management(b, TaskFunction::kLogicalUnitReset, kReservedTag);
    wait_for_the_limit();
    expect_answer(b, tag, kComplete);
    const auto response = a.receive();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->opcode(), Opcode::kScsiResponse);
    EXPECT_EQ(response->header.bytes[3], kTaskAborted);
    EXPECT_EQ(response->header.task_tag(), stuck);
    EXPECT_TRUE(response->data.empty());
    volume.complete_all();
    EXPECT_FALSE(a.receive());
}

TEST_F(AStuckUnit, GivesCommandsThatWantMemoryAfterTheyWereGivenUpNone) {
    TestInitiator initiator(*entity);
    log_in(initiator);
    initiator.send(initiator.command(0x28, 0, 8, 0xC1, 512)); // more than the initiator takes: read aside first
    const std::uint32_t tag = send_management(initiator, TaskFunction::kAbortTask, initiator.tag);
    wait_for_the_limit();
    expect_answer(initiator, tag, kComplete);
    volume.complete_all();
    EXPECT_FALSE(initiator.receive());
    EXPECT_TRUE(other_unit_answers(initiator));
}

} // namespace
} // namespace touka::scsi::iscsi
