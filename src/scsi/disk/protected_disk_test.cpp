#include <gtest/gtest.h>

#include "scsi/disk/powered_disk.hpp"
#include "storage/memory_volume.hpp"

namespace touka::scsi {
namespace {

using namespace spec::scsi;
using namespace spec::scsi::operation;

constexpr std::uint8_t protect(unsigned code) { return static_cast<std::uint8_t>(code << 5); }

/// Blocks with information after each, as WRITE with WRPROTECT sends them.
Bytes mixed(const Bytes& data, ProtectionTags tags, std::uint16_t application_tag = 0x1122) {
    const std::size_t count = data.size() / 512;
    Bytes information(count * kProtectionBytes), bytes(count * 520);
    make_protection(data, 512, tags, application_tag, information);
    if (tags.reference && tags.type != ProtectionType::kType1) {
        for (std::size_t i = 0; i < count; ++i) {
            store_number(std::span(information).subspan(i * 8 + 4, 4), *tags.reference + i);
        }
    }
    mix_protection(data, information, 512, bytes);
    return bytes;
}
Bytes type1(const Bytes& data, std::uint32_t lba, std::uint16_t application_tag = 0x1122) {
    return mixed(data, {.type = ProtectionType::kType1, .reference = lba}, application_tag);
}

class Type1Disk : public testing::Test {
protected:
    ProtectionInformation information(std::uint64_t lba) {
        const auto bytes = disk.run(cdb16(kRead16, protect(3), lba, 1)).received();
        EXPECT_EQ(bytes.size(), 520u);
        return ProtectionInformation::load(bytes.subspan(512));
    }
    PoweredDisk disk{{.journal = true, .protection = ProtectionType::kType1}};
};

TEST(ProtectedDisk, TellsItsTypeWhereInitiatorsLookForIt) {
    for (const auto type :
         {ProtectionType::kNone, ProtectionType::kType1, ProtectionType::kType2, ProtectionType::kType3}) {
        PoweredDisk disk({.protection = type});
        EXPECT_EQ(disk.run({kInquiry, 0, 0, 0, 96, 0}).received()[5] & 1, 1);
        EXPECT_EQ(disk.run({kInquiry, 1, 0x86, 0, 64, 0}).received()[4], 0x3F);
        Bytes read_capacity = cdb16(kServiceActionIn16, 0x10, 0, 32);
        const std::array<std::uint8_t, 4> expected{0, 1, 3, 5};
        EXPECT_EQ(disk.run(read_capacity).received()[12], expected[static_cast<std::size_t>(type)]);
    }
    PoweredDisk plain({});
    EXPECT_EQ(plain.run({kInquiry, 0, 0, 0, 96, 0}).received()[5] & 1, 0);
    EXPECT_EQ(plain.run(cdb16(kRead16, protect(1), 0, 1)).sense_code(), SenseCode::kInvalidFieldInCdb);
}

TEST_F(Type1Disk, KeepsTheInformationThatWasSent) {
    const Bytes sent = type1(pattern(5, 1), 60); // over the end of a sector of the side file
    ASSERT_TRUE(disk.good(cdb16(kWrite16, protect(1) | 0x08, 60, 5), sent));
    EXPECT_TRUE(std::ranges::equal(disk.run(cdb16(kRead16, protect(1), 60, 5)).received(), sent));
    EXPECT_TRUE(std::ranges::equal(disk.run(cdb16(kRead16, 0, 60, 5)).received(), pattern(5, 1)));
    EXPECT_EQ(disk.blocks(60, 5), pattern(5, 1)) << "the disk's own file has blocks only";
    EXPECT_EQ(information(59), ProtectionInformation{});
    EXPECT_EQ(information(65), ProtectionInformation{});
    disk.restart(true);
    EXPECT_TRUE(std::ranges::equal(disk.run(cdb16(kRead16, protect(1), 60, 5)).received(), sent));
}

TEST_F(Type1Disk, MakesInformationForBlocksThatComeWithoutIt) {
    ASSERT_TRUE(disk.good(cdb16(kWrite16, 0, 7, 2), pattern(2, 1)));
    const auto made = information(8);
    EXPECT_EQ(made.reference_tag, 8u);
    EXPECT_EQ(made.application_tag, 0xFFFF);
    const Bytes expected = type1(pattern(2, 1), 7);
    EXPECT_EQ(made.guard, load_number(std::span(expected).last(8).first(2)));
}

TEST_F(Type1Disk, WithoutAtoPlainWritesAreCheckedToo) {
    Bytes list{0, 0, 0, 0, 0x0A, 0x0A, 0, 0x10, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0};
    ASSERT_TRUE(disk.good({kModeSelect6, 0x10, 0, 0, 16, 0}, list));
    ASSERT_TRUE(disk.good(cdb16(kWrite16, 0, 7, 2), pattern(2, 1)));
    EXPECT_EQ(information(8).application_tag, 0);
    // Rot in the disk's file:
    Bytes one(512, 0xEE);
    const iovec buffer{.iov_base = one.data(), .iov_len = one.size()};
    storage::BlockRequest request{.operation = storage::BlockOperation::kWrite,
                                  .offset_bytes = 8 * 512,
                                  .length_bytes = 512,
                                  .buffers = std::span(&buffer, 1),
                                  .complete = [](storage::BlockStatus) {}};
    disk.disk.submit(request);
    const TestTask& read = disk.run(cdb16(kRead16, 0, 6, 4));
    EXPECT_EQ(read.sense_code(), SenseCode::kLogicalBlockGuardCheckFailed);
    EXPECT_EQ(read.sense_key(), SenseKey::kAbortedCommand);
    EXPECT_EQ(read.sense.decode()->information, 8u);
    EXPECT_TRUE(read.received().empty());
}

TEST_F(Type1Disk, RefusesToWriteWhatFailsItsCheckAndWritesNothing) {
    ASSERT_TRUE(disk.good(cdb16(kWrite16, protect(1), 0, 4), type1(pattern(4, 1), 0)));
    Bytes bad = type1(pattern(4, 2), 0);
    bad[520 * 2 + 3] ^= 1;
    TestTask* write = &disk.run(cdb16(kWrite16, protect(1), 0, 4), bad);
    EXPECT_EQ(write->sense_code(), SenseCode::kLogicalBlockGuardCheckFailed);
    EXPECT_EQ(write->sense.decode()->information, 2u);
    write = &disk.run(cdb16(kWrite16, protect(1), 0, 4), type1(pattern(4, 2), 1));
    EXPECT_EQ(write->sense_code(), SenseCode::kLogicalBlockReferenceTagCheckFailed);
    EXPECT_EQ(disk.blocks(0, 4), pattern(4, 1));
    EXPECT_TRUE(disk.good(cdb16(kWrite16, protect(4), 0, 4), type1(pattern(4, 2), 1))) << "guard only";
    EXPECT_EQ(disk.run(cdb16(kRead16, 0, 0, 4)).sense_code(), SenseCode::kLogicalBlockReferenceTagCheckFailed);
    EXPECT_TRUE(disk.good(cdb16(kRead16, protect(4), 0, 4)));
    EXPECT_TRUE(disk.good(cdb16(kRead16, protect(3), 0, 4)));
}

TEST_F(Type1Disk, RefusesCodesAndCommandsThatItsTypeDoesNotHave) {
    for (const unsigned code : {6u, 7u}) {
        EXPECT_EQ(disk.run(cdb16(kRead16, protect(code), 0, 1)).sense_code(), SenseCode::kInvalidFieldInCdb);
    }
    EXPECT_EQ(disk.run(cdb32(service_action::kRead32, 0, 0, 1, 0)).sense_code(),
              SenseCode::kInvalidCommandOperationCode);
}

TEST_F(Type1Disk, GivesWhatFitsIntoASmallerBufferAndTakesWholeBlocksOfASmallerOne) {
    ASSERT_TRUE(disk.good(cdb16(kWrite16, protect(1), 0, 4), type1(pattern(4, 1), 0)));
    const TestTask& read = disk.run(cdb16(kRead16, protect(1), 0, 4), {}, 1000);
    EXPECT_EQ(read.status, Status::kGood);
    EXPECT_EQ(read.received().size(), 1000u);
    EXPECT_EQ(read.transfer_bytes, 4 * 520u);
    Bytes sent = type1(pattern(4, 2), 0);
    sent.resize(2 * 520 + 100);
    EXPECT_TRUE(disk.good(cdb16(kWrite16, protect(1), 0, 4), sent));
    Bytes expected = pattern(4, 2);
    const Bytes before = pattern(4, 1);
    std::copy(before.begin() + 1024, before.end(), expected.begin() + 1024);
    EXPECT_EQ(disk.blocks(0, 4), expected);
    EXPECT_EQ(information(2).reference_tag, 2u);
}

TEST_F(Type1Disk, TransfersOfManyChunksKeepTheirTags) {
    const std::uint32_t count = 3000;
    const Bytes data = pattern(count, 3);
    ASSERT_TRUE(disk.good(cdb16(kWrite16, protect(1), 13, count), type1(data, 13)));
    const TestTask& read = disk.run(cdb16(kRead16, protect(1), 13, count));
    EXPECT_TRUE(std::ranges::equal(read.received(), type1(data, 13)));
}

TEST_F(Type1Disk, VerifyChecksTheMediumAndComparesBlocksAndInformation) {
    const Bytes data = pattern(4, 1);
    ASSERT_TRUE(disk.good(cdb16(kWrite16, protect(1), 8, 4), type1(data, 8)));
    EXPECT_TRUE(disk.good(cdb16(kVerify16, protect(1), 8, 4)));
    EXPECT_TRUE(disk.good(cdb16(kVerify16, 0x02, 8, 4), data));
    EXPECT_TRUE(disk.good(cdb16(kVerify16, protect(1) | 0x02, 8, 4), type1(data, 8)));
    const TestTask& tag = disk.run(cdb16(kVerify16, protect(1) | 0x02, 8, 4), type1(data, 8, 0x1123));
    EXPECT_EQ(tag.sense_code(), SenseCode::kMiscompareDuringVerifyOperation);
    EXPECT_EQ(tag.sense.decode()->information, 512u + 3u);
    EXPECT_TRUE(disk.good(cdb16(kVerify16, protect(4) | 0x02, 8, 4), type1(data, 8, 0x1123)));
    ASSERT_TRUE(disk.good(cdb16(kWrite16, protect(3), 9, 1), type1(pattern(1, 9), 8)));
    EXPECT_EQ(disk.run(cdb16(kVerify16, 0, 8, 4)).sense.decode()->information, 9u);
    EXPECT_EQ(disk.run(cdb16(kVerify16, 0, 8, 4)).sense_code(), SenseCode::kLogicalBlockReferenceTagCheckFailed);
}

TEST_F(Type1Disk, VerifyWithOneBlockComparesItWithAll) {
    Bytes data;
    for (int i = 0; i < 4; ++i) {
        const Bytes one = pattern(1, 5);
        data.insert(data.end(), one.begin(), one.end());
    }
    ASSERT_TRUE(disk.good(cdb16(kWrite16, protect(1), 8, 4), type1(data, 8)));
    EXPECT_TRUE(disk.good(cdb16(kVerify16, protect(1) | 0x06, 8, 4), type1(pattern(1, 5), 8)));
    EXPECT_EQ(disk.run(cdb16(kVerify16, 0x06, 8, 4), pattern(1, 6)).sense_code(),
              SenseCode::kMiscompareDuringVerifyOperation);
}

TEST_F(Type1Disk, WriteAndVerifyWritesBoth) {
    const Bytes sent = type1(pattern(4, 7), 62);
    EXPECT_TRUE(disk.good(cdb16(kWriteAndVerify16, protect(1) | 0x02, 62, 4), sent));
    EXPECT_TRUE(std::ranges::equal(disk.run(cdb16(kRead16, protect(1), 62, 4)).received(), sent));
    EXPECT_TRUE(disk.good(cdb16(kWriteAndVerify16, 0, 62, 4), pattern(4, 8)));
    disk.restart(true);
    EXPECT_EQ(disk.blocks(62, 4), pattern(4, 8));
    EXPECT_EQ(information(65).reference_tag, 65u);
}

TEST_F(Type1Disk, CompareAndWriteTakesInformationInBothHalves) {
    ASSERT_TRUE(disk.good(cdb16(kWrite16, protect(1), 8, 2), type1(pattern(2, 1), 8)));
    Bytes cdb = cdb16(kCompareAndWrite, protect(1), 8, 2);
    Bytes both = type1(pattern(2, 1), 8), news = type1(pattern(2, 2), 8);
    both.insert(both.end(), news.begin(), news.end());
    EXPECT_TRUE(disk.good(cdb, both));
    EXPECT_TRUE(std::ranges::equal(disk.run(cdb16(kRead16, protect(1), 8, 2)).received(), news));
    EXPECT_EQ(disk.run(cdb, both).sense_code(), SenseCode::kMiscompareDuringVerifyOperation);
    Bytes bad = both;
    bad.back() ^= 1;
    EXPECT_EQ(disk.run(cdb, bad).sense_code(), SenseCode::kLogicalBlockReferenceTagCheckFailed);
    EXPECT_EQ(disk.run(cdb16(kCompareAndWrite, 0, 8, 2), both).sense_code(), SenseCode::kInvalidFieldInCdb);
}

TEST_F(Type1Disk, OrWriteMakesTheGuardOfTheOutcomeAndKeepsTheTagsThatWereSent) {
    ASSERT_TRUE(disk.good(cdb16(kWrite16, protect(1), 8, 2), type1(Bytes(1024, 0x0F), 8, 0x1111)));
    ASSERT_TRUE(disk.good(cdb16(kOrWrite16, protect(1), 8, 2), type1(Bytes(1024, 0x81), 8, 0x2222)));
    EXPECT_TRUE(
        std::ranges::equal(disk.run(cdb16(kRead16, protect(1), 8, 2)).received(), type1(Bytes(1024, 0x8F), 8, 0x2222)));
}

TEST_F(Type1Disk, WriteSameCountsTheReferenceTag) {
    ASSERT_TRUE(disk.good(cdb16(kWriteSame16, protect(1), 60, 300), type1(pattern(1, 4), 60)));
    EXPECT_EQ(information(60 + 299).reference_tag, 60u + 299u);
    EXPECT_EQ(information(60 + 299).application_tag, 0x1122);
    EXPECT_TRUE(disk.good(cdb16(kRead16, protect(1), 60, 300)));
    EXPECT_EQ(disk.run(cdb16(kWriteSame16, protect(1), 60, 3), type1(pattern(1, 4), 61)).sense_code(),
              SenseCode::kLogicalBlockReferenceTagCheckFailed);
    ASSERT_TRUE(disk.good(cdb16(kWriteSame16, 0, 70, 10), Bytes(512)));
    EXPECT_EQ(information(79).reference_tag, 79u);
    EXPECT_EQ(information(79).guard, 0);
    ASSERT_TRUE(disk.good(cdb16(kWriteSame16, 0x08, 70, 10), Bytes(512))); // UNMAP
    EXPECT_EQ(information(79), ProtectionInformation{});
    EXPECT_EQ(information(80).reference_tag, 80u);
    ASSERT_TRUE(disk.good(cdb16(kWriteSame16, 0x01, 60, 10))); // NDOB
    EXPECT_EQ(information(69), ProtectionInformation{});
    EXPECT_EQ(disk.blocks(69, 1), Bytes(512));
}

TEST_F(Type1Disk, UnmapMakesInformationThatOfBlocksThatNobodyWrote) {
    ASSERT_TRUE(disk.good(cdb16(kWrite16, protect(1), 0, 400), type1(pattern(400, 1), 0)));
    Bytes list(24);
    store_number(std::span(list).first(2), 22);
    store_number(std::span(list).subspan(2, 2), 16);
    store_number(std::span(list).subspan(8, 8), 10);
    store_number(std::span(list).subspan(16, 4), 300);
    ASSERT_TRUE(disk.good({kUnmap, 0, 0, 0, 0, 0, 0, 0, 24, 0}, list));
    EXPECT_NE(information(9), ProtectionInformation{});
    for (const std::uint64_t lba : {10, 63, 64, 128, 309}) EXPECT_EQ(information(lba), ProtectionInformation{});
    EXPECT_EQ(information(310).reference_tag, 310u);
    EXPECT_TRUE(disk.good(cdb16(kRead16, protect(1), 0, 400)));
}

TEST_F(Type1Disk, AtomicWritesTakeTheirInformationAlongWhereverThePowerGoes) {
    const Bytes old = type1(pattern(40, 1), 50), news = type1(pattern(40, 2), 50);
    for (std::uint32_t seed = 1; seed <= 4; ++seed) {
        for (std::size_t request = 1; request < 20; ++request) {
            PoweredDisk powered({.journal = true, .seed = seed, .protection = ProtectionType::kType1});
            ASSERT_TRUE(powered.good(cdb16(kWrite16, protect(1) | 0x08, 50, 40), old));
            powered.power.fail_at(request);
            const bool acknowledged = powered.good(write_atomic(50, 40, protect(1)), news);
            powered.restart();
            const auto found = powered.run(cdb16(kRead16, protect(1), 50, 40)).received();
            ASSERT_TRUE(std::ranges::equal(found, news) || (!acknowledged && std::ranges::equal(found, old)))
                << "seed " << seed << ", request " << request;
            if (acknowledged) break;
            ASSERT_LT(request, 19u);
        }
    }
}

TEST(Type2Disk, ChecksTheTagsThatTheCdbExpects) {
    PoweredDisk disk({.protection = ProtectionType::kType2});
    using namespace service_action;
    const Bytes data = pattern(4, 1);
    const Bytes sent = mixed(data, {.type = ProtectionType::kType2, .reference = 0xFFFF'FFFE});
    const auto cdb = [](std::uint16_t action, std::uint32_t reference, std::uint16_t application = 0,
                        std::uint16_t mask = 0) {
        return cdb32(action, protect(1), 8, 4, reference, application, mask);
    };
    ASSERT_TRUE(disk.good(cdb(kWrite32, 0xFFFF'FFFE, 0x1100, 0xFF00), sent));
    EXPECT_TRUE(std::ranges::equal(disk.run(cdb(kRead32, 0xFFFF'FFFE, 0x0022, 0x00FF)).received(), sent));
    EXPECT_EQ(disk.run(cdb(kRead32, 7)).sense_code(), SenseCode::kLogicalBlockReferenceTagCheckFailed);
    EXPECT_EQ(disk.run(cdb(kRead32, 0xFFFF'FFFE, 0x0023, 0x00FF)).sense_code(),
              SenseCode::kLogicalBlockApplicationTagCheckFailed);
    EXPECT_EQ(disk.run(cdb(kWrite32, 0xFFFF'FFFE, 0x1200, 0xFF00), sent).sense_code(),
              SenseCode::kLogicalBlockApplicationTagCheckFailed);
    EXPECT_TRUE(disk.good(cdb(kVerify32, 0xFFFF'FFFE)));
    EXPECT_TRUE(disk.good(cdb16(kRead16, 0, 8, 4))) << "without information any CDB does";
    EXPECT_EQ(disk.run(cdb16(kRead16, protect(1), 8, 4)).sense_code(), SenseCode::kInvalidCommandOperationCode);
    ASSERT_TRUE(
        disk.good(cdb(kWriteSame32, 100), mixed(pattern(1, 5), {.type = ProtectionType::kType2, .reference = 100})));
    EXPECT_TRUE(disk.good(cdb(kRead32, 100)));
}

TEST(Type3Disk, LeavesTheReferenceTagToItsInitiators) {
    PoweredDisk disk({.protection = ProtectionType::kType3});
    const Bytes sent = mixed(pattern(4, 1), {.type = ProtectionType::kType3, .reference = 77}, 0xFFFF);
    ASSERT_TRUE(disk.good(cdb16(kWrite16, protect(1), 8, 4), sent));
    EXPECT_TRUE(std::ranges::equal(disk.run(cdb16(kRead16, protect(1), 8, 4)).received(), sent));
    ASSERT_TRUE(disk.good(cdb16(kWriteSame16, protect(1), 8, 4), Bytes(sent.begin(), sent.begin() + 520)));
    const auto read = disk.run(cdb16(kRead16, protect(1), 11, 1)).received();
    EXPECT_EQ(load_number(read.subspan(516, 4)), 77u);
}

TEST(ProtectedDisk, FormatUnitChoosesTheTypeAndForgetsInformation) {
    PoweredDisk disk({.protection = ProtectionType::kType1});
    ASSERT_TRUE(disk.good(cdb16(kWrite16, 0, 0, 4), pattern(4, 1)));
    const auto format = [&](std::uint8_t information, std::uint8_t usage) -> TestTask& {
        return disk.run({kFormatUnit, static_cast<std::uint8_t>(information << 6 | 0x10), 0, 0, 0, 0},
                        {usage, 0, 0, 0});
    };
    const auto type = [&] { return disk.run(cdb16(kServiceActionIn16, 0x10, 0, 32)).received()[12]; };
    EXPECT_EQ(format(3, 1).status, Status::kGood);
    EXPECT_EQ(type(), 5);
    EXPECT_EQ(disk.blocks(0, 4), Bytes(4 * 512));
    EXPECT_EQ(load_number(disk.run(cdb16(kRead16, protect(1), 3, 1)).received().subspan(512, 8)), ~std::uint64_t{0});
    EXPECT_EQ(format(3, 0).status, Status::kGood);
    EXPECT_EQ(type(), 3);
    disk.restart(true);
    EXPECT_EQ(type(), 3) << "kept in the side file";
    EXPECT_EQ(format(2, 0).status, Status::kGood);
    EXPECT_EQ(type(), 1);
    EXPECT_EQ(format(1, 0).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(format(0, 1).sense_code(), SenseCode::kInvalidFieldInParameterList);
    EXPECT_EQ(format(3, 2).sense_code(), SenseCode::kInvalidFieldInParameterList);
    EXPECT_EQ(format(0, 0).status, Status::kGood);
    EXPECT_EQ(type(), 0);
    EXPECT_EQ(disk.run(cdb16(kRead16, protect(1), 0, 1)).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_TRUE(disk.good(cdb16(kWrite16, 0, 0, 4), pattern(4, 1)));
}

Job copy_blocks(ProtectedDisk& disk, BlockRange from, BlockRange to, std::optional<Sense>& outcome) {
    Bytes data;
    Step<ProtectedDisk::Verdict> reading = disk.read_blocks(from, data);
    outcome = co_await reading;
    if (outcome) co_return;
    Step<ProtectedDisk::Verdict> writing = disk.write_blocks(to, data, true);
    outcome = co_await writing;
}

TEST(ProtectedDisk, BlocksThatAreMovedPastTheCommandsAreCheckedAndGetInformation) {
    PoweredDisk disk({.protection = ProtectionType::kType1});
    ASSERT_TRUE(disk.good(cdb16(kWrite16, protect(1), 10, 2), type1(pattern(2, 1), 10)));
    std::optional<Sense> outcome;
    copy_blocks(*disk.unit->protection(), {10, 2}, {100, 2}, outcome);
    EXPECT_FALSE(outcome);
    EXPECT_TRUE(
        std::ranges::equal(disk.run(cdb16(kRead16, protect(1), 100, 2)).received(), type1(pattern(2, 1), 100, 0xFFFF)));
    ASSERT_TRUE(disk.good(cdb16(kWrite16, protect(3), 10, 2), type1(pattern(2, 1), 11)));
    copy_blocks(*disk.unit->protection(), {10, 2}, {100, 2}, outcome);
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->code, SenseCode::kLogicalBlockReferenceTagCheckFailed);
    EXPECT_EQ(outcome->information, 10u);
}

TEST(ProtectedDisk, OtherInitiatorsLearnThatTheTypeHasChanged) {
    PoweredDisk disk({.protection = ProtectionType::kType1});
    Nexus other;
    other.name.initiator.name = "other";
    disk.unit->unit().attach(other);
    const auto attention = [&] {
        TestTask task(other, {kTestUnitReady, 0, 0, 0, 0, 0});
        disk.unit->unit().submit(task);
        return task.sense_code().value_or(SenseCode::kNoAdditionalSense);
    };
    EXPECT_EQ(attention(), SenseCode::kPowerOnResetOrBusDeviceReset);
    ASSERT_TRUE(disk.good({kFormatUnit, 0x80, 0, 0, 0, 0})); // type 1 again
    EXPECT_EQ(attention(), SenseCode::kNoAdditionalSense);
    ASSERT_TRUE(disk.good({kFormatUnit, 0xC0, 0, 0, 0, 0}));
    EXPECT_EQ(attention(), SenseCode::kCapacityDataHasChanged);
    EXPECT_EQ(attention(), SenseCode::kNoAdditionalSense);
}

TEST(ProtectedDisk, DoesNotTakeAnotherDisksFile) {
    storage::MemoryVolume first(1 << 20), bigger(2 << 20), small(1 << 19), side(ProtectionStore::file_bytes(4096));
    Nexus nexus;
    const auto outcome = [&](storage::BlockDevice& volume) {
        DiskOptions options;
        options.protection = &side;
        DiskUnit unit(volume, std::move(options));
        unit.unit().attach(nexus);
        TestTask attention(nexus, {0, 0, 0, 0, 0, 0}), ready(nexus, {0, 0, 0, 0, 0, 0});
        unit.unit().submit(attention);
        unit.unit().submit(ready);
        return ready.sense_code().value_or(SenseCode::kNoAdditionalSense);
    };
    EXPECT_EQ(outcome(first), SenseCode::kNoAdditionalSense);
    EXPECT_EQ(outcome(small), SenseCode::kLogicalUnitFailure);
    EXPECT_EQ(outcome(bigger), SenseCode::kNoAdditionalSense) << "a disk may grow";
    EXPECT_EQ(outcome(first), SenseCode::kLogicalUnitFailure);
}

TEST(ProtectedDisk, AReadNeverSeesBlocksOfOneWriteWithInformationOfAnother) {
    storage::MemoryVolume volume(1 << 20), side(ProtectionStore::file_bytes(2048));
    DiskOptions options;
    options.protection = &side;
    DiskUnit unit(volume, std::move(options));
    Nexus nexus;
    unit.unit().attach(nexus);
    TestTask attention(nexus, {0, 0, 0, 0, 0, 0});
    unit.unit().submit(attention);
    side.held = true;
    TestTask write(nexus, cdb16(kWrite16, protect(1), 8, 4), type1(pattern(4, 1), 8));
    TestTask neighbour(nexus, cdb16(kWrite16, protect(1), 20, 1), type1(pattern(1, 2), 20));
    TestTask read(nexus, cdb16(kRead16, protect(1), 8, 4));
    for (TestTask* task : {&write, &neighbour, &read}) unit.unit().submit(*task);
    EXPECT_EQ(side.in_flight(), 1u); // the others wait for the first one's sector
    for (int i = 0; i < 6; ++i) side.complete_all();
    EXPECT_EQ(write.status, Status::kGood);
    EXPECT_EQ(neighbour.status, Status::kGood);
    EXPECT_TRUE(read.completed());
    EXPECT_TRUE(std::ranges::equal(read.received(), type1(pattern(4, 1), 8)));
}

} // namespace
} // namespace touka::scsi
