#include "cpu/interpreter/native.hpp"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstring>
#include <initializer_list>

#include "cpu/interpreter/x87_state.hpp"
#include "spec/x86/floating_point_state.hpp"

namespace touka::cpu::interpreter {
namespace {

namespace fxsave = spec::x86::fxsave;
namespace mxcsr = spec::x86::mxcsr;

constexpr std::uint8_t kRax = 0, kRcx = 1, kRdx = 2, kRbx = 3, kRsp = 4, kRdi = 7;

class Native : public testing::Test {
protected:
    Native() { reset_x87(regs); }
    ~Native() override { spill_x87(regs); }

    static Instruction decode(std::initializer_list<std::uint8_t> bytes,
                              ZydisMachineMode mode = ZYDIS_MACHINE_MODE_LONG_64) {
        Instruction i{};
        std::copy(bytes.begin(), bytes.end(), i.bytes.begin());
        ZydisDecoder decoder;
        const auto width = mode == ZYDIS_MACHINE_MODE_LONG_64 ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32;
        EXPECT_TRUE(ZYAN_SUCCESS(ZydisDecoderInit(&decoder, mode, width)));
        EXPECT_TRUE(
            ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, i.bytes.data(), bytes.size(), &i.info, i.operands.data())));
        return i;
    }
    std::optional<Exception> run(std::initializer_list<std::uint8_t> bytes, void* memory = nullptr) {
        const auto* host = code.prepare(decode(bytes));
        EXPECT_NE(host, nullptr);
        return host != nullptr ? host->run(regs, memory) : std::nullopt;
    }
    template <class T>
    void set_lane(std::size_t vector, std::size_t lane, T value) {
        std::memcpy(regs.vector[vector].data() + lane * sizeof(T), &value, sizeof(T));
    }
    template <class T>
    T lane(std::size_t vector, std::size_t index) const {
        T value;
        std::memcpy(&value, regs.vector[vector].data() + index * sizeof(T), sizeof(T));
        return value;
    }

    RegisterFile regs;
    HostCode code;
};

TEST_F(Native, LegacySseKeepsTheUpperHalfAndVexClearsIt) {
    regs.vector[1].fill(0xAA);
    regs.vector[2].fill(0x11);
    EXPECT_FALSE(run({0x66, 0x0F, 0xFE, 0xCA})); // paddd xmm1, xmm2
    EXPECT_EQ(lane<std::uint32_t>(1, 0), 0xBBBBBBBBu);
    EXPECT_EQ(lane<std::uint32_t>(1, 7), 0xAAAAAAAAu);
    EXPECT_FALSE(run({0xC5, 0xF1, 0xFE, 0xCA})); // vpaddd xmm1, xmm1, xmm2
    EXPECT_EQ(lane<std::uint32_t>(1, 0), 0xCCCCCCCCu);
    EXPECT_EQ(lane<std::uint32_t>(1, 7), 0u);
}

TEST_F(Native, HighVectorRegistersKeepTheirNumbers) {
    set_lane(9, 0, 5.0);
    set_lane(14, 0, 7.0);
    EXPECT_FALSE(run({0xF2, 0x45, 0x0F, 0x58, 0xCE})); // addsd xmm9, xmm14
    EXPECT_EQ(lane<double>(9, 0), 12.0);
}

TEST_F(Native, MemoryOperandIsTakenFromThePointerWhateverItsAddressing) {
    std::array<float, 4> memory = {1, 2, 3, 4};
    // addps xmm0, fs:[r12+r13*8+0x12345678]
    const auto i = decode({0x64, 0x43, 0x0F, 0x58, 0x84, 0xEC, 0x78, 0x56, 0x34, 0x12});
    const auto* host = code.prepare(i);
    ASSERT_NE(host, nullptr);
    EXPECT_EQ(host->memory_operand, 1);
    EXPECT_EQ(host->memory_bytes, 16);
    EXPECT_EQ(host->alignment_bytes, 16);
    EXPECT_TRUE(host->reads_memory && !host->writes_memory);
    alignas(16) std::array<float, 4> aligned = memory;
    EXPECT_FALSE(host->run(regs, aligned.data()));
    EXPECT_EQ(lane<float>(0, 3), 4.0f);
}

TEST_F(Native, InstructionsThatDifferOnlyInAddressingShareOneFunction) {
    EXPECT_EQ(code.prepare(decode({0x0F, 0x58, 0x00})), code.prepare(decode({0x0F, 0x58, 0x44, 0x24, 0x08})));
    EXPECT_NE(code.prepare(decode({0x0F, 0x58, 0x00})), code.prepare(decode({0x0F, 0x58, 0x08})));
}

