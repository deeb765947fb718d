#pragma once

#include <string_view>

#include "machine/machine_error.hpp"
#include "machine/outcome.hpp"

namespace touka::cli {

/// What the program tells its caller; docs/exit-codes.md and the help describe them.
enum class ExitStatus : int {
    kPoweredOff = 0,    ///< the guest powered off, what was asked for was printed, nothing differed
    kFailed = 1,        ///< the host failed while the machine ran
    kUsage = 2,         ///< the command line makes no sense
    kConfiguration = 3, ///< a configuration, kernel, disk or network that cannot be used
    kNoEngine = 4,      ///< the chosen engine does not work here
    kCrashed = 5,       ///< the guest crashed: triple fault
    kReset = 6,         ///< the guest asked for a reset under --no-reboot
    kStopped = 7,       ///< stopped from outside before the guest powered off
    kDiffered = 8,      ///< --verify-translation or `touka verify` found a difference
};

[[nodiscard]] ExitStatus to_exit_status(machine::Outcome outcome);
[[nodiscard]] ExitStatus to_exit_status(machine::MachineErrorKind kind);

/// The table of statuses for help texts.
inline constexpr std::string_view kExitStatusHelp = "Exit status:\n"
                                                    "  0  the guest powered off; verify: nothing differs\n"
                                                    "  1  failure of the host while the machine ran\n"
                                                    "  2  wrong command line\n"
                                                    "  3  bad configuration, or a file that cannot be used\n"
                                                    "  4  the chosen engine does not work here\n"
                                                    "  5  the guest crashed (triple fault)\n"
                                                    "  6  the guest asked for a reset under --no-reboot\n"
                                                    "  7  stopped from outside before the guest powered off\n"
                                                    "  8  --verify-translation or verify found a difference\n";

} // namespace touka::cli
