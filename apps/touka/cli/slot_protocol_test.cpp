#include "slot_protocol.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace touka::cli {
namespace {

using nlohmann::json;

TEST(SlotProtocol, ReadsItsQuestions) {
    EXPECT_TRUE(
        std::holds_alternative<machine::ListSlots>(parse_control_question(R"({"command":"ls"})").value().question));
    const auto plug = parse_control_question(R"({"command":"plug","card":"nvme:/a,ro","slot":3})").value();
    EXPECT_EQ(std::get<machine::PlugCard>(plug.question).slot, 3);
    EXPECT_TRUE(std::get<machine::NvmeDevice>(std::get<machine::PlugCard>(plug.question).card).disk.read_only);
    EXPECT_EQ(parse_control_question(R"({"command":"eject","slot":2})").value().wait_s, kUsualWait_s);
    const auto pull = parse_control_question(R"({"command":"pull","slot":2,"wait":0})").value();
    EXPECT_EQ(std::get<machine::PullCard>(pull.question).slot, 2);
    EXPECT_EQ(pull.wait_s, 0u);
}

TEST(SlotProtocol, RefusesEverythingElse) {
    for (const char* wrong :
         {"", "[]", "7", "{", "{}", R"({"command":5})", R"({"command":"reset"})", R"({"command":"plug"})",
          R"({"command":"plug","card":5})", R"({"command":"plug","card":"disk:/a"})",
          R"({"command":"plug","card":"nvme:/a","slot":-1})", R"({"command":"plug","card":"nvme:/a","slot":13})",
          R"({"command":"eject"})", R"({"command":"eject","slot":"2"})", R"({"command":"eject","slot":1e9})",
          R"({"command":"pull","slot":18446744073709551615})", R"({"command":"pull","slot":1,"wait":3601})",
          R"({"command":"pull","slot":1,"wait":null})"}) {
        EXPECT_FALSE(parse_control_question(wrong)) << wrong;
    }
}

TEST(SlotProtocol, WritesWhatIsInTheSlots) {
    machine::SlotAnswer answer;
    machine::SlotReport& slot = answer.slots.emplace_back();
    slot.number = 2;
    slot.state = machine::SlotReport::State::kOccupied;
    slot.card = machine::VfioUserDevice{"/run/\xFF.sock"}; // a path is any bytes
    slot.view.power = platform::HotPlugSlot::Indicator::kBlinking;
    const json said = json::parse(format_slots(answer));
    EXPECT_EQ(said["ok"], true);
    EXPECT_EQ(said["slots"][0]["slot"], 2);
    EXPECT_EQ(said["slots"][0]["state"], "occupied");
    EXPECT_EQ(said["slots"][0]["power_indicator"], "blinking");
    EXPECT_EQ(json::parse(format_removal(3, false)), json({{"ok", true}, {"slot", 3}, {"state", "waiting"}}));
    EXPECT_EQ(json::parse(control_failure("no")), json({{"ok", false}, {"error", "no"}}));
}

} // namespace
} // namespace touka::cli
