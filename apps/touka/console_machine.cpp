#include "console_machine.hpp"

#include <utility>

namespace touka::cli {

namespace {

class ConsoleMachine final : public RunningMachine {
public:
    ConsoleMachine(std::unique_ptr<machine::Machine> machine, TerminalConsole& console, SlotControl* slots,
                   bool statistics)
        : machine_(std::move(machine)), console_(console), slots_(slots), statistics_(statistics) {
        console_.attach(machine_.get());
        if (slots_ == nullptr) return;
        slots_->attach(
            [it = machine_.get()](machine::SlotQuestion question, std::function<void(machine::SlotAnswer)> done) {
                it->ask(std::move(question), std::move(done));
            });
    }
    ~ConsoleMachine() override {
        console_.attach(nullptr);
        if (slots_ != nullptr) slots_->detach();
    }

    machine::Outcome run() override {
        outcome_ = machine_->run();
        if (slots_ != nullptr) slots_->keep(machine_->cards());
        return outcome_;
    }
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
    SlotControl* slots_;
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
make_console_machine(const RunCommand& command, TerminalConsole& console, Messages& messages, SlotControl* slots) {
    machine::MachineConfig config = command.config;
    if (slots != nullptr && slots->kept()) {
        config.cards = *slots->kept();
        config.free_slots = 0;
    }
    auto machine = machine::Machine::create(config, {.console = &console.stream()});
    if (!machine) return std::unexpected(machine.error());
    if (!command.quiet) {
        messages.note((*machine)->engine_note());
        if (console.interactive()) messages.note("Ctrl-] leaves");
    }
    return std::make_unique<ConsoleMachine>(std::move(*machine), console, slots, command.stats);
}

} // namespace touka::cli
