// Runs a machine from power-on to its end, through as many resets as the guest asks for.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "command_line.hpp"
#include "exit_status.hpp"
#include "machine/machine_error.hpp"
#include "machine/outcome.hpp"
#include "messages.hpp"
#include "shutdown_signals.hpp"

namespace touka::cli {

/// What the command line needs of a machine; main gives the real one, tests give theirs.
class RunningMachine {
public:
    virtual ~RunningMachine() = default;
    /// Powers the machine on and returns when it ended.
    [[nodiscard]] virtual machine::Outcome run() = 0;
    /// Presses the power button. Any thread.
    virtual void request_shutdown() = 0;
    /// Makes run() return kStopped soon. Any thread.
    virtual void stop() = 0;
    /// After run(): what to tell about a crash or failure, in full lines; empty: nothing.
    [[nodiscard]] virtual std::string report() const = 0;
};

using MachineFactory =
    std::function<std::expected<std::unique_ptr<RunningMachine>, machine::MachineError>(const RunCommand&)>;

/// @param signals made before any thread.
[[nodiscard]] ExitStatus run_to_the_end(const RunCommand& command, const MachineFactory& make_machine,
                                        ShutdownSignals& signals, Messages& messages);

} // namespace touka::cli
