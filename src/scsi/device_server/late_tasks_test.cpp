// Aborted tasks that do not end: who is told what, and what the unit does meanwhile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/manual_timers.hpp"
#include "scsi/device_server/primary_commands.hpp"
#include "scsi/device_server/test_server.hpp"

namespace touka::scsi {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using enum TaskManagementFunction;
using enum TaskManagementResponse;

class AStuckTask : public testing::Test, public TestServer {
protected:
    static constexpr std::uint8_t kHoldRead = 0xC1, kWrite = 0xC2, kRead = 0xC3;

    AStuckTask() {
        add_primary_commands(server);
        server.add({.usage = {kHoldRead, 0, 0, 0, 0, 0}, .reservation = reads_only, .execute = [this](Task& task) {
                        started.push_back(&task);
                    }});
        server.add({.usage = {kWrite, 0, 0, 0, 0, 0}, .execute = [this](Task& task) { server.good(task); }});
        server.add({.usage = {kRead, 0, 0, 0, 0, 0}, .reservation = reads_only, .execute = [this](Task& task) {
                        server.good(task);
                    }});
        server.limit_aborts(timers);
    }
    const std::vector<TaskManagementResponse>& manage(TaskManagementFunction function, Nexus& nexus,
                                                      std::uint64_t tag = 0) {
        auto& answers = *answers_.emplace_back(std::make_unique<std::vector<TaskManagementResponse>>());
        server.manage(function, nexus, tag, [&answers](TaskManagementResponse r) { answers.push_back(r); });
        return answers;
    }
    TestTask& hold_read(Nexus& from) { return submit(from, {kHoldRead, 0, 0, 0, 0, 0}); }
    Status status_of(Nexus& from, std::uint8_t code) { return submit(from, {code, 0, 0, 0, 0, 0}).status; }
    void wait_for_the_limit() { timers.advance(kAbortLimitNs); }

