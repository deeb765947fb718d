#include "slot_command.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

namespace touka::cli {
namespace {

using nlohmann::json;

SlotCommand command(const std::string& action, const std::string& card = {}, const std::string& slot = {}) {
    return {.action = action, .card = card, .slot = slot, .wait = {}, .socket = {}};
}

TEST(SlotCommandTest, AsksWithWholePaths) {
    const auto here = std::filesystem::current_path().string();
    EXPECT_EQ(json::parse(slot_question(command("plug", "nvme:a,,b.raw,ro", "3")).value()),
              json({{"command", "plug"}, {"card", "nvme:" + here + "/a,,b.raw,ro"}, {"slot", 3}}));
    EXPECT_EQ(json::parse(slot_question(command("plug", "nvme:/a,metadata=b.pi,ats=on")).value()),
              json({{"command", "plug"}, {"card", "nvme:/a,metadata=" + here + "/b.pi,ats=on"}}));
    EXPECT_EQ(json::parse(slot_question(command("plug", "vfio-user:/run/a.sock")).value()),
              json({{"command", "plug"}, {"card", "vfio-user:/run/a.sock"}}));
    EXPECT_EQ(json::parse(slot_question(command("plug", "vfio-user:/run/a.sock,rom=a.rom")).value()),
              json({{"command", "plug"}, {"card", "vfio-user:/run/a.sock,rom=" + here + "/a.rom"}}));
    EXPECT_EQ(json::parse(slot_question(command("plug", "vfio:0000:03:00.1,rom=off")).value()),
              json({{"command", "plug"}, {"card", "vfio:0000:03:00.1,rom=off"}}));
    SlotCommand eject = command("eject", {}, "12");
    eject.wait = "5";
    EXPECT_EQ(json::parse(slot_question(eject).value()), json({{"command", "eject"}, {"slot", 12}, {"wait", 5}}));
}

TEST(SlotCommandTest, RefusesWhatIsNoCardNoSlotAndNoTime) {
    EXPECT_FALSE(slot_question(command("plug", "disk:/a")));
    for (const char* slot : {"0", "13", "x", "-1"}) EXPECT_FALSE(slot_question(command("pull", {}, slot))) << slot;
    SlotCommand eject = command("eject", {}, "1");
    eject.wait = "forever";
    EXPECT_FALSE(slot_question(eject));
}

TEST(SlotCommandTest, ShowsSlotsAsATable) {
    const auto text = format_slot_answer(
        command("ls"),
        R"({"ok":true,"slots":[{"slot":1,"state":"occupied","card":"nvme:/a","answers":true,"power":true,)"
        R"("power_indicator":"on","attention_indicator":"off","removal_asked":false},)"
        R"({"slot":2,"state":"empty","card":"","answers":true,"power":false,)"
        R"("power_indicator":"off","attention_indicator":"off","removal_asked":false}]})");
    ASSERT_TRUE(text) << text.error();
    EXPECT_THAT(*text, testing::ContainsRegex("1  on +on +off +nvme:/a\n +2  - +off +off +-\n"));
}

TEST(SlotCommandTest, ACardThatIsStillInIsAnError) {
    EXPECT_TRUE(format_slot_answer(command("eject"), R"({"ok":true,"slot":2,"state":"out"})"));
    EXPECT_FALSE(format_slot_answer(command("eject"), R"({"ok":true,"slot":2,"state":"waiting"})"));
    EXPECT_FALSE(format_slot_answer(command("pull"), R"({"ok":true,"slot":2,"state":"waiting"})"));
}

TEST(SlotCommandTest, TakesNothingElseForAnAnswer) {
    EXPECT_EQ(format_slot_answer(command("plug"), R"({"ok":false,"error":"no"})").error(), "no");
    for (const auto* answer : {"", "[]", "{}", R"({"ok":true})", R"({"ok":true,"slots":[5]})", R"({"ok":1})"}) {
        EXPECT_FALSE(format_slot_answer(command("ls"), answer)) << answer;
        EXPECT_FALSE(format_slot_answer(command("eject"), answer)) << answer;
    }
}

} // namespace
} // namespace touka::cli
