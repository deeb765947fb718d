#include "scsi/passthrough/iscsi_unit.hpp"

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "scsi/passthrough/iscsi_command.hpp"
#include "spec/scsi/byte_order.hpp"

namespace touka::scsi {

IscsiUnit::IscsiUnit(runtime::Reactor& reactor, const IscsiUnitConfiguration& configuration,
                     IscsiSessionConfiguration session, std::uint16_t lun)
    : reactor_(reactor), policy_(configuration.policy),
      patience_ns_(configuration.patience_ms * std::uint64_t{1'000'000}),
      function_limit_ns_(configuration.function_limit_ms * std::uint64_t{1'000'000}), lun_(lun),
      timer_(reactor.make_timer([this] { on_timer(); })), session_(reactor, std::move(session), *this) {}

IscsiUnit::~IscsiUnit() { session_.close(); }

// --- commands ---

IscsiUnit::Command& IscsiUnit::take_command(Task& task) {
    if (free_.empty()) free_.push_back(commands_.emplace_back(std::make_unique<Command>(Command{.unit = *this})).get());
    Command& command = *free_.back();
    free_.pop_back();
    command.task = &task;
    command.aborted = false;
    return command;
}

void IscsiUnit::submit(Task& task) {
    ++counters_.commands;
    if (!policy_.admit(task)) return;
    const bool both = task.data_out_bytes > 0 && task.data_in_limit_bytes > 0;
    if (both || cdb_length(task.cdb) > SCSI_CDB_MAX_SIZE) return complete_as_unknown_command(task);
    Command& command = take_command(task);
    if (session_.context() != nullptr) return send(command);
    const std::uint64_t now = reactor_.now_ns();
    if (down_since_ns_ && now - *down_since_ns_ >= patience_ns_) return finish_undelivered(command);
    command.deadline_ns = now + patience_ns_;
    waiting_.push_back(&command);
    arm_timer();
}

void IscsiUnit::send(Command& command) {
    Task& task = *command.task;
    constexpr std::uint64_t kLimit = std::numeric_limits<int>::max();
    const bool out = task.data_out_bytes > 0;
    const std::uint64_t length = std::min(kLimit, out ? task.data_out_bytes : task.data_in_limit_bytes);
    const int direction = length == 0 ? SCSI_XFER_NONE : out ? SCSI_XFER_WRITE : SCSI_XFER_READ;
    std::array<std::uint8_t, SCSI_CDB_MAX_SIZE> cdb{};
    const std::size_t cdb_bytes = cdb_length(task.cdb);
    for (std::size_t i = 0; i < cdb_bytes; ++i) cdb[i] = task.cdb[i];
    command.native = scsi_create_task(static_cast<int>(cdb_bytes), cdb.data(), direction, static_cast<int>(length));
    if (command.native == nullptr || (length > 0 && !set_buffers(command, out, length))) {
        release(command);
        task.status = Status::kBusy;
        return task.complete();
    }
    in_flight_.push_back(&command);
    if (iscsi_scsi_command_async(session_.context(), lun_, command.native, &on_command, nullptr, &command) != 0) {
        session_.lose();
        finish(command, SCSI_STATUS_ERROR);
    }
}

bool IscsiUnit::set_buffers(Command& command, bool out, std::uint64_t length) {
    command.buffers.clear();
    const auto from = out ? command.task->data_out : command.task->data_in(length);
    if (from.empty()) return false;
    for (const iovec& buffer : from) command.buffers.push_back({buffer.iov_base, buffer.iov_len});
    const auto count = static_cast<int>(command.buffers.size());
    if (out) {
        scsi_task_set_iov_out(command.native, command.buffers.data(), count);
    } else {
        scsi_task_set_iov_in(command.native, command.buffers.data(), count);
    }
    return true;
}

void IscsiUnit::on_command(iscsi_context*, int status, void*, void* command) {
    auto& ended = *static_cast<Command*>(command);
    ended.unit.finish(ended, status);
}

void IscsiUnit::finish(Command& command, int status) {
    std::erase(in_flight_, &command);
    Task& task = *command.task;
    switch (status) {
        case SCSI_STATUS_CANCELLED:
        case SCSI_STATUS_ERROR:
        case SCSI_STATUS_TIMEOUT:
            if (!command.aborted) {
                // libiscsi cancels what it had when it found the session broken, without saying so to anybody else.
                session_.lose();
                return finish_undelivered(command);
            }
            task.aborted = true;
            break;
        default: take_response(task, *command.native, status); break;
    }
    release(command);
    task.complete();
}

void IscsiUnit::finish_undelivered(Command& command) {
    ++counters_.undelivered;
    Task& task = *command.task;
    release(command);
    complete_undelivered(task);
}

/// As the array gave it; without residual flags all that was expected has been moved. (RFC 7143 §11.4.5)
void IscsiUnit::take_response(Task& task, const scsi_task& native, int status) const {
    task.status = static_cast<Status>(status);
    const auto expected = static_cast<std::uint64_t>(native.expxferlen);
    const std::uint64_t residual = native.residual;
    switch (native.residual_status) {
        case SCSI_RESIDUAL_NO_RESIDUAL: task.transfer_bytes = expected; break;
        case SCSI_RESIDUAL_UNDERFLOW: task.transfer_bytes = expected - std::min(residual, expected); break;
        case SCSI_RESIDUAL_OVERFLOW: task.transfer_bytes = expected + residual; break;
    }
    if (native.xfer_dir == SCSI_XFER_READ) task.data_in_bytes = std::min(task.transfer_bytes, expected);
    // With CHECK CONDITION the "data" are SenseLength and sense data. (RFC 7143 §11.4.7)
    if (task.status != Status::kCheckCondition || native.datain.data == nullptr || native.datain.size < 2) return;
    const std::span<const std::uint8_t> segment(native.datain.data, static_cast<std::size_t>(native.datain.size));
    const std::size_t length = spec::scsi::load_number(segment.first(2));
    task.sense = SenseData(segment.subspan(2, std::min(length, segment.size() - 2)));
}

void IscsiUnit::release(Command& command) {
    command.task = nullptr;
    if (command.native == nullptr) {
        free_.push_back(&command);
        return;
    }
    // Data-Out PDUs of a write that ended early may still be queued, and they point to it.
    retired_.push_back(&command);
    reclaim();
}

void IscsiUnit::reclaim() {
    const bool reads_only = !session_.all_sent();
    std::erase_if(retired_, [&](Command* command) {
        if (reads_only && command->native->xfer_dir == SCSI_XFER_WRITE) return false;
        scsi_free_scsi_task(std::exchange(command->native, nullptr));
        free_.push_back(command);
        return true;
    });
}

// --- the session ---

void IscsiUnit::attach(Nexus& nexus) {
    nexuses_.push_back(&nexus);
    if (nexuses_.size() > 1) return;
    down_since_ns_ = reactor_.now_ns();
    session_.open();
}

void IscsiUnit::detach(Nexus& nexus, std::function<void()> done) {
    std::erase(nexuses_, &nexus);
    for (Command* command : in_flight_) command->aborted = true;
    abort_waiting(
        {.unit = *this, .function = TaskManagementFunction::kAbortTaskSet, .nexus = &nexus, .tag = 0, .done = {}});
    if (nexuses_.empty()) {
        session_.close();
    } else {
        session_.drop();
    }
    when_nothing_is_in_flight(std::move(done));
}

void IscsiUnit::session_up() {
    down_since_ns_.reset();
    for (Command* command : std::exchange(waiting_, {})) {
        if (session_.context() != nullptr) {
            send(*command);
        } else {
            waiting_.push_back(command);
        }
    }
    session_.flush();
}

void IscsiUnit::session_down() {
    down_since_ns_ = reactor_.now_ns();
    reclaim();
    // No task of the old session is left, so whatever a function was to end has ended.
    for (auto& function : std::exchange(functions_, {})) function.done(TaskManagementResponse::kComplete);
    for (const auto& done : std::exchange(after_session_, {})) done();
}

void IscsiUnit::on_timer() {
    const std::uint64_t now = reactor_.now_ns();
    while (!waiting_.empty() && waiting_.front()->deadline_ns <= now) {
        Command& command = *waiting_.front();
        waiting_.pop_front();
        finish_undelivered(command);
    }
    if (!functions_.empty() && functions_.front().deadline_ns <= now) session_.drop();
    arm_timer();
}

void IscsiUnit::arm_timer() {
    std::uint64_t next = std::numeric_limits<std::uint64_t>::max();
    if (!waiting_.empty()) next = waiting_.front()->deadline_ns;
    if (!functions_.empty()) next = std::min(next, functions_.front().deadline_ns);
    if (next != std::numeric_limits<std::uint64_t>::max()) timer_->arm(next);
}

} // namespace touka::scsi
