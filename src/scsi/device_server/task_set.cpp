#include "scsi/device_server/task_set.hpp"

namespace touka::scsi {

namespace {

bool is_barrier(const Task& task) { return task.attribute != TaskAttribute::kSimple; }
bool is_head(const Task& task) { return task.attribute == TaskAttribute::kHeadOfQueue; }

} // namespace

void TaskSet::add(Task& task) {
    task.link = {};
    task.link.previous = last_;
    (last_ != nullptr ? last_->link.next : first_) = &task;
    last_ = &task;
    ++size_;
    ++waiting_;
    if (is_barrier(task)) ++barriers_;
    if (is_head(task)) ++heads_;
}

Task* TaskSet::next_startable() {
    if (waiting_ == 0) return nullptr;
    bool older_left = false, barrier_left = false;
    Task* startable = nullptr;
    // Without barriers, as nearly always, what was added last is what waits.
    for (Task* task = barriers_ == 0 && waiting_ == 1 ? last_ : first_; task != nullptr; task = task->link.next) {
        if (!task->link.started) {
            if (is_head(*task)) {
                startable = task;
                break;
            }
            const bool blocked = heads_ > 0 || (is_barrier(*task) ? older_left : barrier_left);
            if (!blocked && startable == nullptr) startable = task;
        }
        older_left = true;
        barrier_left = barrier_left || is_barrier(*task);
    }
    if (startable == nullptr) return nullptr;
    startable->link.started = true;
    --waiting_;
    return startable;
}

void TaskSet::remove(Task& task) {
    (task.link.previous != nullptr ? task.link.previous->link.next : first_) = task.link.next;
    (task.link.next != nullptr ? task.link.next->link.previous : last_) = task.link.previous;
    --size_;
    if (!task.link.started) --waiting_;
    if (is_barrier(task)) --barriers_;
    if (is_head(task)) --heads_;
}

} // namespace touka::scsi
