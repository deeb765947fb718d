#include <iostream>
#include <string>
#include <vector>

#include <unistd.h>

#include "cli/command_line.hpp"
#include "cli/messages.hpp"
#include "cli/run_loop.hpp"

using namespace touka;

namespace {

/// The one place where the command line meets the machine.
std::expected<std::unique_ptr<cli::RunningMachine>, machine::MachineError> make_machine(const cli::RunCommand&) {
    return std::unexpected(
        machine::MachineError{machine::MachineErrorKind::kFailed, "this build has no machine to run"});
}

} // namespace

int main(int argc, char** argv) {
    cli::Messages messages(std::cerr, cli::wants_color(STDERR_FILENO));
    const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
    const auto command = cli::parse_command_line(arguments);
    if (!command) {
        messages.error(command.error().text, command.error().hint);
        return static_cast<int>(command.error().status);
    }
    if (const auto* print = std::get_if<cli::PrintCommand>(&*command)) {
        std::cout << print->text << std::flush;
        return static_cast<int>(std::cout ? cli::ExitStatus::kPoweredOff : cli::ExitStatus::kFailed);
    }
    cli::ShutdownSignals signals;
    return static_cast<int>(cli::run_to_the_end(std::get<cli::RunCommand>(*command), make_machine, signals, messages));
}
