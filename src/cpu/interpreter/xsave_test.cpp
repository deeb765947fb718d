#include "cpu/interpreter/xsave.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "cpu/interpreter/avx512_state.hpp"
#include "cpu/interpreter/data_instruction.hpp"
#include "cpu/interpreter/processor_fixture.hpp"
#include "cpu/interpreter/x87_state.hpp"

namespace touka::cpu::interpreter {
namespace {

namespace fxsave = spec::x86::fxsave;
namespace mxcsr = spec::x86::mxcsr;
namespace xsave = spec::x86::xsave;

class Xsave : public testing::Test {
protected:
    static constexpr std::uint64_t kArea = 0x10'0000;
    static constexpr std::uint8_t kUntouched = 0xEE;
    static constexpr std::uint64_t kComponents = xsave::kX87 | xsave::kSse | xsave::kAvx;

    explicit Xsave(ProcessorModel::Vendor vendor = ProcessorModel::Vendor::kAmd) : m(vendor) {
        m.set_up_long_mode();
        m.p.cr4 |= spec::x86::cr4::OSFXSR | spec::x86::cr4::OSXSAVE;
        m.p.xcr0 = kComponents;
        reset_x87(m.p.regs);
        m.p.gpr(Gpr::kRbx) = kArea;
        request(kComponents);
        std::memset(m.memory->base() + kArea, kUntouched, xsave::kBytes);
    }
    void request(std::uint64_t components) {
        m.p.gpr(Gpr::kRax) = components;
        m.p.gpr(Gpr::kRdx) = 0;
    }
    /// 0F <opcode> with [RBX] and the given reg field. @return the exception, or 255.
    unsigned run(std::uint8_t opcode, std::uint8_t reg) {
        Instruction i{};
        i.bytes = {0x0F, opcode, static_cast<std::uint8_t>(reg << 3 | 3)};
        ZydisDecoder decoder;
        EXPECT_TRUE(ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)));
        EXPECT_TRUE(ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, i.bytes.data(), 3, &i.info, i.operands.data())));
        m.p.fault.reset();
        m.p.next_rip = m.p.rip + 3;
        const Outcome outcome = find_data_instruction(i.info.mnemonic)(m.p, i);
        return outcome == Outcome::kFault ? static_cast<unsigned>(m.p.fault->exception) : 255;
    }
    unsigned run_fxsave() { return run(0xAE, 0); }
    unsigned run_fxrstor() { return run(0xAE, 1); }
    unsigned run_xsave() { return run(0xAE, 4); }
    unsigned run_xrstor() { return run(0xAE, 5); }
    unsigned run_xsaveopt() { return run(0xAE, 6); }
    unsigned run_xsavec() { return run(0xC7, 4); }
    [[nodiscard]] std::uint64_t at(std::size_t offset) const { return m.peek(kArea + offset); }
    [[nodiscard]] std::uint8_t byte(std::size_t offset) const { return m.peek<std::uint8_t>(kArea + offset); }
    void clear_header() { std::memset(m.memory->base() + kArea + xsave::kHeader, 0, 64); }

    SmallMachine m;
};

TEST_F(Xsave, ImageForOtherEnginesComesBackAsItWas) {
    RegisterFile& regs = m.p.regs;
    for (std::size_t n = 0; n < 16; ++n) regs.vector[n].fill(static_cast<std::uint8_t>(n + 1));
    regs.mxcsr = 0x3F80;
    regs.legacy[fxsave::kTags] = 0x80;
    regs.legacy[fxsave::kRegisters + 3] = 0x77;
    const auto vectors = regs.vector;
    const auto image = save_xsave_image(m.p);
    ASSERT_EQ(image.size(), xsave::kBytes);
    reset_x87(regs);
    ASSERT_TRUE(load_xsave_image(m.p, image));
    EXPECT_EQ(regs.vector, vectors);
    EXPECT_EQ(regs.mxcsr, 0x3F80u);
    EXPECT_EQ(save_xsave_image(m.p), image);
}

