// The machine on the terminal that touka was started from.
#pragma once

#include <expected>
#include <memory>

#include "cli/command_line.hpp"
#include "cli/messages.hpp"
#include "cli/run_loop.hpp"
#include "cli/slot_control.hpp"
#include "machine/machine.hpp"
#include "runtime/guarded.hpp"
#include "runtime/reactor.hpp"
#include "runtime/stdio_stream.hpp"

namespace touka::cli {

/// Standard input and output as the serial console of one machine after another, until Ctrl-] ends it all.
class TerminalConsole {
public:
    TerminalConsole();
    [[nodiscard]] runtime::ByteStream& stream() { return stream_; }
    /// The machine that the escape key stops; null: none.
    void attach(machine::Machine* machine);
    /// Was the escape key pressed?
    [[nodiscard]] bool left();
    [[nodiscard]] bool interactive() const { return stream_.interactive(); }

private:
    struct Attached {
        machine::Machine* machine = nullptr;
        bool left = false;
    };
    runtime::Guarded<Attached> attached_; // held while the machine is told to stop, which does not wait
    runtime::Reactor reactor_{"console"};
    runtime::StdioStream stream_;
};

/// Builds the machine of `command` with its console on `console`.
/// @param slots asks it from outside, and knows what an earlier one that was reset had in its slots; null: nobody asks.
/// @param console, messages, slots outlive the result.
[[nodiscard]] std::expected<std::unique_ptr<RunningMachine>, machine::MachineError>
make_console_machine(const RunCommand& command, TerminalConsole& console, Messages& messages, SlotControl* slots);

} // namespace touka::cli
