#include "device_command.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace touka::cli {
namespace {

using nlohmann::json;

TEST(DeviceCommandTest, NamesAFunctionByItsDeviceAndNumber) {
    const DeviceCommand command{.action = "hand-over", .function = "fast.a.12", .to = "/run/b.sock", .socket = {}};
    EXPECT_EQ(json::parse(device_question(command).value()),
              json({{"command", "hand-over"}, {"device", "fast.a"}, {"function", 12}, {"socket", "/run/b.sock"}}));
}

TEST(DeviceCommandTest, RefusesWhatNamesNoFunction) {
    for (const char* wrong : {"", "fast", "fast.", ".1", "fast.x", "fast.-1", "fast.65536"}) {
        EXPECT_FALSE(device_question({.action = "take-away", .function = wrong, .to = {}, .socket = {}})) << wrong;
    }
}

TEST(DeviceCommandTest, ShowsWhoHasWhichFunction) {
    const auto text = format_device_answer(
        "ls",
        R"({"ok":true,"functions":[)"
        R"({"device":"fast","function":1,"socket":"/a.sock","busy":false,"connected":true,"grants":2,"faults":3},)"
        R"({"device":"fast","function":2,"socket":"/b.sock","busy":true,"faults":0}]})");
    ASSERT_TRUE(text) << text.error();
    EXPECT_THAT(*text, testing::ContainsRegex("fast.1 +has it +2 +3  /a.sock"));
    EXPECT_THAT(*text, testing::ContainsRegex("fast.2 +waits +- +0  /b.sock"));
}

TEST(DeviceCommandTest, TakesNothingElseForAnAnswer) {
    EXPECT_EQ(format_device_answer("take-away", R"({"ok":false,"error":"no"})").error(), "no");
    for (const auto* answer : {"", "[]", "{}", R"({"ok":true})", R"({"ok":true,"functions":[5]})", R"({"ok":1})"}) {
        EXPECT_FALSE(format_device_answer("ls", answer)) << answer;
    }
}

} // namespace
} // namespace touka::cli