TEST_F(Xsave, ImagesThatNoProcessorMakesAreRefusedAndChangeNothing) {
    auto image = save_xsave_image(m.p);
    m.p.regs.vector[0].fill(9);
    auto compacted = image;
    compacted[xsave::kXcompBv + 7] = 0x80;
    EXPECT_FALSE(load_xsave_image(m.p, compacted));
    auto unknown = image;
    unknown[xsave::kXstateBv + 1] = 2; // PKRU
    EXPECT_FALSE(load_xsave_image(m.p, unknown));
    auto reserved = image;
    reserved[fxsave::kMxcsr + 2] = 2;
    EXPECT_FALSE(load_xsave_image(m.p, reserved));
    EXPECT_FALSE(load_xsave_image(m.p, std::span(image).first(700)));
    EXPECT_EQ(m.p.regs.vector[0][31], 9);
}

TEST_F(Xsave, UnalignedAreasFault) {
    m.p.gpr(Gpr::kRbx) = kArea + 16;
    EXPECT_EQ(run_xsave(), 13u);
    EXPECT_EQ(run_xrstor(), 13u);
    EXPECT_EQ(run_fxsave(), 255u);
    m.p.gpr(Gpr::kRbx) = kArea + 8;
    EXPECT_EQ(run_fxsave(), 13u);
    EXPECT_EQ(run_fxrstor(), 13u);
}

TEST_F(Xsave, NeedsOsxsaveAndAClearTaskSwitchedBit) {
    m.p.cr0 |= spec::x86::cr0::TS;
    EXPECT_EQ(run_xsave(), 7u);
    EXPECT_EQ(run_fxsave(), 7u);
    m.p.cr4 &= ~spec::x86::cr4::OSXSAVE;
    EXPECT_EQ(run_xsave(), 6u);
    EXPECT_EQ(run_xrstor(), 6u);
}

TEST_F(Xsave, FxsaveMovesLiveX87RegistersAndLeavesTheSoftwareBytes) {
    load_x87(m.p.regs);
    asm volatile("fld1");
    m.p.regs.vector[15].fill(0x5A);
    EXPECT_EQ(run_fxsave(), 255u);
    EXPECT_EQ(byte(fxsave::kTags), 0x80);
    EXPECT_EQ(at(fxsave::kRegisters), std::uint64_t{1} << 63);
    EXPECT_EQ(byte(fxsave::kXmm + 15 * 16), 0x5A);
    EXPECT_EQ(byte(464), kUntouched);
    EXPECT_EQ(byte(511), kUntouched);
    reset_x87(m.p.regs);
    EXPECT_EQ(run_fxrstor(), 255u);
    EXPECT_EQ(m.p.regs.legacy[fxsave::kTags], 0x80);
    EXPECT_EQ(m.p.regs.vector[15][15], 0x5A);
    EXPECT_EQ(m.p.regs.vector[15][16], 0);
}

