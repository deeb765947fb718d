#include "target_listing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace touka::cli {
namespace {

TEST(TargetListing, ShowsTargetsUnitsAndSessions) {
    const auto text = format_target_answer(
        "ls",
        R"({"ok":true,"portals":["127.0.0.1:3260"],"targets":[{"name":"iqn.a","luns":[{"lun":1,"unit":"db"}],"access":[]}],)"
        R"("units":[{"name":"db","commands":5,"data_in_bytes":4096,"data_out_bytes":0,"check_conditions":1,)"
        R"("reservation_conflicts":0,"given_up_tasks":31}],"sessions":[{"initiator":"iqn.i","peer":"10.0.0.1:5","target":"iqn.a","port":1,)"
        R"("commands":7}]})");
    ASSERT_TRUE(text) << text.error();
    for (const auto* part :
         {"portal  127.0.0.1:3260", "target  iqn.a", "LUN 1", "everybody", " 31\n", "iqn.i from 10.0.0.1:5"}) {
        EXPECT_THAT(*text, testing::HasSubstr(part));
    }
}

TEST(TargetListing, TellsWhatTheTargetRefused) {
    EXPECT_EQ(format_target_answer("ls", R"({"ok":false,"error":"no"})").error(), "no");
}

TEST(TargetListing, TakesNothingElseForAnAnswer) {
    for (const auto* answer : {"", "[]", "{}", R"({"ok":true})", R"({"ok":true,"portals":5})", R"({"ok":1})"}) {
        EXPECT_FALSE(format_target_answer("ls", answer)) << answer;
    }
}

} // namespace
} // namespace touka::cli
