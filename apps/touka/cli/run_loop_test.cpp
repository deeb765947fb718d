#include "run_loop.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <mutex>
#include <sstream>
#include <vector>

namespace touka::cli {
namespace {

using machine::Outcome;

/// Ends as the test says: at once, at the power button, or when it is stopped.
class FakeMachine final : public RunningMachine {
public:
    struct Script {
        std::optional<Outcome> at_once;
        std::optional<Outcome> at_power_button;
        std::function<void()> while_running = [] {};
    };
    explicit FakeMachine(Script script) : script_(std::move(script)) {}
    Outcome run() override {
        script_.while_running();
        std::unique_lock lock(mutex_);
        if (script_.at_once) return *script_.at_once;
        ended_.wait(lock, [&] { return outcome_.has_value(); });
        return *outcome_;
    }
    void request_shutdown() override {
        if (script_.at_power_button) end(*script_.at_power_button);
    }
    void stop() override { end(Outcome::kStopped); }
    [[nodiscard]] std::string report() const override { return "report"; }

private:
    void end(Outcome outcome) {
        const std::lock_guard lock(mutex_);
        outcome_ = outcome;
        ended_.notify_all();
    }
    Script script_;
    std::mutex mutex_;
    std::condition_variable ended_;
    std::optional<Outcome> outcome_;
};

class RunLoop : public testing::Test {
protected:
    ExitStatus run(std::vector<FakeMachine::Script> lives) {
        const MachineFactory factory = [&](const RunCommand&) {
            return std::make_unique<FakeMachine>(lives.at(count_++));
        };
        return run_to_the_end(command_, factory, signals_, messages_);
    }
    static void terminate() { ::kill(::getpid(), SIGTERM); }

    RunCommand command_;
    ShutdownSignals signals_;
    std::ostringstream said_;
    Messages messages_{said_, false};
    std::size_t count_ = 0;
};

TEST_F(RunLoop, GivesEveryEndAStatus) {
    EXPECT_EQ(run({{.at_once = Outcome::kPoweredOff, .at_power_button = {}}}), ExitStatus::kPoweredOff);
    count_ = 0;
    EXPECT_EQ(run({{.at_once = Outcome::kCrashed, .at_power_button = {}}}), ExitStatus::kCrashed);
    count_ = 0;
    EXPECT_EQ(run({{.at_once = Outcome::kFailed, .at_power_button = {}}}), ExitStatus::kFailed);
    count_ = 0;
    EXPECT_EQ(run({{.at_once = Outcome::kDiffered, .at_power_button = {}}}), ExitStatus::kDiffered);
    EXPECT_NE(said_.str().find("touka: error: the guest crashed\n"), std::string::npos);
}

TEST_F(RunLoop, StartsTheMachineAgainAfterAReset) {
    EXPECT_EQ(run({{.at_once = Outcome::kReset, .at_power_button = {}},
                   {.at_once = Outcome::kPoweredOff, .at_power_button = {}}}),
              ExitStatus::kPoweredOff);
    EXPECT_EQ(count_, 2u);
}

TEST_F(RunLoop, EndsAtAResetWhenRebootingIsNotWanted) {
    command_.no_reboot = true;
    EXPECT_EQ(run({{.at_once = Outcome::kReset, .at_power_button = {}}}), ExitStatus::kReset);
}

TEST_F(RunLoop, SigtermPressesThePowerButton) {
    EXPECT_EQ(run({{.at_once = {}, .at_power_button = Outcome::kPoweredOff, .while_running = terminate}}),
              ExitStatus::kPoweredOff);
}

TEST_F(RunLoop, DoesNotRebootAGuestThatWasToldToEnd) {
    EXPECT_EQ(run({{.at_once = {}, .at_power_button = Outcome::kReset, .while_running = terminate}}),
              ExitStatus::kStopped);
}

TEST_F(RunLoop, StopsAGuestThatIgnoresThePowerButtonWhenTheGraceIsOver) {
    command_.config.shutdown_grace_s = 1;
    EXPECT_EQ(run({{.at_once = {}, .at_power_button = {}, .while_running = terminate}}), ExitStatus::kStopped);
}

TEST_F(RunLoop, ASecondSignalStopsAtOnce) {
    command_.config.shutdown_grace_s = 3600;
    // The button's press sends the second signal: two at the same time would be one.
    const MachineFactory factory = [&](const RunCommand&) {
        class Stubborn final : public RunningMachine {
        public:
            Outcome run() override {
                terminate();
                return machine_.run();
            }
            void request_shutdown() override { terminate(); }
            void stop() override { machine_.stop(); }
            [[nodiscard]] std::string report() const override { return {}; }

        private:
            FakeMachine machine_{{.at_once = {}, .at_power_button = {}}};
        };
        return std::make_unique<Stubborn>();
    };
    EXPECT_EQ(run_to_the_end(command_, factory, signals_, messages_), ExitStatus::kStopped);
}

TEST_F(RunLoop, WithoutGraceTheFirstSignalStops) {
    command_.config.shutdown_grace_s = 0;
    EXPECT_EQ(run({{.at_once = {}, .at_power_button = Outcome::kPoweredOff, .while_running = terminate}}),
              ExitStatus::kStopped);
}

TEST_F(RunLoop, ReportsWhyAMachineCannotBeMade) {
    const MachineFactory factory = [](const RunCommand&) {
        return std::unexpected(machine::MachineError{machine::MachineErrorKind::kNoEngine, "no /dev/kvm"});
    };
    EXPECT_EQ(run_to_the_end(command_, factory, signals_, messages_), ExitStatus::kNoEngine);
    EXPECT_EQ(said_.str(), "touka: error: no /dev/kvm\n");
}

} // namespace
} // namespace touka::cli
