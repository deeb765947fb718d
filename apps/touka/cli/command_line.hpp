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

/// `touka verify`: a unit from outside and through a guest. One of inside_command and inside is empty.
struct VerifyCommand {
    std::string outside;        ///< a device's path or an iSCSI URL
    std::string corpus;         ///< a file's path
    std::string inside_command; ///< the shell's
    std::string inside;         ///< a file's path
    std::string initiator;      ///< iSCSI name
};

/// `touka target`: one question to a running touka-target.
struct TargetCommand {
    std::string action; ///< "ls" or "reload"
    std::string socket;
};

/// `touka device`: one question to a running touka-device.
struct DeviceCommand {
    std::string action;   ///< "ls", "take-away" or "hand-over"
    std::string function; ///< "fast.1"
    std::string to;       ///< socket that a function is handed over to
    std::string socket;
};

/// `touka slot`: one question to a running `touka run --control`.
struct SlotCommand {
    std::string action; ///< "ls", "plug", "eject" or "pull"
    std::string card;   ///< of plug, as of --device
    std::string slot;   ///< its number; plug: empty for the first free one
    std::string wait;   ///< seconds; empty: the usual time
    std::string socket;
};

/// `touka devices`: what of the host a machine can be given.
struct DevicesCommand {};

using Command =
    std::variant<RunCommand, PrintCommand, VerifyCommand, TargetCommand, DeviceCommand, SlotCommand, DevicesCommand>;

struct CommandLineError {
    ExitStatus status = ExitStatus::kUsage;
    std::string text;
    std::string hint;
};

/// Reads the command line and, where it names one, the configuration file; flags win over the file.
/// @param arguments without the program's name.
[[nodiscard]] std::expected<Command, CommandLineError> parse_command_line(std::span<const std::string> arguments);

} // namespace touka::cli
