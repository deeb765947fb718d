#include "cpu/interpreter/msr.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "cpu/interpreter/processor_fixture.hpp"

namespace touka::cpu::interpreter {
namespace {

using namespace spec::x86;
using Vendor = ProcessorModel::Vendor;

class Msr : public testing::Test {
protected:
    explicit Msr(Vendor vendor = Vendor::kAmd) : m(vendor) { m.set_up_long_mode(); }
    [[nodiscard]] bool write(std::uint32_t index, std::uint64_t value) {
        m.p.fault.reset();
        const bool done = write_msr(m.p, index, value);
        EXPECT_EQ(done, !m.p.fault.has_value());
        return done;
    }
    [[nodiscard]] std::optional<std::uint64_t> read(std::uint32_t index) {
        std::uint64_t value = 0;
        return read_msr(m.p, index, value) ? std::optional(value) : std::nullopt;
    }
    SmallMachine m;
};
class IntelMsr : public Msr {
protected:
    IntelMsr() : Msr(Vendor::kIntel) {}
};

TEST_F(Msr, InstructionsUseEcxAndEdxEax) {
    m.p.gpr(Gpr::kRcx) = 0xFFFF'FFFF'0000'0000 | msr::kStar;
    m.p.gpr(Gpr::kRdx) = 0xAAAA'AAAA'1122'3344;
    m.p.gpr(Gpr::kRax) = 0xBBBB'BBBB'5566'7788;
    ASSERT_EQ(m.execute({0x0F, 0x30}), Outcome::kJumped);
    EXPECT_EQ(m.p.msr.star, 0x1122'3344'5566'7788u);
    ASSERT_EQ(m.execute({0x0F, 0x32}), Outcome::kNext);
    EXPECT_EQ(m.p.gpr(Gpr::kRdx), 0x1122'3344u);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 0x5566'7788u);
    m.set_up_long_mode(true);
    EXPECT_EQ(m.fault_of({0x0F, 0x32}).first, 13u);
}

TEST_F(Msr, AddressesMustBeCanonical) {
    for (const std::uint32_t index : {msr::kLstar, msr::kCstar, msr::kFsBase, msr::kGsBase, msr::kKernelGsBase,
                                      msr::kSysenterEsp, msr::kSysenterEip}) {
        EXPECT_FALSE(write(index, 0x8000'0000'0000)) << index;
        EXPECT_TRUE(write(index, 0xFFFF'8000'0000'0000)) << index;
        EXPECT_EQ(read(index), 0xFFFF'8000'0000'0000) << index;
    }
}

TEST_F(Msr, SegmentBasesAreThoseOfTheSegments) {
    ASSERT_TRUE(write(msr::kGsBase, 0x1234));
    EXPECT_EQ(m.p.segment(SegmentName::kGs).base, 0x1234u);
    ASSERT_TRUE(write(msr::kKernelGsBase, 0x5678));
    ASSERT_EQ(m.execute({0x0F, 0x01, 0xF8}), Outcome::kNext); // swapgs
    EXPECT_EQ(read(msr::kGsBase), 0x5678u);
    EXPECT_EQ(read(msr::kKernelGsBase), 0x1234u);
}

TEST_F(Msr, EferKeepsLmaAndRefusesUnknownBitsAndLmeUnderPaging) {
    EXPECT_FALSE(write(msr::kEfer, m.p.msr.efer | 1u << 12)); // SVME
    EXPECT_FALSE(write(msr::kEfer, m.p.msr.efer & ~efer::LME));
    EXPECT_TRUE(write(msr::kEfer, efer::LME | efer::SCE));
    EXPECT_EQ(read(msr::kEfer), efer::LME | efer::LMA | efer::SCE);
}

TEST_F(Msr, PatTakesMemoryTypesOnly) {
    EXPECT_TRUE(write(msr::kPat, 0x0007'0106'0007'0406));
    EXPECT_FALSE(write(msr::kPat, 0x0007'0106'0007'0402));
    EXPECT_EQ(read(msr::kPat), 0x0007'0106'0007'0406u);
}

TEST_F(Msr, MtrrsAreStoredAndChecked) {
    EXPECT_EQ(*read(msr::kMtrrCap) & 0xFF, 8u);
    EXPECT_TRUE(write(msr::kMtrrPhysBase0, 0x8000'0006));
    EXPECT_FALSE(write(msr::kMtrrPhysBase0, 0x8000'0007));
    EXPECT_FALSE(write(msr::kMtrrPhysBase0, std::uint64_t{1} << 40 | 6));
    EXPECT_TRUE(write(msr::kMtrrPhysBase0 + 15, 0xFF'8000'0800));
    EXPECT_FALSE(read(msr::kMtrrPhysBase0 + 16));
    EXPECT_TRUE(write(0x26F, 0x0606'0606'0505'0000));
    EXPECT_FALSE(write(0x26F, 0x0202'0000'0000'0000));
    EXPECT_TRUE(write(msr::kMtrrDefType, 0xC06));
    EXPECT_FALSE(write(msr::kMtrrDefType, 0x1000));
}

TEST_F(Msr, TheApicAnswersForItsOwn) {
    EXPECT_TRUE(write(msr::kTscDeadline, 77));
    EXPECT_EQ(m.port.msrs[msr::kTscDeadline], 77u);
    EXPECT_EQ(read(msr::kApicBase), 0xFEE0'0900u);
    EXPECT_FALSE(read(msr::kX2apicFirst + 2)); // not in x2APIC mode
    EXPECT_EQ(m.p.unknown_msrs.access_count, 0u);
}

TEST_F(Msr, WritingTheTscMovesItAndTscAdjust) {
    const std::uint64_t before = *read(msr::kTsc);
    ASSERT_TRUE(write(msr::kTsc, before + (std::uint64_t{1} << 40)));
    EXPECT_GE(*read(msr::kTsc), before + (std::uint64_t{1} << 40));
    EXPECT_EQ(*read(msr::kTscAdjust), m.p.msr.tsc_offset);
    const std::uint64_t adjusted = *read(msr::kTscAdjust);
    ASSERT_TRUE(write(msr::kTscAdjust, adjusted - (std::uint64_t{1} << 40)));
    EXPECT_LT(*read(msr::kTsc), before + (std::uint64_t{1} << 39));
}

TEST_F(Msr, UnknownRegistersFaultAndAreCounted) {
    EXPECT_FALSE(read(0x1234'5678));
    EXPECT_FALSE(write(0x1234'5678, 0));
    EXPECT_FALSE(read(0xC001'102A));
    EXPECT_EQ(m.p.unknown_msrs.access_count, 3u);
    EXPECT_EQ(m.p.unknown_msrs.index_count, 2u);
}

TEST_F(Msr, SpeculationControlsNeedTheirCpuidBits) {
    EXPECT_FALSE(write(msr::kSpecCtrl, 0));
    EXPECT_FALSE(write(msr::kPredCmd, 1));
}

TEST_F(Msr, AmdKernelsFindTheRegistersTheyTouchAtBoot) {
    EXPECT_NE(*read(msr::kAmdHwcr) & 1u << 24, 0u); // TscFreqSel
    EXPECT_TRUE(read(msr::kAmdSyscfg));
    EXPECT_TRUE(write(msr::kAmdNbCfg, std::uint64_t{1} << 46)); // Linux allows extended accesses by port CF8h
    EXPECT_EQ(read(msr::kAmdTopMem), memory::GuestMemory::kLowRamLimit);
    EXPECT_FALSE(read(msr::kPlatformId));
}

TEST_F(IntelMsr, IntelKernelsFindTheirs) {
    EXPECT_EQ(read(msr::kPlatformId), 0u);
    EXPECT_EQ(read(msr::kFeatureControl), 1u);
    EXPECT_TRUE(write(msr::kBiosSignId, 0));
    EXPECT_EQ(*read(msr::kMiscEnable) & 1, 1u);
    EXPECT_FALSE(read(msr::kAmdHwcr));
}

TEST_F(Msr, SavedRegistersAscendAndLoadIntoAnotherProcessor) {
    ASSERT_TRUE(write(msr::kLstar, 0xFFFF'8000'0000'1000));
    ASSERT_TRUE(write(msr::kMtrrDefType, 0xC06));
    ASSERT_TRUE(write(msr::kTscAux, 3));
    const auto saved = save_msrs(m.p);
    EXPECT_TRUE(std::ranges::is_sorted(saved, {}, &MsrValue::index));
    SmallMachine other;
    ASSERT_TRUE(load_msrs(other.p, saved));
    EXPECT_EQ(other.p.msr.lstar, 0xFFFF'8000'0000'1000u);
    EXPECT_EQ(other.p.msr.mtrr_def_type, 0xC06u);
    EXPECT_EQ(other.p.msr.tsc_aux, 3u);
    EXPECT_EQ(other.p.msr.efer, m.p.msr.efer);
}

TEST_F(Msr, LoadingIgnoresUnknownIndicesAndRefusesReservedBits) {
    EXPECT_TRUE(load_msrs(m.p, {{0x4B56'4D00, 1}}));
    EXPECT_FALSE(load_msrs(m.p, {{msr::kEfer, efer::LME | 1u << 12}}));
    EXPECT_FALSE(load_msrs(m.p, {{msr::kPat, 2}}));
    EXPECT_FALSE(load_msrs(m.p, {{msr::kLstar, 0x8000'0000'0000}}));
}

} // namespace
} // namespace touka::cpu::interpreter
