#include "platform/acpi/aml/term.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/acpi/aml/resource_template.hpp"

namespace touka::platform::acpi::aml {
namespace {

using testing::ElementsAre;

TEST(AmlPackageLength, CountsItselfAndGrowsWhereTheSpecificationSays) {
    EXPECT_THAT(package_length(0), ElementsAre(0x01));
    EXPECT_THAT(package_length(62), ElementsAre(0x3F));
    EXPECT_THAT(package_length(63), ElementsAre(0x41, 0x04)); // 65 = 0x041
    EXPECT_THAT(package_length(0xFFF - 2), ElementsAre(0x4F, 0xFF));
    EXPECT_THAT(package_length(0xFFF - 1), ElementsAre(0x81, 0x00, 0x01)); // 0x1001
    EXPECT_THAT(package_length(0xF'FFFF - 3), ElementsAre(0x8F, 0xFF, 0xFF));
    EXPECT_THAT(package_length(0xF'FFFF - 2), ElementsAre(0xC1, 0x00, 0x00, 0x01)); // 0x10'0001
}

TEST(AmlNameString, PadsSegmentsAndPrefixesPaths) {
    EXPECT_THAT(name_string("\\"), ElementsAre('\\', 0));
    EXPECT_THAT(name_string("_SB"), ElementsAre('_', 'S', 'B', '_'));
    EXPECT_THAT(name_string("^COM1"), ElementsAre('^', 'C', 'O', 'M', '1'));
    EXPECT_THAT(name_string("\\_SB.PCI0"), ElementsAre('\\', 0x2E, '_', 'S', 'B', '_', 'P', 'C', 'I', '0'));
    EXPECT_THAT(name_string("A.B.C"), ElementsAre(0x2F, 3, 'A', '_', '_', '_', 'B', '_', '_', '_', 'C', '_', '_', '_'));
}

TEST(AmlInteger, TakesTheShortestForm) {
    EXPECT_THAT(integer(0).bytes, ElementsAre(0x00));
    EXPECT_THAT(integer(1).bytes, ElementsAre(0x01));
    EXPECT_THAT(integer(~std::uint64_t{0}).bytes, ElementsAre(0xFF));
    EXPECT_THAT(integer(0xFF).bytes, ElementsAre(0x0A, 0xFF));
    EXPECT_THAT(integer(0x100).bytes, ElementsAre(0x0B, 0x00, 0x01));
    EXPECT_THAT(integer(0x1'0000).bytes, ElementsAre(0x0C, 0, 0, 1, 0));
    EXPECT_THAT(integer(0x1'0000'0000).bytes, ElementsAre(0x0E, 0, 0, 0, 0, 1, 0, 0, 0));
}

TEST(AmlData, EncodesStringsBuffersAndPackages) {
    const std::uint8_t contents[] = {0xAB, 0xCD};
    EXPECT_THAT(string("Hi").bytes, ElementsAre(0x0D, 'H', 'i', 0));
    EXPECT_THAT(buffer(contents).bytes, ElementsAre(0x11, 0x05, 0x0A, 0x02, 0xAB, 0xCD));
    EXPECT_THAT(package({integer(1), integer(0)}).bytes, ElementsAre(0x12, 0x04, 0x02, 0x01, 0x00));
}

TEST(AmlData, CompressesEisaIds) {
    // ACPI 6.4 §19.6.36: EISAID("PNP0303") is 0x0303D041.
    EXPECT_THAT(eisa_id("PNP0303").bytes, ElementsAre(0x0C, 0x41, 0xD0, 0x03, 0x03));
}

TEST(AmlData, OrdersTheBytesOfUuids) {
    // ACPI 6.4 §19.6.142: aabbccdd-eeff-gghh-iijj-kkllmmnnoopp
    EXPECT_THAT(uuid("00112233-4455-6677-8899-AABBCCDDEEFF").bytes,
                ElementsAre(0x11, 0x13, 0x0A, 0x10, 0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xAA,
                            0xBB, 0xCC, 0xDD, 0xEE, 0xFF));
}

TEST(AmlObjects, EncodeNameScopeDeviceAndMethod) {
    EXPECT_THAT(name("_UID", integer(1)).bytes, ElementsAre(0x08, '_', 'U', 'I', 'D', 0x01));
    EXPECT_THAT(scope("_SB", {}).bytes, ElementsAre(0x10, 0x05, '_', 'S', 'B', '_'));
    EXPECT_THAT(device("DEV0", {name("_UID", integer(0))}).bytes,
                ElementsAre(0x5B, 0x82, 0x0B, 'D', 'E', 'V', '0', 0x08, '_', 'U', 'I', 'D', 0x00));
    EXPECT_THAT(method("MTH0", 2, {give_back(arg(1))}).bytes,
                ElementsAre(0x14, 0x08, 'M', 'T', 'H', '0', 0x02, 0xA4, 0x69));
    EXPECT_THAT(create_dword_field(arg(3), 8, "CDW3").bytes, ElementsAre(0x8A, 0x6B, 0x0A, 0x08, 'C', 'D', 'W', '3'));
}

TEST(AmlStatements, EncodeConditionsAndOperators) {
    EXPECT_THAT(if_then(equal(arg(0), integer(1)), {store(integer(0), local(7))}).bytes,
                ElementsAre(0xA0, 0x07, 0x93, 0x68, 0x01, 0x70, 0x00, 0x67));
    EXPECT_THAT(otherwise({give_back(integer(0))}).bytes, ElementsAre(0xA1, 0x03, 0xA4, 0x00));
    EXPECT_THAT(negate(local(0)).bytes, ElementsAre(0x92, 0x60));
    EXPECT_THAT(and_into(local(0), local(1), local(2)).bytes, ElementsAre(0x7B, 0x60, 0x61, 0x62));
    EXPECT_THAT(or_into(local(0), local(1), local(2)).bytes, ElementsAre(0x7D, 0x60, 0x61, 0x62));
}

TEST(AmlResourceTemplate, EncodesDescriptorsAndEndsWithAnEndTag) {
    const auto bytes = ResourceTemplate{}.io(0x3F8, 8).irq(4).build().bytes;
    EXPECT_THAT(bytes, ElementsAre(0x11, 0x10, 0x0A, 0x0D, 0x47, 0x01, 0xF8, 0x03, 0xF8, 0x03, 0x01, 0x08, 0x22, 0x10,
                                   0x00, 0x79, 0x00));
}

TEST(AmlResourceTemplate, UsesSixtyFourBitsOnlyWhereAddressesNeedThem) {
    constexpr std::size_t kBufferHead = 4;
    const auto below = ResourceTemplate{}.memory_window({GuestAddress{0xC000'0000}, 0x1000}).build().bytes;
    const auto above = ResourceTemplate{}.memory_window({GuestAddress{0x1'0000'0000}, 0x1000}).build().bytes;
    const auto fixed = ResourceTemplate{}.memory_fixed({GuestAddress{0xFED0'0000}, 0x400}).build().bytes;
    EXPECT_EQ(below[kBufferHead], 0x87);
    EXPECT_EQ(above[kBufferHead], 0x8A);
    EXPECT_EQ(fixed[kBufferHead], 0x86);
}

} // namespace
} // namespace touka::platform::acpi::aml
