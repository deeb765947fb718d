#pragma once

#include <expected>
#include <string>
#include <utility>

namespace touka::machine {

/// Why a machine could not be built or go on; each kind has an exit status of its own.
enum class MachineErrorKind {
    kConfiguration, ///< what was asked for makes no sense
    kUnusable,      ///< a file, disk, network or amount of memory that cannot be used
    kNoEngine,      ///< the chosen engine does not work on this host
    kFailed,        ///< the host failed while the machine was built or ran
};

struct MachineError {
    MachineErrorKind kind;
    std::string text; ///< for the user: what is wrong and what to do
};

[[nodiscard]] inline std::unexpected<MachineError> unusable(std::string text) {
    return std::unexpected(MachineError{MachineErrorKind::kUnusable, std::move(text)});
}

} // namespace touka::machine
