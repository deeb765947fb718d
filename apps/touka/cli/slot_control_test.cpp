#include "slot_control.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <future>
#include <nlohmann/json.hpp>

#include "control_client.hpp"
#include "runtime/guarded.hpp"

namespace touka::cli {
namespace {

using nlohmann::json;

/// A machine of one slot with a card; it answers on the thread that asks.
class SlotControlTest : public testing::Test {
protected:
    SlotControlTest() {
        slot_.lock()->number = 1;
        slot_.lock()->state = machine::SlotReport::State::kOccupied;
        auto opened = SlotControl::open(path_);
        EXPECT_TRUE(opened) << opened.error();
        control_ = std::move(*opened);
    }
    void attach() {
        control_->attach([this](const machine::SlotQuestion& question, auto done) {
            machine::SlotAnswer answer{.error = {}, .slot = 1, .slots = {*slot_.lock()}};
            if (std::holds_alternative<machine::PlugCard>(question)) answer.error = "no slot is free";
            done(answer);
            asked_.set_value();
            asked_ = {};
        });
    }
    [[nodiscard]] std::future<json> ask(const std::string& question) {
        return std::async(std::launch::async,
                          [this, question] { return json::parse(cli::ask("test", path_, question).value_or("{}")); });
    }

    std::string path_ = "/tmp/touka-slots-test-" + std::to_string(::getpid());
    runtime::Guarded<machine::SlotReport> slot_;
    std::promise<void> asked_;
    std::unique_ptr<SlotControl> control_;
};

TEST_F(SlotControlTest, AnswersWhatTheMachineSays) {
    attach();
    EXPECT_EQ(ask(R"({"command":"ls"})").get()["slots"][0]["state"], "occupied");
    EXPECT_EQ(ask(R"({"command":"plug","card":"nvme:/a"})").get()["error"], "no slot is free");
    EXPECT_EQ(ask("nonsense").get()["ok"], false);
}

TEST_F(SlotControlTest, AQuestionBetweenTwoMachinesWaitsForTheNext) {
    auto answer = ask(R"({"command":"ls"})");
    EXPECT_EQ(answer.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
    attach();
    EXPECT_EQ(answer.get()["ok"], true);
}

TEST_F(SlotControlTest, WaitsForTheCardToBeOut) {
    const auto asked = asked_.get_future();
    attach();
    auto answer = ask(R"({"command":"eject","slot":1})");
    asked.wait();
    slot_.lock()->state = machine::SlotReport::State::kEmpty;
    EXPECT_EQ(answer.get()["state"], "out");
}

TEST_F(SlotControlTest, SaysThatItStillWaitsWhenTheTimeIsOver) {
    attach();
    EXPECT_EQ(ask(R"({"command":"eject","slot":1,"wait":0})").get()["state"], "waiting");
}

TEST_F(SlotControlTest, TellsThatTheMachineEnded) {
    const auto asked = asked_.get_future();
    attach();
    auto answer = ask(R"({"command":"eject","slot":1})");
    asked.wait();
    control_->detach();
    EXPECT_EQ(answer.get()["ok"], false);
}

TEST_F(SlotControlTest, AQuestionThatTheMachineDropsIsAnswered) {
    control_->attach([](const machine::SlotQuestion&, const auto&) {});
    EXPECT_EQ(ask(R"({"command":"ls"})").get()["ok"], false);
}

} // namespace
} // namespace touka::cli
