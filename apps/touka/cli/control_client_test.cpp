#include "control_client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace touka::cli {
namespace {

TEST(ControlClient, SaysWhereNobodyAnswers) {
    EXPECT_THAT(ask("touka-target", "/nowhere/a.sock", "{}").error(),
                testing::HasSubstr("/nowhere/a.sock: no touka-target"));
    EXPECT_FALSE(ask("touka-target", std::string(200, 'x'), "{}"));
}

} // namespace
} // namespace touka::cli