TEST_F(Xsave, ReservedMxcsrBitsInMemoryFault) {
    EXPECT_EQ(run_fxsave(), 255u);
    m.poke(kArea + fxsave::kMxcsr, std::uint32_t{0x1'0000});
    m.p.regs.vector[0].fill(3);
    EXPECT_EQ(run_fxrstor(), 13u);
    EXPECT_EQ(m.p.regs.vector[0][0], 3);
    clear_header();
    EXPECT_EQ(run_xrstor(), 13u);
}

TEST_F(Xsave, XsaveStoresWhatIsAskedForAndMergesTheHeader) {
    m.p.regs.vector[1].fill(0x21);
    m.poke(kArea + xsave::kXstateBv, std::uint64_t{1});
    request(xsave::kSse);
    EXPECT_EQ(run_xsave(), 255u);
    EXPECT_EQ(at(xsave::kXstateBv), xsave::kX87 | xsave::kSse);
    EXPECT_EQ(byte(fxsave::kXmm + 16), 0x21);
    EXPECT_EQ(byte(0), kUntouched);
    EXPECT_EQ(byte(xsave::kAvxOffset), kUntouched);
    EXPECT_EQ(byte(xsave::kXcompBv), kUntouched);
}

TEST_F(Xsave, XsaveoptLeavesInitialComponentsOut) {
    m.p.regs.vector[1][20] = 1; // upper half only
    m.poke(kArea + xsave::kXstateBv, std::uint64_t{7});
    EXPECT_EQ(run_xsaveopt(), 255u);
    EXPECT_EQ(at(xsave::kXstateBv), xsave::kAvx);
    EXPECT_EQ(byte(fxsave::kXmm), kUntouched);
    EXPECT_EQ(byte(xsave::kAvxOffset + 16 + 4), 1);
    EXPECT_EQ(m.peek<std::uint32_t>(kArea + fxsave::kMxcsr), mxcsr::kInitial);
}

TEST_F(Xsave, XsavecSaysItsFormAndCountsMxcsrAsSse) {
    m.p.regs.mxcsr = 0x1FA0;
    EXPECT_EQ(run_xsavec(), 255u);
    EXPECT_EQ(at(xsave::kXstateBv), xsave::kSse);
    EXPECT_EQ(at(xsave::kXcompBv), xsave::kCompacted | kComponents);
    EXPECT_EQ(m.peek<std::uint32_t>(kArea + fxsave::kMxcsr), 0x1FA0u);
    std::memset(m.memory->base() + kArea + xsave::kHeader + 16, 0, 48);
    m.p.regs.mxcsr = mxcsr::kInitial;
    m.p.regs.vector[2].fill(1);
    EXPECT_EQ(run_xrstor(), 255u);
    EXPECT_EQ(m.p.regs.mxcsr, 0x1FA0u);
    EXPECT_EQ(m.p.regs.vector[2][31], 0);
}

TEST_F(Xsave, XrstorInitialisesWhatTheAreaDoesNotHave) {
    m.p.regs.vector[3].fill(0x33);
    EXPECT_EQ(run_xsave(), 255u);
    clear_header();
    m.poke(kArea + xsave::kXstateBv, xsave::kSse);
    m.p.regs.vector[3].fill(0x44);
    EXPECT_EQ(run_xrstor(), 255u);
    EXPECT_EQ(m.p.regs.vector[3][0], 0x33);
    EXPECT_EQ(m.p.regs.vector[3][16], 0);
    // Not asked for: not touched.
    m.p.regs.vector[3].fill(0x55);
    request(xsave::kX87);
    EXPECT_EQ(run_xrstor(), 255u);
    EXPECT_EQ(m.p.regs.vector[3][0], 0x55);
}

TEST_F(Xsave, XrstorRefusesHeadersThatMeanNothing) {
    clear_header();
    EXPECT_EQ(run_fxsave(), 255u);
    m.poke(kArea + xsave::kXstateBv, std::uint64_t{8});
    EXPECT_EQ(run_xrstor(), 13u);
    clear_header();
    m.poke(kArea + xsave::kHeader + 16, std::uint64_t{1});
    EXPECT_EQ(run_xrstor(), 13u);
    clear_header();
    m.poke(kArea + xsave::kXcompBv, xsave::kCompacted | xsave::kX87);
    m.poke(kArea + xsave::kXstateBv, xsave::kSse); // not in the compacted form
    EXPECT_EQ(run_xrstor(), 13u);
    clear_header();
    EXPECT_EQ(run_xrstor(), 255u);
}

TEST_F(Xsave, ComponentsInUseAreThoseThatAreNotInitial) {
    EXPECT_EQ(components_in_use(m.p.regs), 0u);
    m.p.regs.vector[7][0] = 1;
    EXPECT_EQ(components_in_use(m.p.regs), xsave::kSse);
    m.p.regs.legacy[fxsave::kTags] = 1;
    EXPECT_EQ(components_in_use(m.p.regs), xsave::kSse | xsave::kX87);
}

/// With different bytes in all registers of AVX-512.
class Avx512Xsave : public Xsave {
protected:
    static constexpr std::uint64_t kAll = kComponents | xsave::kAvx512;

    explicit Avx512Xsave(ProcessorModel::Vendor vendor = ProcessorModel::Vendor::kAmd) : Xsave(vendor) {
        m.p.xcr0 = kAll;
        request(kAll);
        std::memset(m.memory->base() + kArea, kUntouched, 4096);
        clear_header();
        for (std::size_t n = 0; n < 16; ++n) {
            regs.zmm_hi256[n].fill(static_cast<std::uint8_t>(0x10 + n));
            regs.hi16_zmm[n].fill(static_cast<std::uint8_t>(0x20 + n));
        }
        for (std::size_t n = 0; n < 8; ++n) regs.opmask[n] = 0x3030'3030'3030'3030 + n;
        regs.hi256_in_use = true;
    }
    /// The first and the last byte of each component.
    void expect_components(std::size_t opmask, std::size_t zmm_hi256, std::size_t hi16_zmm) const {
        EXPECT_EQ(at(opmask), 0x3030'3030'3030'3030u);
        EXPECT_EQ(at(opmask + 56), 0x3030'3030'3030'3037u);
        EXPECT_EQ(byte(zmm_hi256), 0x10);
        EXPECT_EQ(byte(zmm_hi256 + 511), 0x1F);
        EXPECT_EQ(byte(hi16_zmm), 0x20);
        EXPECT_EQ(byte(hi16_zmm + 1023), 0x2F);
        EXPECT_EQ(byte(hi16_zmm + 1024), kUntouched);
    }
    void forget() {
        for_each_component(regs, xsave::kAvx512, true, [](unsigned, std::span<std::uint8_t> bytes) {
            std::ranges::fill(bytes, std::uint8_t{0});
            return true;
        });
        note_hi256(regs);
    }

    RegisterFile& regs = m.p.regs;
};

class IntelAvx512Xsave : public Avx512Xsave {
protected:
    IntelAvx512Xsave() : Avx512Xsave(ProcessorModel::Vendor::kIntel) {}
};

TEST_F(Avx512Xsave, StandardFormHasItWhereAmdsProcessorsHaveIt) {
    EXPECT_EQ(run_xsave(), 255u);
    EXPECT_EQ(at(xsave::kXstateBv), xsave::kAvx512);
    expect_components(832, 896, 1408);
}

TEST_F(IntelAvx512Xsave, StandardFormHasItWhereIntelsProcessorsHaveIt) {
    EXPECT_EQ(run_xsave(), 255u);
    expect_components(1088, 1152, 1664);
    EXPECT_EQ(byte(832), kUntouched);
}

TEST_F(IntelAvx512Xsave, CompactedFormHasNoGaps) {
    EXPECT_EQ(run_xsavec(), 255u);
    EXPECT_EQ(at(xsave::kXcompBv), xsave::kCompacted | kAll);
    expect_components(832, 896, 1408);
    const auto vectors = regs.hi16_zmm;
    const auto masks = regs.opmask;
    forget();
    std::memset(m.memory->base() + kArea + xsave::kHeader + 16, 0, 48);
    EXPECT_EQ(run_xrstor(), 255u);
    EXPECT_EQ(regs.hi16_zmm, vectors);
    EXPECT_EQ(regs.opmask, masks);
    EXPECT_TRUE(regs.hi256_in_use);
}

TEST_F(Avx512Xsave, CompactedFormLeavesNoRoomForWhatIsNotAskedFor) {
    request(xsave::kX87 | xsave::kOpmask | xsave::kHi16Zmm);
    EXPECT_EQ(run_xsavec(), 255u);
    EXPECT_EQ(at(xsave::kHeaderEnd), 0x3030'3030'3030'3030u);
    EXPECT_EQ(byte(xsave::kHeaderEnd + 64), 0x20);
    EXPECT_EQ(byte(xsave::kHeaderEnd + 64 + 1024), kUntouched);
}

TEST_F(Avx512Xsave, OptimisedFormLeavesOutWhatIsInitial) {
    regs.opmask.fill(0);
    for (auto& half : regs.zmm_hi256) half.fill(0);
    EXPECT_EQ(run_xsaveopt(), 255u);
    EXPECT_EQ(at(xsave::kXstateBv), xsave::kHi16Zmm);
    EXPECT_EQ(byte(832), kUntouched);
    EXPECT_EQ(byte(1408), 0x20);
}

TEST_F(Avx512Xsave, RestoringInitialisesWhatTheAreaDoesNotHave) {
    m.poke(kArea + xsave::kXstateBv, xsave::kOpmask);
    m.poke(kArea + fxsave::kMxcsr, mxcsr::kInitial);
    EXPECT_EQ(run_xrstor(), 255u);
    EXPECT_EQ(regs.opmask[3], 0xEEEE'EEEE'EEEE'EEEEu);
    EXPECT_FALSE(regs.hi256_in_use);
    EXPECT_EQ(components_in_use(regs), xsave::kOpmask);
}

TEST_F(Avx512Xsave, ThirtyTwoBitCodeMovesTheRegistersThatItHas) {
    m.p.code_size = CodeSize::k32;
    EXPECT_EQ(run_xsave(), 255u);
    EXPECT_EQ(byte(896 + 255), 0x17);
    EXPECT_EQ(byte(896 + 256), kUntouched);
    EXPECT_EQ(byte(1408), kUntouched);
    forget();
    regs.hi16_zmm[0].fill(9);
    EXPECT_EQ(run_xrstor(), 255u);
    EXPECT_EQ(regs.zmm_hi256[7][0], 0x17);
    EXPECT_EQ(regs.zmm_hi256[8][0], 0);
    EXPECT_EQ(regs.hi16_zmm[0][0], 9);
}

TEST_F(Avx512Xsave, AnAreaThatEndsInNothingChangesNoRegister) {
    constexpr std::uint64_t kLast = SmallMachine::kRamBytes - 1408;
    m.p.gpr(Gpr::kRbx) = kLast;
    std::memset(m.memory->base() + kLast, 0, 1408);
    m.poke(kLast + xsave::kXstateBv, kAll);
    m.poke(kLast + fxsave::kMxcsr, mxcsr::kInitial);
    EXPECT_EQ(run_xrstor(), 14u);
    EXPECT_EQ(m.p.fault->address, SmallMachine::kRamBytes);
    EXPECT_EQ(regs.opmask[0], 0x3030'3030'3030'3030u);
    EXPECT_EQ(regs.zmm_hi256[0][0], 0x10);
}

TEST_F(Avx512Xsave, ImageForOtherEnginesHasItWhenItIsEnabledOrInUse) {
    const auto image = save_xsave_image(m.p);
    EXPECT_EQ(image.size(), 2432u);
    const auto halves = regs.zmm_hi256;
    forget();
    EXPECT_EQ(save_xsave_image(m.p).size(), 2432u);
    m.p.xcr0 = kComponents;
    const auto small = save_xsave_image(m.p);
    EXPECT_EQ(small.size(), xsave::kBytes);
    ASSERT_TRUE(load_xsave_image(m.p, image));
    EXPECT_EQ(regs.zmm_hi256, halves);
    EXPECT_EQ(save_xsave_image(m.p), image);
    EXPECT_FALSE(load_xsave_image(m.p, std::span(image).first(2000)));
    ASSERT_TRUE(load_xsave_image(m.p, small));
    EXPECT_EQ(components_in_use(regs), 0u);
}

} // namespace
} // namespace touka::cpu::interpreter
