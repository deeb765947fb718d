#include <gmock/gmock.h>

#include <map>

#include "scsi/copy/copy_list_builder.hpp"
#include "scsi/copy/copy_manager.hpp"
#include "scsi/disk/powered_disk.hpp"

namespace touka::scsi {
namespace {

using namespace spec::scsi::operation;

struct Directory final : CopyDirectory {
    [[nodiscard]] std::optional<CopyEndpoint> find(std::uint64_t naa) const override {
        const auto found = units.find(naa);
        return found == units.end() ? std::nullopt : std::optional(found->second);
    }
    std::map<std::uint64_t, CopyEndpoint> units;
};

/// Two disks, of which the first copies.
class ProtectedCopy {
public:
    ProtectedCopy(std::optional<ProtectionType> first, std::optional<ProtectionType> second)
        : one({.protection = first}), two({.protection = second}) {
        directory.units = {{1, {&one.unit->unit(), &one.unit->core()}}, {2, {&two.unit->unit(), &two.unit->core()}}};
        one.nexus.units = {{Lun::from_number(0), &one.unit->unit()}, {Lun::from_number(1), &two.unit->unit()}};
        manager.emplace(*one.unit, directory);
    }
    TestTask& copy(const CopySegment& segment) {
        auto list = copy_list(1, {copy_target(1), copy_target(2)}, {segment});
        const auto cdb = extended_copy_cdb(list.size());
        return one.run(cdb, std::move(list));
    }

    PoweredDisk one, two;
    Directory directory;
    std::optional<CopyManager> manager;
};

constexpr CopySegment kThere{.source = 0, .destination = 1, .count = 5, .source_lba = 60, .destination_lba = 100};
constexpr std::uint8_t kChecked = 1 << 5, kUnchecked = 3 << 5;

TEST(ProtectedCopy, InformationIsMadeForTheDestinationsBlocks) {
    ProtectedCopy disks(ProtectionType::kType1, ProtectionType::kType1);
    ASSERT_TRUE(disks.one.good(cdb16(kWrite16, 0, 60, 5), pattern(5, 1)));
    EXPECT_EQ(disks.copy(kThere).status, Status::kGood);
    EXPECT_TRUE(std::ranges::equal(disks.two.run(cdb16(kRead16, 0, 100, 5)).received(), pattern(5, 1)));
    const auto read = disks.two.run(cdb16(kRead16, kChecked, 100, 5)).received();
    ASSERT_EQ(read.size(), 5 * 520u) << "the reference tags fit";
    EXPECT_EQ(spec::scsi::load_number(read.subspan(516, 4)), 100u);
}

TEST(ProtectedCopy, ADestinationWithProtectionTakesBlocksOfADiskWithoutIt) {
    ProtectedCopy disks(std::nullopt, ProtectionType::kType1);
    ASSERT_TRUE(disks.one.good(cdb16(kWrite16, 0, 60, 5), pattern(5, 1)));
    EXPECT_EQ(disks.copy(kThere).status, Status::kGood);
    EXPECT_EQ(disks.two.run(cdb16(kRead16, kChecked, 100, 5)).received().size(), 5 * 520u);
}

TEST(ProtectedCopy, ADestinationWithoutProtectionTakesTheData) {
    ProtectedCopy disks(ProtectionType::kType1, std::nullopt);
    ASSERT_TRUE(disks.one.good(cdb16(kWrite16, 0, 60, 5), pattern(5, 1)));
    EXPECT_EQ(disks.copy(kThere).status, Status::kGood);
    EXPECT_EQ(disks.two.blocks(100, 5), pattern(5, 1));
}

TEST(ProtectedCopy, ASourceWhoseInformationDoesNotFitIsNotCopied) {
    ProtectedCopy disks(ProtectionType::kType1, ProtectionType::kType1);
    ASSERT_TRUE(disks.one.good(cdb16(kWrite16, kUnchecked, 60, 1), Bytes(520, 0x5A)));
    const auto& task = disks.copy(kThere);
    EXPECT_EQ(task.sense_key(), SenseKey::kCopyAborted);
    ASSERT_EQ(task.sense.bytes()[8], 18) << "the source's answer";
    EXPECT_EQ(SenseData(task.sense.bytes().subspan(19)).decode()->code, SenseCode::kLogicalBlockGuardCheckFailed);
    EXPECT_EQ(disks.two.blocks(100, 1), Bytes(512));
}

TEST(ProtectedCopy, ASegmentWithinADiskWithProtectionMayOverlap) {
    ProtectedCopy disks(ProtectionType::kType1, std::nullopt);
    ASSERT_TRUE(disks.one.good(cdb16(kWrite16, 0, 0, 3000), pattern(3000, 1)));
    EXPECT_EQ(disks.copy({.count = 3000, .source_lba = 0, .destination_lba = 70}).status, Status::kGood);
    EXPECT_TRUE(std::ranges::equal(disks.one.run(cdb16(kRead16, 0, 70, 3000)).received(), pattern(3000, 1)));
}

} // namespace
} // namespace touka::scsi
