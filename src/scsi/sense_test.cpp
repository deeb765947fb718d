#include "scsi/sense.hpp"

#include <gmock/gmock.h>

#include <array>

namespace touka::scsi {
namespace {

using testing::ElementsAre;

std::vector<std::uint8_t> bytes_of(const Sense& sense, SenseFormat format) {
    const SenseData data = encode(sense, format);
    return {data.bytes().begin(), data.bytes().end()};
}

TEST(Sense, FixedFormatPointsToABitOfTheCdb) {
    EXPECT_THAT(bytes_of(Sense::invalid_field_in_cdb(2, std::uint8_t{5}), SenseFormat::kFixed),
                ElementsAre(0x70, 0, 0x05, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0x00, 0, 0xCD, 0, 2));
}

TEST(Sense, FixedFormatPointsToAByteOfTheParameterList) {
    EXPECT_THAT(bytes_of(Sense::invalid_field_in_parameters(0x123), SenseFormat::kFixed),
                ElementsAre(0x70, 0, 0x05, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x26, 0x00, 0, 0x80, 0x01, 0x23));
}

TEST(Sense, DescriptorFormatHasInformationCommandSpecificAndProgress) {
    Sense sense = Sense::not_ready(SenseCode::kFormatInProgress);
    sense.information = 0x1122'3344'5566'7788;
    sense.command_specific = 9;
    sense.progress = 0x8000;
    EXPECT_THAT(bytes_of(sense, SenseFormat::kDescriptor),
                ElementsAre(0x72, 0x02, 0x04, 0x04, 0, 0, 0, 32,                               //
                            0x00, 10, 0x80, 0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, //
                            0x01, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,                            //
                            0x02, 6, 0, 0, 0x80, 0x80, 0x00, 0));
}

TEST(Sense, InformationThatDoesNotFitTheFixedFormatIsNotValidThere) {
    Sense sense = Sense::of(SenseKey::kMiscompare, SenseCode::kMiscompareDuringVerifyOperation);
    sense.information = 1ull << 32;
    const auto fixed = bytes_of(sense, SenseFormat::kFixed);
    EXPECT_EQ(fixed[0], 0x70);
    EXPECT_THAT(std::span(fixed).subspan(3, 4), ElementsAre(0, 0, 0, 0));
    sense.information = 0xFFFF'FFFF;
    EXPECT_EQ(bytes_of(sense, SenseFormat::kFixed)[0], 0xF0);
}

TEST(Sense, ANegativeResidueIsWholeInBothFormats) {
    Sense sense;
    sense.incorrect_length = true;
    sense.information = static_cast<std::uint64_t>(-512);
    const auto fixed = bytes_of(sense, SenseFormat::kFixed);
    EXPECT_THAT(std::span(fixed).first(7), ElementsAre(0xF0, 0, 0x20, 0xFF, 0xFF, 0xFE, 0x00));
    const auto decoded = encode(sense, SenseFormat::kDescriptor).decode();
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->information, sense.information);
    EXPECT_TRUE(decoded->incorrect_length);
}

TEST(Sense, BothFormatsDecodeToWhatWasEncoded) {
    for (const SenseFormat format : {SenseFormat::kFixed, SenseFormat::kDescriptor}) {
        Sense sense = Sense::of(SenseKey::kBlankCheck, SenseCode::kEndOfDataDetected);
        sense.information = 7;
        sense.filemark = sense.end_of_medium = true;
        const auto decoded = encode(sense, format).decode();
        ASSERT_TRUE(decoded);
        EXPECT_EQ(decoded->key, sense.key);
        EXPECT_EQ(decoded->code, sense.code);
        EXPECT_EQ(decoded->information, sense.information);
        EXPECT_TRUE(decoded->filemark && decoded->end_of_medium);
        EXPECT_FALSE(decoded->incorrect_length);
    }
}

TEST(Sense, DataOfADeviceThatEndEarlyDecodeAsFarAsTheyGo) {
    EXPECT_FALSE(SenseData().decode());
    EXPECT_FALSE(SenseData(std::array<std::uint8_t, 7>{0x70}).decode());
    EXPECT_FALSE(SenseData(std::array<std::uint8_t, 18>{0x7F}).decode());
    const auto short_one = SenseData(std::array<std::uint8_t, 8>{0x70, 0, 0x03}).decode();
    ASSERT_TRUE(short_one);
    EXPECT_EQ(short_one->key, SenseKey::kMediumError);
    EXPECT_EQ(short_one->code, SenseCode::kNoAdditionalSense);
}

TEST(Sense, DescriptorsThatClaimMoreThanThereIsAreIgnored) {
    // ADDITIONAL SENSE LENGTH says 244, an information descriptor says 200.
    const auto decoded =
        SenseData(std::array<std::uint8_t, 20>{0x72, 0x05, 0x24, 0, 0, 0, 0, 244, 0, 200, 0x80}).decode();
    ASSERT_TRUE(decoded);
    EXPECT_FALSE(decoded->information);
}

TEST(Sense, DeferredErrorsDecode) {
    const auto fixed =
        SenseData(std::array<std::uint8_t, 18>{0x71, 0, 0x03, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x0C}).decode();
    ASSERT_TRUE(fixed);
    EXPECT_EQ(fixed->code, SenseCode::kWriteError);
}

TEST(Sense, MoreThanTheLongestSenseDataIsCut) {
    const std::vector<std::uint8_t> much(300, 0x70);
    EXPECT_EQ(SenseData(much).bytes().size(), 252u);
}

} // namespace
} // namespace touka::scsi
