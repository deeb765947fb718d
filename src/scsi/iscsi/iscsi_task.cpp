#include "scsi/iscsi/iscsi_task.hpp"

#include <cassert>
#include <utility>

#include "scsi/iscsi/connection.hpp"
#include "scsi/iscsi/task_store.hpp"

namespace touka::scsi::iscsi {

std::span<const iovec> IscsiTask::data_in(std::uint64_t bytes) {
    assert(bytes <= data_in_limit_bytes);
    if (bytes == 0 || bytes > data_in_limit_bytes) return {};
    if (buffer.size() < bytes) {
        if (connection == nullptr) return {};
        connection->give_back_buffer(*this);
        if (!connection->take_buffer(*this, bytes)) return {};
    }
    piece = {buffer.data(), bytes};
    return {&piece, 1};
}

void IscsiTask::complete() {
    if (connection != nullptr) return connection->completed(*this);
    const auto last = std::exchange(store, nullptr); // it may be what is left of the network entity, and go now
    last->buffers.give_back(std::exchange(buffer, {}));
    last->tasks.give_back(*this);
}

bool IscsiTask::give_up() {
    connection->give_up(*this);
    return true;
}

void IscsiTask::output_done() { connection->release(*this); }

void IscsiTask::reset(Connection& owner) {
    assert(buffer.empty() && store == nullptr);
    clear_response();
    connection = &owner;
    next = nullptr;
    nexus = nullptr;
    last_nexus.reset();
    data_out = {};
    data_out_bytes = data_in_limit_bytes = 0;
    piece = {};
    with_unit = unsolicited_open = refused = false;
    wanted_bytes = arrived_bytes = solicited_bytes = next_data_sn = r2t_sn = 0;
    first_burst = burst_count = 0;
    sent_bytes = data_sn = 0;
}

IscsiTask& TaskPool::take() {
    if (free_ == nullptr) return *all_.emplace_back(std::make_unique<IscsiTask>());
    IscsiTask* const task = free_;
    free_ = task->next;
    return *task;
}

void TaskPool::give_back(IscsiTask& task) {
    task.connection = nullptr;
    task.next = free_;
    free_ = &task;
}

IscsiTask* TaskTable::find(std::uint32_t tag) const {
    IscsiTask* task = buckets_[bucket(tag)];
    while (task != nullptr && task->tag != tag) task = task->next;
    return task;
}

void TaskTable::add(IscsiTask& task) {
    IscsiTask*& first = buckets_[bucket(task.tag)];
    task.next = first;
    first = &task;
}

void TaskTable::remove(IscsiTask& task) {
    IscsiTask** link = &buckets_[bucket(task.tag)];
    while (*link != &task) {
        assert(*link != nullptr);
        link = &(*link)->next;
    }
    *link = task.next;
    task.next = nullptr;
}

} // namespace touka::scsi::iscsi