    runtime::ManualTimers timers;

private:
    std::deque<std::unique_ptr<std::vector<TaskManagementResponse>>> answers_;
};

TEST_F(AStuckTask, IsGivenUpAndTheFunctionIsCompleteWhenTheTimeIsOver) {
    for (const auto function : {kAbortTask, kAbortTaskSet, kClearTaskSet, kLogicalUnitReset, kItNexusReset}) {
        auto& task = hold(a);
        const auto& answer = manage(function, a, task.tag);
        timers.advance(kAbortLimitNs - 1);
        EXPECT_THAT(answer, IsEmpty());
        timers.advance(1);
        EXPECT_THAT(answer, ElementsAre(kComplete));
        EXPECT_TRUE(task.given_up && task.aborted);
        EXPECT_EQ(task.completions, 0) << "the host still has its memory";
        EXPECT_THAT(manage(kAbortTask, a, task.tag), ElementsAre(kTaskDoesNotExist));
        finish(task);
        EXPECT_EQ(task.completions, 1);
        (void)server.attentions().take(a.name);
        (void)server.attentions().take(b.name);
    }
    EXPECT_EQ(server.counters().given_up_tasks, 5u);
    EXPECT_EQ(server.counters().aborted_tasks, 5u);
}

TEST_F(AStuckTask, OfAGuestsMemoryFailsTheFunctionAndEndsLater) {
    for (const auto function : {kAbortTask, kAbortTaskSet, kClearTaskSet, kLogicalUnitReset, kItNexusReset}) {
        auto& task = hold(a);
        task.own_memory = false;
        const auto& first = manage(function, a, task.tag);
        wait_for_the_limit();
        EXPECT_THAT(first, ElementsAre(kTargetFailure));
        EXPECT_EQ(task.completions, 0);
        const auto& again = manage(function, a, task.tag);
        EXPECT_THAT(again, IsEmpty());
        finish(task);
        EXPECT_THAT(first, ElementsAre(kTargetFailure));
        EXPECT_THAT(again, ElementsAre(kComplete));
        EXPECT_EQ(task.completions, 1);
        EXPECT_TRUE(task.aborted);
        (void)server.attentions().take(a.name);
        (void)server.attentions().take(b.name);
    }
    EXPECT_EQ(server.counters().given_up_tasks, 0u);
}

TEST_F(AStuckTask, LetsTheNexusGoUnlessItsMemoryIsAGuests) {
    auto& own = hold(a);
    auto& guests = hold(b);
    guests.own_memory = false;
    bool a_gone = false, b_gone = false;
    server.detach(a, [&] { a_gone = true; });
    server.detach(b, [&] { b_gone = true; });
    wait_for_the_limit();
    EXPECT_TRUE(a_gone);
    timers.advance(100 * kAbortLimitNs);
    EXPECT_FALSE(b_gone) << "the host may write to the guest's memory";
    EXPECT_FALSE(server.idle());
    finish(guests);
    EXPECT_TRUE(b_gone);
    EXPECT_FALSE(server.idle()) << "the host has a task of the other";
    finish(own);
    EXPECT_TRUE(server.idle());
}

TEST_F(AStuckTask, ThatMayWriteKeepsEverybodyOffTheMediumAndOffNothingElse) {
    auto& task = hold(a);
    manage(kAbortTask, a, task.tag);
    EXPECT_EQ(status_of(b, kWrite), Status::kGood);
    wait_for_the_limit();
    EXPECT_EQ(status_of(b, kWrite), Status::kBusy);
    EXPECT_EQ(status_of(a, kRead), Status::kBusy);
    EXPECT_EQ(status_of(b, 0x00), Status::kGood); // TEST UNIT READY
    EXPECT_EQ(status_of(b, 0x03), Status::kGood); // REQUEST SENSE
    finish(task);
    EXPECT_EQ(status_of(b, kWrite), Status::kGood);
    EXPECT_EQ(status_of(a, kRead), Status::kGood);
}

TEST_F(AStuckTask, OfAGuestsMemoryKeepsEverybodyOffTheMediumToo) {
    auto& task = hold(a);
    task.own_memory = false;
    manage(kAbortTask, a, task.tag);
    wait_for_the_limit();
    EXPECT_EQ(status_of(b, kRead), Status::kBusy);
    finish(task);
    EXPECT_EQ(status_of(b, kRead), Status::kGood);
}

TEST_F(AStuckTask, ThatReadsIsInNobodysWayUntilThereAreTooManyOfThem) {
    std::vector<TestTask*> tasks;
    const auto one_more = [&](std::uint64_t bytes) {
        TestTask& task = hold_read(a);
        task.data_in_limit_bytes = bytes;
        tasks.push_back(&task);
        manage(kAbortTask, a, task.tag);
        wait_for_the_limit();
    };
    for (std::size_t i = 1; i < LateTasks::kLimit; ++i) one_more(512);
    EXPECT_EQ(status_of(a, kWrite), Status::kGood);
    one_more(512);
    EXPECT_EQ(status_of(a, kWrite), Status::kBusy);
    EXPECT_EQ(status_of(a, kRead), Status::kBusy);
    for (TestTask* task : tasks) finish(*task);
    EXPECT_EQ(status_of(a, kWrite), Status::kGood);
    one_more(LateTasks::kLimitBytes);
    EXPECT_EQ(status_of(a, kRead), Status::kBusy);
    finish(*tasks.back());
    EXPECT_EQ(status_of(a, kRead), Status::kGood);
}

TEST_F(AStuckTask, ThatIsOrderedNoLongerHoldsBackThoseBehindIt) {
    auto& ordered = hold(a, TaskAttribute::kOrdered);
    auto& behind = submit(b, {0x00, 0, 0, 0, 0, 0});
    EXPECT_EQ(behind.completions, 0);
    manage(kAbortTask, a, ordered.tag);
    wait_for_the_limit();
    EXPECT_EQ(behind.completions, 1);
    EXPECT_EQ(behind.status, Status::kGood);
    finish(ordered);
}

TEST_F(AStuckTask, ThatAnotherNexusAbortsEndsWithTaskAbortedWhereThatIsTold) { // SPC-5 §7.5.10, TAS
    server.set_task_aborted_status(true);
    auto& task = hold(b);
    const auto& answer = manage(kLogicalUnitReset, a);
    wait_for_the_limit();
    EXPECT_THAT(answer, ElementsAre(kComplete));
    EXPECT_TRUE(task.given_up && !task.aborted);
    EXPECT_EQ(task.status, Status::kTaskAborted);
    finish(task);
}

TEST_F(AStuckTask, IsWaitedForByAllWhoAbortItAndEachHasTimeOfItsOwn) {
    auto& mine = hold(a);
    auto& another = hold(b);
    const auto& first = manage(kAbortTask, a, mine.tag);
    timers.advance(kAbortLimitNs / 2);
    const auto& second = manage(kLogicalUnitReset, b);
    timers.advance(kAbortLimitNs / 2);
    EXPECT_THAT(first, ElementsAre(kComplete));
    EXPECT_THAT(second, IsEmpty());
    EXPECT_FALSE(another.given_up);
    finish(another);
    EXPECT_THAT(second, ElementsAre(kComplete)) << "the other one is given up";
    finish(mine);
    wait_for_the_limit();
    EXPECT_THAT(second, ElementsAre(kComplete));
}

TEST_F(AStuckTask, IsNotWaitedForLongerByThePreemptThatAbortsItEvenWhenThatIsAbortedItself) {
    auto& stuck = hold(b);
    auto& preempt = hold(a);
    bool done = false;
    server.abort_tasks_of(std::vector{b.name}, &preempt, [&] {
        done = true;
        finish(preempt);
    });
    const auto& reset = manage(kLogicalUnitReset, b);
    wait_for_the_limit();
    EXPECT_TRUE(done);
    EXPECT_EQ(preempt.completions, 1);
    EXPECT_THAT(reset, ElementsAre(kComplete));
    EXPECT_EQ(status_of(a, kWrite), Status::kCheckCondition); // the reset's unit attention
    EXPECT_EQ(status_of(a, kWrite), Status::kBusy);
    finish(stuck);
}

TEST_F(AStuckTask, OfAnotherUnitThatWritesHereKeepsEverybodyOffTheMediumOnceItIsLate) {
    auto& copying = hold(a);
    DeviceServer destination;
    destination.add({.usage = {kWrite, 0, 0, 0, 0, 0}, .execute = [&](Task& task) { destination.good(task); }});
    destination.attach(b);
    (void)destination.attentions().take(b.name);
    const auto status = [&] {
        TestTask write(b, {kWrite, 0, 0, 0, 0, 0});
        destination.submit(write);
        return write.status;
    };
    {
        const DeviceServer::ForeignWrite writes(destination, copying);
        EXPECT_EQ(status(), Status::kGood);
        manage(kAbortTask, a, copying.tag);
        wait_for_the_limit();
        EXPECT_EQ(status(), Status::kBusy);
    }
    EXPECT_EQ(status(), Status::kGood);
    finish(copying);
}

TEST_F(AStuckTask, IsNoLongerWaitedForOnceItHasEnded) {
    auto& task = hold(a);
    const auto& answer = manage(kAbortTask, a, task.tag);
    finish(task);
    EXPECT_THAT(answer, ElementsAre(kComplete));
    wait_for_the_limit();
    EXPECT_FALSE(task.given_up);
    EXPECT_EQ(server.counters().given_up_tasks, 0u);
}

} // namespace
} // namespace touka::scsi
