#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "scsi/task.hpp"

namespace touka::scsi {

/// Which commands may reach a device that is passed through. Without rules all may; with rules, those alone.
class CommandPolicy {
public:
    struct Rule {
        std::uint8_t operation_code;
        std::optional<std::uint16_t> service_action; ///< without: all that the operation code has
    };

    CommandPolicy() = default; ///< everything passes
    /// @param allowed nothing else passes; an empty list lets nothing pass.
    [[nodiscard]] static CommandPolicy only(std::vector<Rule> allowed) {
        CommandPolicy policy;
        policy.allowed_ = std::move(allowed);
        return policy;
    }

    [[nodiscard]] bool allows(const Cdb& cdb) const;
    /// @return whether the task may be executed. If not it was counted and completed: ILLEGAL REQUEST, INVALID COMMAND
    ///   OPERATION CODE, as by a device that has no such command.
    [[nodiscard]] bool admit(Task& task);
    [[nodiscard]] std::uint64_t denied_count() const { return denied_count_; }

private:
    std::optional<std::vector<Rule>> allowed_;
    std::uint64_t denied_count_ = 0;
};

/// Ends a task that did not reach its device: CHECK CONDITION, ILLEGAL REQUEST, INVALID COMMAND OPERATION CODE.
void complete_as_unknown_command(Task& task);
/// Ends a task whose device cannot be reached.
void complete_undelivered(Task& task);

/// How long the CDB is without what ports pad it with: by its operation code; vendor specific ones by their last byte
/// that is not zero, 10 at least. (SPC-5 §4.2.2)  @return 6 to 260.
[[nodiscard]] std::size_t cdb_length(const Cdb& cdb);

} // namespace touka::scsi
