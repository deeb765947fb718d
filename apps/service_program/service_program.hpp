// What programs that serve until they are told to end have in common: one configuration file, signals, exit statuses.
#pragma once

#include <expected>
#include <initializer_list>
#include <string>

#include "runtime/unique_fd.hpp"

namespace touka::service {

enum ExitStatus : int { kStopped = 0, kFailed = 1, kUsage = 2, kConfiguration = 3 };

struct Program {
    std::string name;        ///< "touka-target"
    std::string description; ///< the first lines of --help
    std::string file;        ///< what the configuration is called there: "TARGET.TOML"
    std::string manual;      ///< "docs/target.md"
};

/// What the command line asks for.
struct Request {
    std::string path;   ///< of the configuration
    bool check = false; ///< only say whether it is right
};

/// @return the exit status when there is nothing more to do: help was printed, or what is wrong.
[[nodiscard]] std::expected<Request, int> parse(const Program& program, int argc, char** argv);

/// Says what is wrong. @return `status`.
int fail(const Program& program, ExitStatus status, const std::string& text);

/// Blocks the signals, and those that a vanished peer causes; before any other thread is made.
/// @return a signalfd for them.
[[nodiscard]] runtime::UniqueFd take_signals(std::initializer_list<int> signals);

/// Waits for one of them. @return its number.
[[nodiscard]] int wait_for_signal(const runtime::UniqueFd& signals);

} // namespace touka::service
