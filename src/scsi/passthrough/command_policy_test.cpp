#include "scsi/passthrough/command_policy.hpp"

#include <gtest/gtest.h>

#include "scsi/passthrough/test_task.hpp"

namespace touka::scsi {
namespace {

Cdb cdb_of(std::vector<std::uint8_t> bytes) { return Cdb(bytes); }

TEST(CommandPolicy, WithoutRulesEverythingPasses) { EXPECT_TRUE(CommandPolicy().allows(cdb_of({0xC5}))); }

TEST(CommandPolicy, WithRulesOnlyThoseOperationCodesAndServiceActionsPass) {
    const CommandPolicy policy = CommandPolicy::only({{0x12, {}}, {0x5E, 0x00}, {0x7F, 0x0009}});
    EXPECT_TRUE(policy.allows(cdb_of({0x12, 1})));
    EXPECT_TRUE(policy.allows(cdb_of({0x5E, 0x00})));
    EXPECT_FALSE(policy.allows(cdb_of({0x5E, 0x01})));
    EXPECT_FALSE(policy.allows(cdb_of({0x04})));
    EXPECT_TRUE(policy.allows(cdb_of({0x7F, 0, 0, 0, 0, 0, 0, 24, 0x00, 0x09})));
    EXPECT_FALSE(policy.allows(cdb_of({0x7F, 0, 0, 0, 0, 0, 0, 24, 0x00, 0x0B})));
    EXPECT_FALSE(CommandPolicy::only({}).allows(cdb_of({0x00})));
}

TEST(CommandPolicy, WhatIsDeniedIsCountedAndAnsweredAsAnUnknownCommand) {
    CommandPolicy policy = CommandPolicy::only({{0x12, {}}});
    Nexus nexus;
    test::TestTask task(nexus, {0x04, 0, 0, 0, 0, 0});
    EXPECT_FALSE(policy.admit(task));
    EXPECT_EQ(policy.denied_count(), 1u);
    EXPECT_EQ(task.completions, 1);
    EXPECT_EQ(task.status, Status::kCheckCondition);
    EXPECT_EQ(task.sense.decode()->code, SenseCode::kInvalidCommandOperationCode);
    test::TestTask inquiry(nexus, {0x12, 0, 0, 0, 36, 0});
    EXPECT_TRUE(policy.admit(inquiry));
    EXPECT_EQ(inquiry.completions, 0);
}

TEST(CdbLength, ComesFromTheOperationCodeAndForVendorSpecificOnesFromWhatIsThere) {
    std::vector<std::uint8_t> padded(32);
    const auto length = [&](std::uint8_t code) {
        padded[0] = code;
        return cdb_length(Cdb(padded));
    };
    EXPECT_EQ(length(0x00), 6u);
    EXPECT_EQ(length(0x28), 10u);
    EXPECT_EQ(length(0x5E), 10u);
    EXPECT_EQ(length(0x88), 16u);
    EXPECT_EQ(length(0xA0), 12u);
    EXPECT_EQ(length(0xC1), 10u);
    padded[11] = 1;
    EXPECT_EQ(length(0xC1), 12u);
    padded[15] = 1;
    EXPECT_EQ(length(0xC1), 16u);
    padded[7] = 24;
    EXPECT_EQ(length(0x7F), 32u);
    padded[7] = 255;
    EXPECT_EQ(length(0x7F), 260u);
    EXPECT_EQ(cdb_length(cdb_of({0xC1})), 10u);
}

} // namespace
} // namespace touka::scsi
