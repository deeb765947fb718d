#include "exit_status.hpp"

namespace touka::cli {

ExitStatus to_exit_status(machine::Outcome outcome) {
    switch (outcome) {
        case machine::Outcome::kPoweredOff: return ExitStatus::kPoweredOff;
        case machine::Outcome::kReset: return ExitStatus::kReset;
        case machine::Outcome::kCrashed: return ExitStatus::kCrashed;
        case machine::Outcome::kStopped: return ExitStatus::kStopped;
        case machine::Outcome::kDiffered: return ExitStatus::kDiffered;
        case machine::Outcome::kFailed: break;
    }
    return ExitStatus::kFailed;
}

ExitStatus to_exit_status(machine::MachineErrorKind kind) {
    switch (kind) {
        case machine::MachineErrorKind::kConfiguration:
        case machine::MachineErrorKind::kUnusable: return ExitStatus::kConfiguration;
        case machine::MachineErrorKind::kNoEngine: return ExitStatus::kNoEngine;
        case machine::MachineErrorKind::kFailed: break;
    }
    return ExitStatus::kFailed;
}

} // namespace touka::cli
