#include "cpu/interpreter/paging.hpp"

#include <gtest/gtest.h>

#include "cpu/interpreter/processor_fixture.hpp"

namespace touka::cpu::interpreter {
namespace {

using namespace spec::x86;
using enum AccessKind;

constexpr std::uint32_t kFaultP = page_fault::P, kFaultW = page_fault::W, kFaultU = page_fault::U,
                        kFaultI = page_fault::I, kFaultRsvd = page_fault::RSVD;
constexpr std::uint64_t kAll = page_entry::P | page_entry::RW | page_entry::US;

/// Linear page 5000h maps to physical 9000h through one table of each level.
class FourLevelPaging : public testing::Test {
protected:
    static constexpr std::uint64_t kLinear = 0x5000, kPhysical = 0x9000;
    static constexpr std::array kEntries{SmallMachine::kPml4, SmallMachine::kPdpt, SmallMachine::kDirectory,
                                         SmallMachine::kTable + 5 * 8};

    FourLevelPaging() {
        m.p.cr0 = cr0::PE | cr0::PG | cr0::WP;
        m.p.cr3 = SmallMachine::kPml4;
        m.p.cr4 = cr4::PAE;
        m.p.msr.efer = efer::LME | efer::LMA | efer::NXE;
        update_mode(m.p);
        m.poke(kEntries[0], SmallMachine::kPdpt | kAll);
        m.poke(kEntries[1], SmallMachine::kDirectory | kAll);
        m.poke(kEntries[2], SmallMachine::kTable | kAll);
        m.poke(kEntries[3], kPhysical | kAll);
    }
    void change(std::uint64_t entry, std::uint64_t set, std::uint64_t clear = 0) {
        m.poke(entry, (m.peek(entry) | set) & ~clear);
    }
    /// The error code, or nothing when the access is allowed.
    std::optional<std::uint32_t> error(AccessKind kind, bool user, std::uint64_t linear = kLinear) {
        const auto translated = translate(m.p, linear, kind, user);
        return translated ? std::nullopt : std::optional(translated.error());
    }

