#include "scsi/iscsi/text_keys.hpp"

#include <gtest/gtest.h>

#include "scsi/iscsi/chap.hpp"

namespace touka::scsi::iscsi {

using Bytes = std::vector<std::uint8_t>;

TEST(IscsiTextKeys, PairsEndWithZeroBytes) {
    const auto pairs = parse_text(std::string_view("A=1\0B=x=y\0\0C=\0D=last", 21));
    ASSERT_TRUE(pairs);
    ASSERT_EQ(pairs->size(), 4u);
    EXPECT_EQ((*pairs)[1].key, "B");
    EXPECT_EQ((*pairs)[1].value, "x=y");
    EXPECT_EQ((*pairs)[2].value, "");
    EXPECT_EQ((*pairs)[3].value, "last");
}

TEST(IscsiTextKeys, MalformedPairsAreTold) {
    EXPECT_EQ(parse_text("nothing").error(), TextError::kNoEqualsSign);
    EXPECT_EQ(parse_text("=v").error(), TextError::kBadKey);
    EXPECT_EQ(parse_text("a b=v").error(), TextError::kBadKey);
    EXPECT_EQ(parse_text(std::string(64, 'k') + "=v").error(), TextError::kBadKey);
    EXPECT_TRUE(parse_text(std::string(63, 'k') + "=v"));
    std::string many;
    for (std::size_t i = 0; i <= kKeysLimit; ++i) many += std::string("k=1") + '\0';
    EXPECT_EQ(parse_text(many).error(), TextError::kTooManyKeys);
}

TEST(IscsiTextKeys, NumbersAreDecimalOrHexadecimal) {
    EXPECT_EQ(parse_number("4294967295"), 0xFFFF'FFFFu);
    EXPECT_EQ(parse_number("0x1F"), 31u);
    for (const char* value : {"", "-1", "+1", "1 ", "0x", "4294967296", "0xg", "1.0"}) {
        EXPECT_FALSE(parse_number(value)) << value;
    }
}

TEST(IscsiTextKeys, BinaryValuesAreHexadecimalOrBase64) {
    EXPECT_EQ(parse_binary("0x0102fF", 8), (Bytes{1, 2, 255}));
    EXPECT_EQ(parse_binary("0x123", 8), (Bytes{1, 0x23}));
    EXPECT_EQ(parse_binary("0bAQID", 8), (Bytes{1, 2, 3}));
    EXPECT_EQ(parse_binary("0BAQ==", 8), (Bytes{1}));
    EXPECT_EQ(parse_binary("0bAQI=", 8), (Bytes{1, 2}));
    for (const char* value :
         {"", "0", "0x", "0b", "0xzz", "0bA", "0bAQ=", "0b====", "0bAQ=I", "1x00", "12", "0bA==="}) {
        EXPECT_FALSE(parse_binary(value, 8)) << value;
    }
    EXPECT_FALSE(parse_binary("0x010203", 2));
    EXPECT_FALSE(parse_binary("0bAQID", 2));
    EXPECT_TRUE(parse_binary("0bAQI=", 2));
    EXPECT_EQ(hexadecimal(Bytes{0, 0xAB}), "0x00ab");
}

TEST(IscsiTextKeys, NamesHaveTheirLimits) {
    EXPECT_TRUE(is_iscsi_name("iqn.2026-01.test:disk.1"));
    for (const std::string& name :
         {std::string(), std::string(224, 'a'), std::string("iqn.a b"), std::string("iqn,i"), std::string("a\n")}) {
        EXPECT_FALSE(is_iscsi_name(name)) << name;
    }
}

TEST(IscsiChap, ResponseOfKnownValues) {
    // MD5 of the identifier 1, "secret" and the challenge 02h 03h, from md5sum.
    EXPECT_EQ(hexadecimal(chap_response(ChapAlgorithm::kMd5, 1, "secret", Bytes{2, 3})),
              "0xf506c24f35d1c70e450edb8fdf933478");
    EXPECT_EQ(chap_response(ChapAlgorithm::kSha1, 1, "s", Bytes{2}).size(), 20u);
    EXPECT_EQ(chap_response(ChapAlgorithm::kSha3, 1, "s", Bytes{2}).size(), 32u);
    EXPECT_FALSE(chap_digest_bytes(ChapAlgorithm(9)));
}

TEST(IscsiChap, WithoutRandomBytesNobodyGetsIn) {
    ChapAuthenticator chap({"u", "s"}, {}, [](std::span<std::uint8_t>) { return false; });
    std::string reply;
    EXPECT_FALSE(chap.step({.algorithms = "5"}, reply));
    EXPECT_FALSE(chap.done());
}

TEST(IscsiChap, ResponseWithoutAChallengeIsRefused) {
    ChapAuthenticator chap({"u", "s"}, {});
    std::string reply;
    EXPECT_TRUE(chap.step({}, reply));
    EXPECT_FALSE(chap.step({.name = "u", .response = "0x00"}, reply));
    EXPECT_FALSE(chap.done());
}

} // namespace touka::scsi::iscsi
