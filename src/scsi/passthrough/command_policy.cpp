#include "scsi/passthrough/command_policy.hpp"

#include <algorithm>

#include "spec/scsi/operation.hpp"

namespace touka::scsi {

bool CommandPolicy::allows(const Cdb& cdb) const {
    if (!allowed_) return true;
    return std::ranges::any_of(*allowed_, [&](const Rule& rule) {
        return rule.operation_code == cdb.operation_code() &&
               (!rule.service_action || *rule.service_action == cdb.service_action());
    });
}

bool CommandPolicy::admit(Task& task) {
    if (allows(task.cdb)) return true;
    ++denied_count_;
    complete_as_unknown_command(task);
    return false;
}

void complete_as_unknown_command(Task& task) {
    task.status = Status::kCheckCondition;
    task.sense = encode(Sense::illegal_request(SenseCode::kInvalidCommandOperationCode), SenseFormat::kFixed);
    task.complete();
}

void complete_undelivered(Task& task) {
    task.delivery = Delivery::kTransportFailure;
    task.complete();
}

std::size_t cdb_length(const Cdb& cdb) {
    constexpr std::size_t kVariableLengthHeader = 8, kFixedLimit = 16;
    if (cdb.operation_code() == spec::scsi::operation::kVariableLength) {
        return std::min(kVariableLengthHeader + cdb[7], Cdb::kLimitBytes);
    }
    if (const std::size_t length = spec::scsi::cdb_length_of_group(cdb.operation_code())) return length;
    const auto bytes = cdb.bytes().first(std::min(cdb.bytes().size(), kFixedLimit));
    const auto last = std::ranges::find_if(bytes.rbegin(), bytes.rend(), [](std::uint8_t byte) { return byte != 0; });
    const auto used = static_cast<std::size_t>(bytes.rend() - last);
    return used <= 10 ? 10 : used <= 12 ? 12 : kFixedLimit;
}

} // namespace touka::scsi
