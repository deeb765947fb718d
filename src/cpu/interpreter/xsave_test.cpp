#include "cpu/interpreter/xsave.hpp"

#include <gtest/gtest.h>

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

    Xsave() {
        m.set_up_long_mode();
        m.p.cr4 |= spec::x86::cr4::OSFXSR | spec::x86::cr4::OSXSAVE;
        m.p.xcr0 = kXcr0Supported;
        reset_x87(m.p.regs);
        m.p.gpr(Gpr::kRbx) = kArea;
        request(kXcr0Supported);
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
    const auto image = save_xsave_image(regs);
    ASSERT_EQ(image.size(), xsave::kBytes);
    reset_x87(regs);
    ASSERT_TRUE(load_xsave_image(regs, image));
    EXPECT_EQ(regs.vector, vectors);
    EXPECT_EQ(regs.mxcsr, 0x3F80u);
    EXPECT_EQ(save_xsave_image(regs), image);
}

TEST_F(Xsave, ImagesThatNoProcessorMakesAreRefusedAndChangeNothing) {
    auto image = save_xsave_image(m.p.regs);
    m.p.regs.vector[0].fill(9);
    auto compacted = image;
    compacted[xsave::kXcompBv + 7] = 0x80;
    EXPECT_FALSE(load_xsave_image(m.p.regs, compacted));
    auto unknown = image;
    unknown[xsave::kXstateBv] = 0xE7;
    EXPECT_FALSE(load_xsave_image(m.p.regs, unknown));
    auto reserved = image;
    reserved[fxsave::kMxcsr + 2] = 2;
    EXPECT_FALSE(load_xsave_image(m.p.regs, reserved));
    EXPECT_FALSE(load_xsave_image(m.p.regs, std::span(image).first(700)));
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
    EXPECT_EQ(at(xsave::kXcompBv), xsave::kCompacted | kXcr0Supported);
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

} // namespace
} // namespace touka::cpu::interpreter