TEST_F(Native, StackPointerAndOwnPointersCanBeOperands) {
    regs.gpr[kRsp] = 0x1234'5678'9ABC'DEF0;
    EXPECT_FALSE(run({0x66, 0x48, 0x0F, 0x6E, 0xC4})); // movq xmm0, rsp
    EXPECT_EQ(lane<std::uint64_t>(0, 0), 0x1234'5678'9ABC'DEF0u);
    EXPECT_FALSE(run({0x66, 0x48, 0x0F, 0x7E, 0xC7})); // movq rdi, xmm0
    EXPECT_EQ(regs.gpr[kRdi], 0x1234'5678'9ABC'DEF0u);
    EXPECT_FALSE(run({0x66, 0x0F, 0x7E, 0xC4})); // movd esp, xmm0
    EXPECT_EQ(regs.gpr[kRsp], 0x9ABC'DEF0u);
}

TEST_F(Native, MulxWithOneDestinationKeepsTheHighHalf) {
    regs.gpr[kRdx] = ~std::uint64_t{0};
    regs.gpr[kRcx] = 16;
    EXPECT_FALSE(run({0xC4, 0xE2, 0xE3, 0xF6, 0xD9})); // mulx rbx, rbx, rcx
    EXPECT_EQ(regs.gpr[kRbx], 15u);
}

TEST_F(Native, Crc32OfAHighByteRegister) {
    regs.gpr[kRax] = 0x6100;
    regs.gpr[kRcx] = 0;
    EXPECT_FALSE(run({0xF2, 0x0F, 0x38, 0xF0, 0xCC})); // crc32 ecx, ah
    const auto of_ah = regs.gpr[kRcx];
    regs.gpr[kRdx] = 0x61;
    regs.gpr[kRcx] = 0;
    EXPECT_FALSE(run({0xF2, 0x0F, 0x38, 0xF0, 0xCA})); // crc32 ecx, dl
    EXPECT_EQ(of_ah, regs.gpr[kRcx]);
    EXPECT_NE(of_ah, 0u);
}

TEST_F(Native, FlagsOfComparesAreStoredAndOthersReadAndKept) {
    set_lane(0, 0, 1.0);
    set_lane(1, 0, 2.0);
    EXPECT_FALSE(run({0x66, 0x0F, 0x2E, 0xC1})); // ucomisd xmm0, xmm1
    EXPECT_EQ(regs.status.to_rflags(), 1u);
    // adcx leaves OF alone, and adds CF.
    regs.status = StatusFlags::from_rflags(0x801);
    regs.gpr[kRax] = 1;
    regs.gpr[kRcx] = 2;
    EXPECT_FALSE(run({0x66, 0x0F, 0x38, 0xF6, 0xC1})); // adcx eax, ecx
    EXPECT_EQ(regs.gpr[kRax], 4u);
    EXPECT_EQ(regs.status.to_rflags(), 0x800u);
}

TEST_F(Native, RoundingModeAndStickyFlagsAreTheGuests) {
    regs.mxcsr = 0x7F80; // towards zero
    set_lane(0, 0, 1.0f);
    set_lane(1, 0, 3.0f);
    EXPECT_FALSE(run({0xF3, 0x0F, 0x5E, 0xC1})); // divss xmm0, xmm1
    EXPECT_EQ(lane<std::uint32_t>(0, 0), 0x3EAAAAAAu);
    EXPECT_EQ(regs.mxcsr, 0x7F80u | mxcsr::PE);
    std::uint32_t host = 0;
    asm volatile("stmxcsr %0" : "=m"(host));
    EXPECT_EQ(host & ~mxcsr::kFlags, 0x1F80u);
}

TEST_F(Native, UnmaskedSimdExceptionLeavesTheDestination) {
    regs.mxcsr = mxcsr::kMasks & ~(mxcsr::ZE << mxcsr::kMaskShift);
    set_lane(0, 0, 1.0f);
    set_lane(1, 0, 0.0f);
    EXPECT_EQ(run({0xF3, 0x0F, 0x5E, 0xC1}), Exception::kSimd);
    EXPECT_EQ(lane<float>(0, 0), 1.0f);
    EXPECT_EQ(regs.mxcsr & mxcsr::kFlags, mxcsr::ZE);
    set_lane(1, 0, 3.0f);
    EXPECT_FALSE(run({0xF3, 0x0F, 0x5E, 0xC1}));
    EXPECT_EQ(regs.mxcsr & mxcsr::kFlags, mxcsr::ZE | mxcsr::PE);
}

TEST_F(Native, UnmaskedDivideByZeroHidesPrecisionOfOtherElements) {
    regs.mxcsr = mxcsr::kMasks & ~(mxcsr::ZE << mxcsr::kMaskShift);
    set_lane(0, 0, 1.0f);
    set_lane(0, 1, 1.0f);
    set_lane(1, 1, 3.0f); // lane 0: 1/0, lane 1: inexact
    set_lane(1, 2, 1.0f);
    set_lane(1, 3, 1.0f);
    EXPECT_EQ(run({0x0F, 0x5E, 0xC1}), Exception::kSimd); // divps xmm0, xmm1
    EXPECT_EQ(regs.mxcsr & mxcsr::kFlags, mxcsr::ZE);
}

TEST_F(Native, UnmaskedUnderflowReportsExactDenormals) {
    regs.mxcsr = mxcsr::kMasks & ~(mxcsr::UE << mxcsr::kMaskShift);
    set_lane(0, 0, 0x1p-126f);
    set_lane(1, 0, 0.5f);
    EXPECT_EQ(run({0xF3, 0x0F, 0x59, 0xC1}), Exception::kSimd); // mulss xmm0, xmm1
    EXPECT_EQ(lane<float>(0, 0), 0x1p-126f);
}

TEST_F(Native, X87StaysInTheHostBetweenInstructionsAndComesHomeWhenAsked) {
    EXPECT_FALSE(run({0xD9, 0xE8})); // fld1
    EXPECT_FALSE(run({0xD9, 0xEB})); // fldpi
    EXPECT_EQ(regs.x87_place, X87Place::kHost);
    EXPECT_FALSE(run({0xDE, 0xC1})); // faddp
    spill_x87(regs);
    EXPECT_EQ(regs.x87_place, X87Place::kImage);
    EXPECT_EQ(regs.legacy[fxsave::kTags], 0x80);
    long double sum = 0;
    std::memcpy(&sum, regs.legacy.data() + fxsave::kRegisters, 10);
    EXPECT_NEAR(static_cast<double>(sum), 4.14159265, 1e-8);
    std::uint16_t control = 0;
    asm volatile("fnstcw %0" : "=m"(control));
    EXPECT_EQ(control, fxsave::kInitialControl);
    double stored = 0;
    EXPECT_FALSE(run({0xDD, 0x18}, &stored)); // fstp qword [rax]
    EXPECT_NEAR(stored, 4.14159265, 1e-8);
}

TEST_F(Native, UnmaskedX87ExceptionIsReportedByTheNextWaitingInstruction) {
    std::uint16_t control = 0x037B;            // ZM clear
    EXPECT_FALSE(run({0xD9, 0x28}, &control)); // fldcw
    EXPECT_EQ(regs.x87_place, X87Place::kHostUnmasked);
    EXPECT_FALSE(run({0xD9, 0xE8})); // fld1
    EXPECT_FALSE(run({0xD9, 0xEE})); // fldz
    EXPECT_FALSE(run({0xDE, 0xF9})); // fdivp: becomes pending
    std::uint16_t status = 0;
    EXPECT_FALSE(run({0xDD, 0x38}, &status)); // fnstsw does not wait
    EXPECT_EQ(status & 0x84, 0x84);
    EXPECT_EQ(run({0xD9, 0xE8}), Exception::kX87);
    EXPECT_EQ(run({0x9B}), Exception::kX87);
    EXPECT_EQ(run({0x0F, 0xFC, 0xC1}), Exception::kX87); // paddb mm0, mm1
    EXPECT_FALSE(run({0xDB, 0xE2}));                     // fnclex
    EXPECT_FALSE(run({0x9B}));
    // A pending exception survives the way home and back.
    EXPECT_FALSE(run({0xDB, 0xE3}));           // fninit
    EXPECT_FALSE(run({0xD9, 0x28}, &control)); // fldcw
    EXPECT_FALSE(run({0xD9, 0xE8}));
    EXPECT_FALSE(run({0xD9, 0xEE}));
    EXPECT_FALSE(run({0xDE, 0xF9}));
    spill_x87(regs);
    EXPECT_EQ(run({0x9B}), Exception::kX87);
}

TEST_F(Native, MmxRegistersAliasTheX87Stack) {
    regs.gpr[kRax] = 0x0102'0304;
    EXPECT_FALSE(run({0x0F, 0x6E, 0xC8})); // movd mm1, eax
    EXPECT_FALSE(run({0x0F, 0xFC, 0xC9})); // paddb mm1, mm1
    EXPECT_FALSE(run({0x0F, 0x7E, 0xC9})); // movd ecx, mm1
    EXPECT_EQ(regs.gpr[kRcx], 0x0204'0608u);
    spill_x87(regs);
    EXPECT_EQ(regs.legacy[fxsave::kTags], 0xFF);
    EXPECT_FALSE(run({0x0F, 0x77})); // emms
    spill_x87(regs);
    EXPECT_EQ(regs.legacy[fxsave::kTags], 0x00);
}

TEST_F(Native, EnvironmentStoresNoAddressesOfTheHost) {
    EXPECT_FALSE(run({0xD9, 0xE8})); // fld1
    std::array<std::uint8_t, 28> environment;
    environment.fill(0xCC);
    EXPECT_FALSE(run({0xD9, 0x30}, environment.data())); // fnstenv
    for (std::size_t n = 12; n < 26; ++n) EXPECT_EQ(environment[n], 0) << n;
    EXPECT_EQ(environment[0], 0x7F);
}

TEST_F(Native, AlignmentIsDemandedByLegacySseAndAlignedMovesOnly) {
    const auto alignment = [&](std::initializer_list<std::uint8_t> bytes) {
        const auto* host = code.prepare(decode(bytes));
        return host != nullptr ? host->alignment_bytes : 0;
    };
    EXPECT_EQ(alignment({0x66, 0x0F, 0xFE, 0x00}), 16);         // paddd
    EXPECT_EQ(alignment({0x0F, 0x10, 0x00}), 1);                // movups
    EXPECT_EQ(alignment({0xF3, 0x0F, 0x6F, 0x00}), 1);          // movdqu
    EXPECT_EQ(alignment({0x66, 0x0F, 0x3A, 0x63, 0x00, 0}), 1); // pcmpistri
    EXPECT_EQ(alignment({0xF3, 0x0F, 0x10, 0x00}), 1);          // movss
    EXPECT_EQ(alignment({0xC5, 0xFC, 0x58, 0x00}), 1);          // vaddps ymm
    EXPECT_EQ(alignment({0xC5, 0xFC, 0x28, 0x00}), 32);         // vmovaps ymm
    EXPECT_EQ(alignment({0xDB, 0x28}), 1);                      // fld m80
}

TEST_F(Native, CompatibilityCodeIgnoresVexWForGeneralOperands) {
    // vmovd/vmovq xmm0, ecx with W = 1 is 64 bits wide in 64-bit code only.
    const auto* host = code.prepare(decode({0xC4, 0xE1, 0xF9, 0x6E, 0xC1}, ZYDIS_MACHINE_MODE_LEGACY_32));
    if (host == nullptr) GTEST_SKIP() << "Zydis does not decode it";
    regs.gpr[kRcx] = 0xFFFF'FFFF'0000'0001;
    EXPECT_FALSE(host->run(regs, nullptr));
    EXPECT_EQ(lane<std::uint64_t>(0, 0), 1u);
}

TEST_F(Native, WhatIsNotADataInstructionIsDeclined) {
    EXPECT_EQ(code.prepare(decode({0x01, 0xC8})), nullptr);                         // add eax, ecx
    EXPECT_EQ(code.prepare(decode({0x0F, 0xAE, 0x10})), nullptr);                   // ldmxcsr
    EXPECT_EQ(code.prepare(decode({0x62, 0xF5, 0x74, 0x48, 0x58, 0xC2})), nullptr); // vaddph zmm: AVX512_FP16
    EXPECT_EQ(code.prepare(decode({0xC4, 0xE2, 0x79, 0x2C, 0x00})), nullptr);       // vmaskmovps
}

TEST_F(Native, ClearForgetsAndMakesRoom) {
    ASSERT_NE(code.prepare(decode({0x0F, 0x58, 0xC1})), nullptr);
    code.clear();
    set_lane(0, 0, 1.0f);
    set_lane(1, 0, 2.0f);
    EXPECT_FALSE(run({0x0F, 0x59, 0xC1})); // mulps in the place of addps
    EXPECT_EQ(lane<float>(0, 0), 2.0f);
}

} // namespace
} // namespace touka::cpu::interpreter
