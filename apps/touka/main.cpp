#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

#include "cli/command_line.hpp"
#include "cli/device_command.hpp"
#include "cli/devices_listing.hpp"
#include "cli/messages.hpp"
#include "cli/run_loop.hpp"
#include "cli/slot_command.hpp"
#include "cli/slot_control.hpp"
#include "cli/target_listing.hpp"
#include "cli/verify_run.hpp"
#include "console_machine.hpp"

using namespace touka;

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
    if (const auto* verify = std::get_if<cli::VerifyCommand>(&*command)) {
        return static_cast<int>(cli::run_verify(*verify, std::cout, messages));
    }
    if (const auto* target = std::get_if<cli::TargetCommand>(&*command)) {
        return static_cast<int>(cli::run_target(*target, std::cout, messages));
    }
    if (const auto* device = std::get_if<cli::DeviceCommand>(&*command)) {
        return static_cast<int>(cli::run_device(*device, std::cout, messages));
    }
    if (const auto* slot = std::get_if<cli::SlotCommand>(&*command)) {
        return static_cast<int>(cli::run_slot(*slot, std::cout, messages));
    }
    if (std::holds_alternative<cli::DevicesCommand>(*command)) {
        return static_cast<int>(cli::list_devices(std::cout, messages));
    }
    cli::ShutdownSignals signals; // first: all threads inherit what it blocks
    const auto& run = std::get<cli::RunCommand>(*command);
    std::unique_ptr<cli::SlotControl> slots;
    if (!run.config.control_socket.empty()) {
        auto opened = cli::SlotControl::open(run.config.control_socket);
        if (!opened) {
            messages.error(opened.error());
            return static_cast<int>(cli::to_exit_status(machine::MachineErrorKind::kUnusable));
        }
        slots = std::move(*opened);
    }
    cli::TerminalConsole console;
    const auto make_machine = [&](const cli::RunCommand& each) {
        return cli::make_console_machine(each, console, messages, slots.get());
    };
    return static_cast<int>(cli::run_to_the_end(run, make_machine, signals, messages));
}
