#pragma once

#include <cstdint>
#include <span>

#include "devices/nvme/request.hpp"
#include "spec/nvme/status.hpp"

namespace touka::devices::nvme {

/// A command that the controller knows: what executes it, and what the Commands Supported and Effects log says of it.
struct Command {
    std::uint8_t opcode;
    Outcome (*execute)(Controller&, Request&);
    std::uint32_t effects;     ///< beside kEffectSupported
    bool primary_only = false; ///< reaches other controllers: not for virtual functions
};
[[nodiscard]] std::span<const Command> admin_commands();
[[nodiscard]] std::span<const Command> io_commands();

[[nodiscard]] inline const Command* find_command(std::span<const Command> commands, std::uint8_t opcode) {
    for (const Command& command : commands) {
        if (command.opcode == opcode) return &command;
    }
    return nullptr;
}

/// The only places where a volume's answer becomes a command's status.
[[nodiscard]] spec::nvme::Status read_status(storage::BlockStatus status);
[[nodiscard]] spec::nvme::Status write_status(storage::BlockStatus status);
/// Will the same command fail again? (DNR)
[[nodiscard]] bool will_fail_again(spec::nvme::Status status);

// queue_commands.cpp
Outcome create_completion_queue(Controller& controller, Request& request);
Outcome create_submission_queue(Controller& controller, Request& request);
Outcome delete_completion_queue(Controller& controller, Request& request);
Outcome delete_submission_queue(Controller& controller, Request& request);
Outcome abort_command(Controller& controller, Request& request);
Outcome async_event_request(Controller& controller, Request& request);
Outcome doorbell_buffer_config(Controller& controller, Request& request);
// identify.cpp, log_pages.cpp, feature_commands.cpp
Outcome identify(Controller& controller, Request& request);
Outcome get_log_page(Controller& controller, Request& request);
Outcome get_features(Controller& controller, Request& request);
Outcome set_features(Controller& controller, Request& request);
// namespace_commands.cpp, format.cpp, virtualization.cpp
Outcome namespace_management(Controller& controller, Request& request);
Outcome namespace_attachment(Controller& controller, Request& request);
Outcome format_nvm(Controller& controller, Request& request);
Outcome virtualization_management(Controller& controller, Request& request);

// read_write.cpp
Outcome read(Controller& controller, Request& request);
Outcome write(Controller& controller, Request& request);
Outcome flush(Controller& controller, Request& request);
Outcome write_zeroes(Controller& controller, Request& request);
// protected_command.cpp: the commands on blocks with metadata. @pre request.ns is open.
Outcome protected_command(Controller& controller, Request& request);
// compare.cpp, dataset_management.cpp, copy.cpp
Outcome compare(Controller& controller, Request& request);
Outcome verify(Controller& controller, Request& request);
Outcome dataset_management(Controller& controller, Request& request);
Outcome copy(Controller& controller, Request& request);
// reservation_commands.cpp
Outcome reservation_register(Controller& controller, Request& request);
Outcome reservation_acquire(Controller& controller, Request& request);
Outcome reservation_release(Controller& controller, Request& request);
Outcome reservation_report(Controller& controller, Request& request);

} // namespace touka::devices::nvme