    SmallMachine m;
};

TEST_F(FourLevelPaging, TranslatesWithTheOffsetKept) {
    const auto translated = translate(m.p, kLinear + 0x123, kRead, true);
    ASSERT_TRUE(translated);
    EXPECT_EQ(translated->physical.value, kPhysical + 0x123);
    EXPECT_TRUE(translated->executable);
    EXPECT_EQ(translated->page_bytes, 4096u);
}

TEST_F(FourLevelPaging, AMissingEntryOfEachLevelIsANotPresentFault) {
    for (const std::uint64_t entry : kEntries) {
        change(entry, 0, page_entry::P);
        EXPECT_EQ(error(kRead, false), 0u);
        EXPECT_EQ(error(kWrite, false), kFaultW);
        EXPECT_EQ(error(kRead, true), kFaultU);
        EXPECT_EQ(error(kExecute, true), kFaultU | kFaultI);
        change(entry, page_entry::P);
    }
}

TEST_F(FourLevelPaging, TheFetchBitNeedsNxOrSmep) {
    change(kEntries[3], 0, page_entry::P);
    m.p.msr.efer &= ~efer::NXE;
    EXPECT_EQ(error(kExecute, false), 0u);
    m.p.cr4 |= cr4::SMEP;
    EXPECT_EQ(error(kExecute, false), kFaultI);
}

TEST_F(FourLevelPaging, ASupervisorEntryOfAnyLevelKeepsUsersOut) {
    for (const std::uint64_t entry : kEntries) {
        change(entry, 0, page_entry::US);
        EXPECT_EQ(error(kRead, true), kFaultP | kFaultU);
        EXPECT_EQ(error(kRead, false), std::nullopt);
        change(entry, page_entry::US);
    }
}

TEST_F(FourLevelPaging, AReadOnlyEntryOfAnyLevelForbidsWrites) {
    for (const std::uint64_t entry : kEntries) {
        change(entry, 0, page_entry::RW);
        EXPECT_EQ(error(kWrite, true), kFaultP | kFaultW | kFaultU);
        EXPECT_EQ(error(kWrite, false), kFaultP | kFaultW);
        m.p.cr0 &= ~cr0::WP;
        EXPECT_EQ(error(kWrite, false), std::nullopt);
        EXPECT_EQ(error(kWrite, true), kFaultP | kFaultW | kFaultU);
        m.p.cr0 |= cr0::WP;
        change(entry, page_entry::RW);
    }
}

TEST_F(FourLevelPaging, NoExecuteOfAnyLevelForbidsFetches) {
    for (const std::uint64_t entry : kEntries) {
        change(entry, page_entry::NX);
        EXPECT_EQ(error(kExecute, false), kFaultP | kFaultI);
        EXPECT_EQ(error(kRead, false), std::nullopt);
        EXPECT_FALSE(translate(m.p, kLinear, kRead, false)->executable);
        change(entry, 0, page_entry::NX);
    }
}

TEST_F(FourLevelPaging, NoExecuteIsReservedWithoutNxe) {
    m.p.msr.efer &= ~efer::NXE;
    change(kEntries[3], page_entry::NX);
    EXPECT_EQ(error(kRead, true), kFaultP | kFaultRsvd | kFaultU);
}

TEST_F(FourLevelPaging, AddressBitsBeyondThePhysicalWidthAreReserved) {
    for (const std::uint64_t entry : kEntries) {
        change(entry, std::uint64_t{1} << 40);
        EXPECT_EQ(error(kWrite, false), kFaultP | kFaultRsvd | kFaultW);
        change(entry, 0, std::uint64_t{1} << 40);
    }
}

TEST_F(FourLevelPaging, PageSizeIsReservedInThePml4) {
    change(kEntries[0], page_entry::PS);
    EXPECT_EQ(error(kRead, false), kFaultP | kFaultRsvd);
}

TEST_F(FourLevelPaging, UpperEntriesWithBit8AreReservedOnAmdAlone) {
    change(kEntries[0], page_entry::G);
    EXPECT_EQ(error(kRead, false), kFaultP | kFaultRsvd);
    m.p.model.vendor = ProcessorModel::Vendor::kIntel;
    EXPECT_EQ(error(kRead, false), std::nullopt);
}

TEST_F(FourLevelPaging, MapsTwoMegabytePages) {
    m.poke(kEntries[2], 0x20'0000 | kAll | page_entry::PS);
    const auto translated = translate(m.p, 0x12'3456, kRead, false);
    ASSERT_TRUE(translated);
    EXPECT_EQ(translated->physical.value, 0x32'3456u);
    EXPECT_EQ(translated->page_bytes, 0x20'0000u);
    change(kEntries[2], 0x2000);
    EXPECT_EQ(error(kRead, false), kFaultP | kFaultRsvd);
}

TEST_F(FourLevelPaging, MapsOneGigabytePagesWhereCpuidHasThem) {
    m.poke(kEntries[1], 0x4000'0000 | kAll | page_entry::PS);
    EXPECT_EQ(translate(m.p, 0x123'4567, kRead, false)->physical.value, 0x4123'4567u);
    m.p.model.gigabyte_pages = false;
    EXPECT_EQ(error(kRead, false), kFaultP | kFaultRsvd);
}

TEST_F(FourLevelPaging, SmepForbidsSupervisorFetchesFromUserPages) {
    m.p.cr4 |= cr4::SMEP;
    EXPECT_EQ(error(kExecute, false), kFaultP | kFaultI);
    EXPECT_EQ(error(kExecute, true), std::nullopt);
    change(kEntries[1], 0, page_entry::US);
    EXPECT_EQ(error(kExecute, false), std::nullopt);
}

TEST_F(FourLevelPaging, SmapForbidsSupervisorDataOnUserPagesUnlessAcIsSet) {
    m.p.cr4 |= cr4::SMAP;
    EXPECT_EQ(error(kRead, false), kFaultP);
    EXPECT_EQ(error(kWrite, false), kFaultP | kFaultW);
    EXPECT_EQ(error(kRead, true), std::nullopt);
    m.p.system_flags |= rflags::AC;
    EXPECT_EQ(error(kWrite, false), std::nullopt);
    m.p.cpl = 3; // the processor's own access while CPL 3 code runs: AC is the user's and does not count
    EXPECT_EQ(error(kRead, false), kFaultP);
}

TEST_F(FourLevelPaging, ReadsSetAccessedAndWritesDirty) {
    ASSERT_EQ(error(kRead, true), std::nullopt);
    for (const std::uint64_t entry : kEntries) EXPECT_NE(m.peek(entry) & page_entry::A, 0u);
    EXPECT_EQ(m.peek(kEntries[3]) & page_entry::D, 0u);
    ASSERT_EQ(error(kWrite, true), std::nullopt);
    EXPECT_NE(m.peek(kEntries[3]) & page_entry::D, 0u);
    EXPECT_EQ(m.peek(kEntries[2]) & page_entry::D, 0u);
}

TEST_F(FourLevelPaging, AForbiddenAccessSetsNothing) {
    change(kEntries[3], 0, page_entry::RW);
    ASSERT_NE(error(kWrite, true), std::nullopt);
    for (const std::uint64_t entry : kEntries) EXPECT_EQ(m.peek(entry) & (page_entry::A | page_entry::D), 0u);
}

TEST_F(FourLevelPaging, IsWritableOnlyOnceItIsDirty) {
    EXPECT_FALSE(translate(m.p, kLinear, kRead, true)->writable);
    EXPECT_TRUE(translate(m.p, kLinear, kWrite, true)->writable);
    EXPECT_TRUE(translate(m.p, kLinear, kRead, true)->writable);
    change(kEntries[3], 0, page_entry::RW);
    EXPECT_FALSE(translate(m.p, kLinear, kRead, true)->writable);
}

TEST_F(FourLevelPaging, GlobalNeedsPge) {
    change(kEntries[3], page_entry::G);
    EXPECT_FALSE(translate(m.p, kLinear, kRead, true)->global);
    m.p.cr4 |= cr4::PGE;
    EXPECT_TRUE(translate(m.p, kLinear, kRead, true)->global);
}

TEST_F(FourLevelPaging, ATableOutsideOfRamReadsAsAllOnes) {
    m.poke(kEntries[1], std::uint64_t{0x10'0000'0000} | kAll);
    EXPECT_EQ(error(kRead, false), kFaultP | kFaultRsvd);
    m.p.cr3 = 0xFF'FFFF'F000;
    EXPECT_EQ(error(kRead, false), kFaultP | kFaultRsvd);
}

TEST_F(FourLevelPaging, SettingBitsIsSeenByTheDirtyLog) {
    m.memory->dirty_log().set_enabled(true);
    ASSERT_EQ(error(kRead, true), std::nullopt);
    const auto dirty = m.memory->dirty_log().take();
    EXPECT_EQ(dirty[0], 0b11110u); // the four tables at 1000h to 4000h
}

TEST(Paging, WithoutPagingLinearIsPhysicalIn32Bits) {
    SmallMachine m;
    const auto translated = translate(m.p, 0x1'2345'6789, kWrite, false);
    ASSERT_TRUE(translated);
    EXPECT_EQ(translated->physical.value, 0x2345'6789u);
    EXPECT_TRUE(translated->writable && translated->executable);
}

class PaePaging : public testing::Test {
protected:
    PaePaging() {
        m.p.cr0 = cr0::PE | cr0::PG | cr0::WP;
        m.p.cr4 = cr4::PAE;
        m.p.cr3 = 0x1020; // tables need 32-byte alignment only
        m.poke(0x1020 + 3 * 8, SmallMachine::kDirectory | page_entry::P);
        m.poke(SmallMachine::kDirectory + 8, SmallMachine::kTable | kAll);
        m.poke(SmallMachine::kTable + 2 * 8, 0x9000 | kAll);
        update_mode(m.p);
    }
    static constexpr std::uint64_t kLinear = 0xC020'2000;
    SmallMachine m;
};

TEST_F(PaePaging, WalksThreeLevelsAndSetsNothingInThePdpte) {
    EXPECT_EQ(translate(m.p, kLinear, kWrite, true)->physical.value, 0x9000u);
    EXPECT_EQ(m.peek(0x1020 + 3 * 8), SmallMachine::kDirectory | page_entry::P);
}

TEST_F(PaePaging, SoftwareBitsOfLongModeAreReserved) {
    m.poke(SmallMachine::kTable + 2 * 8, 0x9000 | kAll | std::uint64_t{1} << 52);
    EXPECT_EQ(translate(m.p, kLinear, kRead, false).error(), kFaultP | kFaultRsvd);
}

TEST_F(PaePaging, WritableAndUserAreReservedInThePdpte) {
    m.poke(0x1020 + 3 * 8, SmallMachine::kDirectory | kAll);
    EXPECT_EQ(translate(m.p, kLinear, kRead, false).error(), kFaultP | kFaultRsvd);
}

class LegacyPaging : public testing::Test {
protected:
    LegacyPaging() {
        m.p.cr0 = cr0::PE | cr0::PG | cr0::WP;
        m.p.cr3 = SmallMachine::kDirectory;
        m.poke<std::uint32_t>(SmallMachine::kDirectory + 4, SmallMachine::kTable | kAll);
        m.poke<std::uint32_t>(SmallMachine::kTable + 3 * 4, 0x9000 | kAll);
        update_mode(m.p);
    }
    static constexpr std::uint64_t kLinear = 0x0040'3000;
    SmallMachine m;
};

TEST_F(LegacyPaging, WalksTwoLevelsOfFourByteEntries) {
    EXPECT_EQ(translate(m.p, kLinear + 4, kWrite, true)->physical.value, 0x9004u);
    EXPECT_EQ(m.peek<std::uint32_t>(SmallMachine::kTable + 3 * 4), 0x9000u | kAll | page_entry::A | page_entry::D);
    EXPECT_EQ(translate(m.p, kLinear + 0x1000, kRead, true).error(), kFaultU);
}

TEST_F(LegacyPaging, FourMegabytePagesNeedPseAndReach40Bits) {
    m.poke<std::uint32_t>(SmallMachine::kDirectory + 4, 0x0080'0000 | 0x2000 | kAll | page_entry::PS);
    m.p.cr4 = cr4::PSE;
    EXPECT_EQ(translate(m.p, kLinear + 4, kRead, true)->physical.value, 0x1'0080'3004u);
    m.poke<std::uint32_t>(SmallMachine::kDirectory + 4, 0x0080'0000 | 0x20'0000 | kAll | page_entry::PS);
    EXPECT_EQ(translate(m.p, kLinear, kRead, true).error(), kFaultP | kFaultRsvd | kFaultU);
}

} // namespace
} // namespace touka::cpu::interpreter
