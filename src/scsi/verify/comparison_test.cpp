#include "scsi/verify/comparison.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace touka::scsi::verify {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::uint8_t> sense(std::uint8_t key, std::uint8_t code, std::uint8_t qualifier) {
    std::vector<std::uint8_t> bytes(18);
    bytes[0] = 0x70, bytes[2] = key, bytes[7] = 10, bytes[12] = code, bytes[13] = qualifier;
    return bytes;
}
Response failed(std::uint8_t key, std::uint8_t code, std::uint8_t qualifier = 0) {
    return {.status = 0x02, .sense = sense(key, code, qualifier)};
}
Response received(std::size_t count, std::uint8_t last) {
    std::vector<std::uint8_t> data(count, 1);
    data.back() = last;
    return record({}, {.data = data});
}
std::vector<std::string> fields(const Response& outside, const Response& inside, const Ways& ways = {}) {
    std::vector<std::string> names;
    for (const auto& difference : compare(outside, inside, ways)) names.push_back(difference.field);
    return names;
}

TEST(VerifyComparison, FindsNothingInTheSame) {
    EXPECT_THAT(fields(failed(5, 0x24), failed(5, 0x24)), IsEmpty());
    EXPECT_THAT(fields(received(5000, 1), received(5000, 1)), IsEmpty());
}

TEST(VerifyComparison, NamesEachFieldThatDiffers) {
    EXPECT_THAT(fields({}, {.delivery = Delivery::kFailed}), ElementsAre("delivery"));
    EXPECT_THAT(fields({.delivery = Delivery::kFailed}, {.delivery = Delivery::kFailed}), ElementsAre("delivery"));
    EXPECT_THAT(fields({}, {.status = 8}), ElementsAre("status"));
    EXPECT_THAT(fields({}, failed(5, 0x24)), ElementsAre("status", "sense key", "additional sense code"));
    EXPECT_THAT(fields(failed(5, 0x24), failed(5, 0x20)), ElementsAre("additional sense code"));
    EXPECT_THAT(fields(failed(5, 0x24, 0), failed(5, 0x24, 1)), ElementsAre("additional sense code"));
    EXPECT_THAT(fields(failed(5, 0x24), failed(4, 0x24)), ElementsAre("sense key"));
    EXPECT_THAT(fields(failed(6, 0x29), failed(6, 0x2A)), ElementsAre("unit attention"));
    EXPECT_THAT(fields({}, failed(6, 0x29)), ElementsAre("status", "unit attention"));
    EXPECT_THAT(fields(received(512, 1), received(512, 2)), ElementsAre("data"));
    EXPECT_THAT(fields(received(512, 1), received(511, 1)), ElementsAre("data length"));
    EXPECT_THAT(fields(received(5000, 1), received(5000, 2)), ElementsAre("data"));
    EXPECT_THAT(fields({.residual = 1}, {.residual = 2}), ElementsAre("residual"));
}

TEST(VerifyComparison, ShowsWhereDataAndSenseDataDiffer) {
    auto other = failed(5, 0x24);
    other.sense[16] = 3;
    const auto differences = compare(failed(5, 0x24), other, {});
    ASSERT_EQ(differences.size(), 1u);
    EXPECT_EQ(differences[0].field, "sense data");
    EXPECT_EQ(differences[0].outside, "0000 at byte 16");
    EXPECT_EQ(differences[0].inside, "0300 at byte 16");
    EXPECT_EQ(compare(received(4, 1), received(4, 0xFE), {})[0].inside, "FE at byte 3");
}

TEST(VerifyComparison, LeavesOverflowsOutWhereOneSideCannotTellThem) {
    EXPECT_THAT(fields({.residual = -5}, {.residual = 0}), ElementsAre("residual"));
    EXPECT_THAT(fields({.residual = -5}, {.residual = 0}, {.inside_overflow = false}), IsEmpty());
    EXPECT_THAT(fields({.residual = 5}, {.residual = 0}, {.inside_overflow = false}), ElementsAre("residual"));
}

TEST(VerifyComparison, AllowsOverrunsWhereTheCorpusSaysSoAlone) {
    const Response more{.residual = -5}, lost{.delivery = Delivery::kFailed};
    const Ways marked{.inside_overflow = false, .overrun = true};
    EXPECT_THAT(fields(more, lost, marked), IsEmpty());
    EXPECT_THAT(fields(lost, more, {.outside_overflow = false, .overrun = true}), IsEmpty());
    EXPECT_THAT(fields(more, lost, {.inside_overflow = false}), ElementsAre("delivery"));
    EXPECT_THAT(fields(more, lost, {.overrun = true}), ElementsAre("delivery")); // it has a word for it
    EXPECT_THAT(fields({}, lost, marked), ElementsAre("delivery"));              // there was not more
    EXPECT_THAT(fields(failed(5, 0x24), lost, marked), ElementsAre("delivery"));
    EXPECT_THAT(fields(more, {.delivery = Delivery::kTimeout}, marked), ElementsAre("delivery"));
    EXPECT_THAT(fields(lost, lost, marked), ElementsAre("delivery"));
    EXPECT_THAT(fields(more, {.status = 8, .residual = -5}, marked), ElementsAre("status"));
}

TEST(VerifyComparison, CountsCommandsAndPrintsWhatDiffersAlone) {
    const Corpus corpus{.commands = {{.name = "one"}, {.name = "two"}, {.name = "three"}}};
    const Recording outside{.tells_overflow = true, .attentions = {sense(6, 0x29, 0)}, .responses = {{}, {}, {}}};
    const Recording inside{.responses = {{}, {.status = 8}}};
    const Report report = compare(corpus, outside, inside);
    EXPECT_FALSE(report.same());
    ASSERT_EQ(report.different.size(), 2u);
    EXPECT_EQ(report.different[1].differences[0].inside, "no response");
    const std::string text = to_text(report);
    EXPECT_THAT(text, testing::HasSubstr("unit attentions before the first command outside: 29h/00h\n"));
    EXPECT_THAT(text, testing::HasSubstr("two"));
    EXPECT_THAT(text, testing::Not(testing::HasSubstr("one ")));
    EXPECT_THAT(text, testing::EndsWith("3 commands, 1 the same, 2 differ\n"));
}

TEST(VerifyComparison, DoesNotCountUnitAttentionsBeforeTheFirstCommand) {
    const Corpus corpus{.commands = {{.name = "one"}}};
    const Report report = compare(corpus, {.attentions = {sense(6, 0x29, 0)}, .responses = {{}}}, {.responses = {{}}});
    EXPECT_TRUE(report.same());
    EXPECT_THAT(to_text(report), testing::EndsWith("1 command, 1 the same, 0 differ\n"));
}

} // namespace
} // namespace touka::scsi::verify
