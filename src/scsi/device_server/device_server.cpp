#include "scsi/device_server/device_server.hpp"

#include <algorithm>
#include <utility>

#include "spec/scsi/operation.hpp"

namespace touka::scsi {

void DeviceServer::submit(Task& task) {
    ++counters_.commands;
    tasks_.add(task);
    start_what_may();
}

/// Starts in a loop, not in recursion: commands that complete at once let the next ones start.
void DeviceServer::start_what_may() {
    if (starting_) return;
    starting_ = true;
    while (Task* const task = tasks_.next_startable()) start(*task);
    starting_ = false;
}

/// The checks in their order of precedence. (SAM-6 §5.3.3 "Status precedence")
void DeviceServer::start(Task& task) {
    const Command* const command = commands_.find(task.cdb.operation_code(), task.cdb.service_action());
    if (command == nullptr || !command->despite_unit_attention) {
        if (const auto code = attentions_.take(task.nexus->name)) return check(task, Sense::unit_attention(*code));
    }
    if (command == nullptr) {
        if (!commands_.has(task.cdb.operation_code())) {
            return check(task, Sense::illegal_request(SenseCode::kInvalidCommandOperationCode));
        }
        const bool variable_length = task.cdb.operation_code() == spec::scsi::operation::kVariableLength;
        return check(task, variable_length ? Sense::invalid_field_in_cdb(8, std::uint8_t{7}) // the service action
                                           : Sense::invalid_field_in_cdb(1, std::uint8_t{4}));
    }
    if (const auto sense = check_gates(task)) return check(task, *sense);
    if (conflicts(task.nexus->name, command->reservation(task.cdb))) {
        return finish(task, Status::kReservationConflict);
    }
    if (const auto sense = CommandSet::check(*command, task.cdb)) return check(task, *sense);
    if (!command->despite_not_ready) {
        if (const auto sense = readiness()) return check(task, *sense);
    }
    if (medium_blocked() && command->accesses_medium(task.cdb)) return finish(task, Status::kBusy);
    command->execute(task);
}

std::optional<Sense> DeviceServer::check_gates(const Task& task) const {
    for (const auto& gate : gates_) {
        if (auto sense = gate(task)) return sense;
    }
    return std::nullopt;
}

bool DeviceServer::conflicts(const NexusName& nexus, ReservationClass command) const {
    return std::ranges::any_of(reservations_,
                               [&](const ReservationPolicy* policy) { return policy->conflicts(nexus, command); });
}

void DeviceServer::check(Task& task, const SenseData& sense) {
    ++counters_.check_conditions;
    task.sense = sense;
    finish(task, Status::kCheckCondition);
}

void DeviceServer::finish(Task& task, Status status) {
    task.status = status;
    if (status == Status::kReservationConflict) ++counters_.reservation_conflicts;
    counters_.data_in_bytes += task.data_in_bytes;
    if (status == Status::kGood && task.data_in_bytes == 0) {
        counters_.data_out_bytes += std::min(task.data_out_bytes, task.transfer_bytes);
    }
    release(task);
    start_what_may();
}

void DeviceServer::reply(Task& task, std::span<const std::uint8_t> data, std::uint64_t allocation_length) {
    finish(task, put_parameter_data(task, data, allocation_length));
}

std::vector<std::uint8_t> DeviceServer::parameters(Task& task, std::size_t length) {
    task.transfer_bytes = length;
    std::vector<std::uint8_t> list(std::min<std::uint64_t>(length, task.data_out_bytes));
    list.resize(copy_from(task.data_out, 0, list));
    return list;
}

} // namespace touka::scsi
