#include "scsi/cdb.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "scsi/disk/block_cdb.hpp"
#include "spec/scsi/lun.hpp"

namespace touka::scsi {
namespace {

using spec::scsi::Lun;

TEST(Cdb, BytesBeyondItsEndReadZero) {
    const Cdb cdb(std::vector<std::uint8_t>{0x28, 0xFF});
    EXPECT_EQ(cdb[1], 0xFF);
    EXPECT_EQ(cdb[2], 0);
    EXPECT_EQ(cdb[Cdb::kLimitBytes - 1], 0);
    EXPECT_EQ(cdb.bytes().size(), 2u);
}

TEST(Cdb, AnEmptyOneIsTestUnitReady) { EXPECT_EQ(Cdb(std::vector<std::uint8_t>{}).operation_code(), 0); }

TEST(Cdb, MoreThanTheLongestIsDropped) {
    EXPECT_EQ(Cdb(std::vector<std::uint8_t>(400, 0x7F)).bytes().size(), Cdb::kLimitBytes);
}

TEST(Cdb, TheServiceActionIsWhereTheOperationCodePutsIt) {
    EXPECT_EQ(Cdb(std::vector<std::uint8_t>{0xA3, 0xEC}).service_action(), 0x0C);
    EXPECT_EQ(Cdb(std::vector<std::uint8_t>{0x28, 0x1F}).service_action(), 0);
    std::vector<std::uint8_t> variable(32);
    variable[0] = 0x7F;
    variable[8] = 0x12;
    variable[9] = 0x34;
    EXPECT_EQ(Cdb(variable).service_action(), 0x1234);
}

TEST(BlockCdb, EachSizeHasItsFields) {
    const auto range = [](std::vector<std::uint8_t> bytes) { return block_range(Cdb(bytes)); };
    const auto six = range({0x08, 0xFF, 0x02, 0x03, 0x04, 0});
    EXPECT_EQ(six.lba, 0x1F'0203u);
    EXPECT_EQ(six.count, 4u);
    EXPECT_EQ(range({0x08, 0, 0, 0, 0, 0}).count, 256u);
    const auto ten = range({0x28, 0, 1, 2, 3, 4, 0, 5, 6, 0});
    EXPECT_EQ(ten.lba, 0x0102'0304u);
    EXPECT_EQ(ten.count, 0x0506u);
    const auto twelve = range({0xA8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0});
    EXPECT_EQ(twelve.lba, 0x0102'0304u);
    EXPECT_EQ(twelve.count, 0x0506'0708u);
    const auto sixteen = range({0x88, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0});
    EXPECT_EQ(sixteen.lba, 0x0102'0304'0506'0708u);
    EXPECT_EQ(sixteen.count, 0x090A'0B0Cu);
    std::vector<std::uint8_t> variable(32);
    variable[0] = 0x7F;
    variable[19] = 5;
    variable[31] = 6;
    variable[10] = 0x08;
    EXPECT_EQ(range(variable).lba, 5u);
    EXPECT_EQ(range(variable).count, 6u);
    EXPECT_EQ(block_flags(Cdb(variable)), 0x08);
    EXPECT_EQ(block_flags(Cdb(std::vector<std::uint8_t>{0x08, 0x1F})), 0) << "READ(6) has the address there";
}

TEST(Lun, EveryNumberGoesToTheWireAndBack) {
    for (std::uint32_t number = 0; number <= Lun::kLargestNumber; ++number) {
        EXPECT_EQ(Lun::from_number(number).number(), number);
    }
    EXPECT_EQ(Lun::from_number(255).value, 0x00FF'0000'0000'0000u);
    EXPECT_EQ(Lun::from_number(256).value, 0x4100'0000'0000'0000u);
}

TEST(Lun, FlatAddressingOfSmallNumbersIsTheSameNumber) { EXPECT_EQ(Lun{0x4005'0000'0000'0000}.number(), 5u); }

TEST(Lun, OtherFormsHaveNoNumber) {
    EXPECT_FALSE(spec::scsi::kReportLunsWellKnownLun.number());
    EXPECT_FALSE(Lun{0x0100'0000'0000'0000}.number()) << "another bus";
    EXPECT_FALSE(Lun{0x8000'0000'0000'0000}.number()) << "logical unit addressing";
    EXPECT_FALSE(Lun{0x0001'0001'0000'0000}.number()) << "a second level";
}

} // namespace
} // namespace touka::scsi
