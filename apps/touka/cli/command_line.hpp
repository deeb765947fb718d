// What the program was asked to do.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <variant>

#include "exit_status.hpp"
#include "machine/config.hpp"

namespace touka::cli {

/// `touka run`: one machine in the foreground.
struct RunCommand {
    machine::MachineConfig config; ///< passed machine::validate()
    bool no_reboot = false;        ///< a reset of the guest ends the program
    bool quiet = false;            ///< only errors on stderr
    bool stats = false;            ///< counters on stderr at the end
};

/// Help or the version: text for stdout.
struct PrintCommand {
    std::string text;
};

using Command = std::variant<RunCommand, PrintCommand>;

struct CommandLineError {
    ExitStatus status = ExitStatus::kUsage;
    std::string text;
    std::string hint;
};

/// Reads the command line and, where it names one, the configuration file; flags win over the file.
/// @param arguments without the program's name.
[[nodiscard]] std::expected<Command, CommandLineError> parse_command_line(std::span<const std::string> arguments);

} // namespace touka::cli
