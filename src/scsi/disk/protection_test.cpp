#include "scsi/disk/protection.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "scsi/disk/crc.hpp"
#include "scsi/disk/powered_disk.hpp"

namespace touka::scsi {
namespace {

using spec::scsi::kProtectionBytes;

constexpr ProtectionChecks kAll{.guard = true, .application_tag = true, .reference_tag = true};

/// (SBC-4 annex D, table D.1)
TEST(ProtectionGuard, IsThatOfTheStandardsExamples) {
    Bytes bytes(32);
    EXPECT_EQ(GuardCrc::of(bytes), 0x0000);
    bytes[0] = bytes[1] = 0xFF;
    EXPECT_EQ(GuardCrc::of(bytes), 0x21B8);
    bytes.assign(32, 0xFF);
    EXPECT_EQ(GuardCrc::of(bytes), 0xA293);
    std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
    EXPECT_EQ(GuardCrc::of(bytes), 0x0224);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(0xFF - i);
    EXPECT_EQ(GuardCrc::of(bytes), 0xA0B7);
}

struct BlockRun {
    explicit BlockRun(ProtectionTags run_tags, std::uint16_t application_tag = 0) : tags(run_tags) {
        make_protection(data, 512, tags, application_tag, information);
    }
    [[nodiscard]] std::optional<ProtectionFailure> check(ProtectionChecks checks = kAll,
                                                         ProtectionSource source = ProtectionSource::kMedium) const {
        return check_protection(data, information, 512, tags, checks, source);
    }
    [[nodiscard]] ProtectionInformation of(std::size_t block) const {
        return ProtectionInformation::load(std::span(information).subspan(block * kProtectionBytes));
    }
    void set(std::size_t block, ProtectionInformation value) {
        value.store(std::span(information).subspan(block * kProtectionBytes));
    }
    Bytes data = pattern(4, 1), information = Bytes(4 * kProtectionBytes);
    ProtectionTags tags;
};

TEST(Protection, ThatWasMadePassesEveryCheckAndCountsModulo32Bits) {
    const BlockRun run({.type = ProtectionType::kType1, .reference = 0xFFFF'FFFE});
    EXPECT_FALSE(run.check());
    EXPECT_EQ(run.of(0).reference_tag, 0xFFFF'FFFEu);
    EXPECT_EQ(run.of(3).reference_tag, 1u);
    EXPECT_EQ(run.of(3).guard, GuardCrc::of(std::span(run.data).subspan(3 * 512)));
    const BlockRun type3({.type = ProtectionType::kType3});
    EXPECT_EQ(type3.of(2).reference_tag, 0xFFFF'FFFFu);
}

TEST(Protection, TellsWhichBlockFailsWhichCheck) {
    BlockRun run({.type = ProtectionType::kType1, .reference = 5, .application = 0x1234, .application_mask = 0xFF00},
                 0x12FF);
    EXPECT_FALSE(run.check());
    run.data[2 * 512 + 100] ^= 1;
    ASSERT_TRUE(run.check());
    EXPECT_EQ(run.check()->block, 2u);
    EXPECT_EQ(run.check()->fault, ProtectionFault::kGuard);
    EXPECT_FALSE(run.check(protection_checks(2)));
    EXPECT_FALSE(run.check(protection_checks(3)));
    EXPECT_TRUE(run.check(protection_checks(4)));
    run.data[2 * 512 + 100] ^= 1;
    auto information = run.of(1);
    information.application_tag ^= 0x0100;
    run.set(1, information);
    EXPECT_EQ(run.check()->fault, ProtectionFault::kApplicationTag);
    EXPECT_EQ(run.check(protection_checks(2))->block, 1u);
    EXPECT_FALSE(run.check(protection_checks(4)));
    information.application_tag ^= 0x0100;
    information.reference_tag = 5;
    run.set(1, information);
    EXPECT_EQ(run.check()->fault, ProtectionFault::kReferenceTag);
}

TEST(Protection, EscapesStopChecksOfWhatIsReadButNotOfWhatIsSent) {
    BlockRun run({.type = ProtectionType::kType1, .reference = 5});
    run.set(2, {.guard = 1, .application_tag = 0xFFFF, .reference_tag = 9});
    EXPECT_FALSE(run.check());
    EXPECT_TRUE(run.check(kAll, ProtectionSource::kInitiator));
    run.tags.type = ProtectionType::kType3;
    run.tags.reference.reset();
    EXPECT_TRUE(run.check()) << "type 3 needs both tags";
    run.set(2, {.guard = 1, .application_tag = 0xFFFF, .reference_tag = 0xFFFF'FFFF});
    EXPECT_FALSE(run.check());
}

TEST(Protection, IsMixedWithBlocksAndPartedAgain) {
    const BlockRun run({.type = ProtectionType::kType1, .reference = 5});
    Bytes mixed(4 * 520), data(4 * 512), information(4 * 8);
    mix_protection(run.data, run.information, 512, mixed);
    EXPECT_EQ(mixed[520], run.data[512]);
    EXPECT_EQ(mixed[519], 5);
    part_protection(mixed, 512, data, information);
    EXPECT_EQ(data, run.data);
    EXPECT_EQ(information, run.information);
}

TEST(Protection, OfOneBlockIsRepeatedWithOrWithoutCounting) {
    Bytes information(3 * kProtectionBytes);
    repeat_protection({.guard = 7, .application_tag = 8, .reference_tag = 9}, true, 100, information);
    EXPECT_EQ(ProtectionInformation::load(std::span(information).subspan(16)).reference_tag, 111u);
    repeat_protection({.guard = 7, .application_tag = 8, .reference_tag = 9}, false, 100, information);
    EXPECT_EQ(ProtectionInformation::load(std::span(information).subspan(16)),
              (ProtectionInformation{.guard = 7, .application_tag = 8, .reference_tag = 9}));
}

} // namespace
} // namespace touka::scsi
