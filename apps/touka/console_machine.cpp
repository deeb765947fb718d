#include "console_machine.hpp"

#include <utility>

namespace touka::cli {

namespace {

class ConsoleMachine final : public RunningMachine {
public:
    ConsoleMachine(std::unique_ptr<machine::Machine> machine, TerminalConsole& console, bool statistics)
        : machine_(std::move(machine)), console_(console), statistics_(statistics) {
        console_.attach(machine_.get());
    }
    ~ConsoleMachine() override { console_.attach(nullptr); }

    machine::Outcome run() override { return outcome_ = machine_->run(); }
    void request_shutdown() override { machine_->request_shutdown(); }
    void stop() override { machine_->stop(); }
    std::string report() const override {
        std::string text;
        if (outcome_ == machine::Outcome::kCrashed || outcome_ == machine::Outcome::kFailed ||
            outcome_ == machine::Outcome::kDiffered)
            text = machine_->failure();
        if (statistics_) text += machine_->statistics();
        return text;
    }

private:
    std::unique_ptr<machine::Machine> machine_;
    TerminalConsole& console_;
    bool statistics_;
    machine::Outcome outcome_ = machine::Outcome::kStopped;
};

} // namespace

TerminalConsole::TerminalConsole()
    : stream_(reactor_, {.on_escape = [this] {
                  auto attached = attached_.lock();
                  attached->left = true;
                  if (attached->machine) attached->machine->stop();
              }}) {}

void TerminalConsole::attach(machine::Machine* machine) { attached_.lock()->machine = machine; }
bool TerminalConsole::left() { return attached_.lock()->left; }

std::expected<std::unique_ptr<RunningMachine>, machine::MachineError>
make_console_machine(const RunCommand& command, TerminalConsole& console, Messages& messages) {
    auto machine = machine::Machine::create(command.config, {.console = &console.stream()});
    if (!machine) return std::unexpected(machine.error());
    if (!command.quiet) {
        messages.note((*machine)->engine_note());
        if (console.interactive()) messages.note("Ctrl-] leaves");
    }
    return std::make_unique<ConsoleMachine>(std::move(*machine), console, command.stats);
}

} // namespace touka::cli
