#pragma once

#include <cstddef>
#include <functional>

#include "scsi/task.hpp"

namespace touka::scsi {

/// The tasks of one logical unit from their arrival to their end, in order; decides which may start. One task set for
/// all nexuses (TST 000b). (SAM-6 §8)
class TaskSet {
public:
    /// Takes the task in. Those that may start then are reported by `next_startable`.
    void add(Task& task);
    /// The oldest task that may start and has not: head of queue ones at once; others when no head of queue one is
    /// left, and nothing older (ordered) or no older ordered one (simple). (SAM-6 §8.6)
    [[nodiscard]] Task* next_startable();
    void remove(Task& task);

    [[nodiscard]] bool empty() const { return first_ == nullptr; }
    [[nodiscard]] std::size_t size() const { return size_; }
    /// The oldest task that waits and was aborted; null: none.
    [[nodiscard]] Task* next_aborted_waiting() const {
        for (Task* task = waiting_ > 0 ? first_ : nullptr; task != nullptr; task = task->link.next) {
            if (task->link.abort_requested && !task->link.started) return task;
        }
        return nullptr;
    }
    /// Calls `visit` for each task, oldest first; it may remove that task.
    template <class Visit>
    void for_each(Visit visit) {
        for (Task* task = first_; task != nullptr;) {
            Task* const next = task->link.next;
            visit(*task);
            task = next;
        }
    }

private:
    Task* first_ = nullptr;
    Task* last_ = nullptr;
    std::size_t size_ = 0;
    std::size_t waiting_ = 0;  // not started
    std::size_t barriers_ = 0; // ordered or head of queue, started or not
    std::size_t heads_ = 0;    // head of queue, started or not
};

} // namespace touka::scsi
