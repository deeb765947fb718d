#include "run_loop.hpp"

#include <fmt/format.h>

#include <atomic>

namespace touka::cli {

ExitStatus run_to_the_end(const RunCommand& command, const MachineFactory& make_machine, ShutdownSignals& signals,
                          Messages& messages) {
    for (;;) {
        auto made = make_machine(command);
        if (!made) {
            messages.error(made.error().text);
            return to_exit_status(made.error().kind);
        }
        auto& machine = **made;
        const auto say = [&](const std::string& text) {
            if (!command.quiet) messages.note(text);
        };
        std::atomic<bool> asked_to_end = false; // a guest that reboots instead of powering off is not started again
        signals.watch({.press_power_button =
                           [&] {
                               asked_to_end = true;
                               say(fmt::format("pressing the power button; off at the latest in {} s",
                                               command.config.shutdown_grace_s));
                               machine.request_shutdown();
                           },
                       .pull_plug =
                           [&] {
                               asked_to_end = true;
                               say("stopping the machine");
                               machine.stop();
                           }},
                      std::chrono::seconds(command.config.shutdown_grace_s));
        const auto outcome = machine.run();
        signals.forget();
        if (const auto report = machine.report(); !report.empty()) messages.note(report);
        if (outcome == machine::Outcome::kCrashed) messages.error("the guest crashed");
        if (outcome == machine::Outcome::kFailed) messages.error("the machine failed");
        if (outcome == machine::Outcome::kDiffered) messages.error("translated code did what the interpreter does not");
        if (outcome == machine::Outcome::kReset && asked_to_end) return ExitStatus::kStopped;
        if (outcome != machine::Outcome::kReset || command.no_reboot) return to_exit_status(outcome);
    }
}

} // namespace touka::cli
