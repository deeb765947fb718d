#include "scsi/device_server/task_set.hpp"

#include <gtest/gtest.h>

#include "scsi/device_server/test_server.hpp"

namespace touka::scsi {
namespace {

using enum TaskAttribute;

class TaskOrder : public testing::Test, public TestServer {};

TEST_F(TaskOrder, SimpleTasksStartAtOnce) {
    EXPECT_TRUE(has_started(hold(a)));
    EXPECT_TRUE(has_started(hold(b)));
}

TEST_F(TaskOrder, AnOrderedTaskWaitsForEverythingOlder) {
    auto& first = hold(a);
    auto& second = hold(b);
    auto& ordered = hold(a, kOrdered);
    finish(second);
    EXPECT_FALSE(has_started(ordered));
    finish(first);
    EXPECT_TRUE(has_started(ordered));
}

TEST_F(TaskOrder, SimpleTasksWaitForAnOlderOrderedOne) {
    auto& first = hold(a);
    auto& ordered = hold(a, kOrdered);
    auto& later = hold(b);
    auto& latest = hold(b);
    finish(first);
    EXPECT_FALSE(has_started(later));
    finish(ordered);
    EXPECT_TRUE(has_started(later));
    EXPECT_TRUE(has_started(latest));
}

TEST_F(TaskOrder, AHeadOfQueueTaskOvertakesWhatWaits) {
    auto& first = hold(a);
    auto& ordered = hold(a, kOrdered);
    auto& head = hold(a, kHeadOfQueue);
    EXPECT_TRUE(has_started(head));
    EXPECT_FALSE(has_started(ordered));
    finish(head);
    finish(first);
    EXPECT_TRUE(has_started(ordered));
}

TEST_F(TaskOrder, WhatWaitsWaitsForEveryHeadOfQueueTaskToo) { // SAM-6 §8.6.2, §8.6.3
    auto& first = hold(a);
    auto& ordered = hold(a, kOrdered);
    auto& head = hold(b, kHeadOfQueue);
    finish(first);
    EXPECT_FALSE(has_started(ordered)) << "a younger head of queue task is not over";
    auto& simple = hold(a);
    finish(head);
    EXPECT_TRUE(has_started(ordered));
    EXPECT_FALSE(has_started(simple));
    finish(ordered);
    EXPECT_TRUE(has_started(simple));
}

TEST_F(TaskOrder, SimpleTasksWaitForAHeadOfQueueOne) {
    auto& head = hold(a, kHeadOfQueue);
    auto& simple = hold(b);
    auto& second_head = hold(b, kHeadOfQueue);
    EXPECT_FALSE(has_started(simple));
    EXPECT_TRUE(has_started(second_head));
    finish(head);
    EXPECT_FALSE(has_started(simple));
    finish(second_head);
    EXPECT_TRUE(has_started(simple));
}

TEST_F(TaskOrder, TasksSubmittedFromACompletionStartInTheirOrder) {
    auto& first = hold(a);
    std::vector<TestTask*> later;
    first.on_complete = [&](TestTask&) {
        for (int i = 0; i < 3; ++i) later.push_back(&hold(a));
    };
    finish(first);
    ASSERT_EQ(started.size(), 3u);
    EXPECT_TRUE(std::ranges::equal(started, later));
}

} // namespace
} // namespace touka::scsi
