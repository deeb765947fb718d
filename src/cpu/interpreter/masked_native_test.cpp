// EVEX instructions on memory that is not all there. Each test is skipped on hosts without AVX-512.
#include <gtest/gtest.h>
#include <xbyak/xbyak.h>

#include "cpu/interpreter/host_avx512.hpp"
#include "cpu/interpreter/program_fixture.hpp"
#include "cpu/interpreter/vector_element.hpp"

namespace touka::cpu::interpreter {
namespace {

using namespace Xbyak::util;

/// One page of data at kHigh, and nothing behind it. RBX points into it.
class MaskedMemory : public testing::Test {
protected:
    static constexpr std::uint64_t kEnd = ProgramMachine::kHigh + spec::kPageSize;
    static constexpr unsigned kNothing = 256, kInvalidOpcode = 6, kNotAvailable = 7, kPageFault = 14;

    void SetUp() override {
        if (!host_has_avx512()) GTEST_SKIP() << "this host's processor has no AVX-512";
        m.p.cr4 |= spec::x86::cr4::OSFXSR | spec::x86::cr4::OSXSAVE | spec::x86::cr4::OSXMMEXCPT;
        m.p.xcr0 = 0xE7;
        m.use_small_pages();
        m.map(0, ProgramMachine::kData, spec::x86::page_entry::P | spec::x86::page_entry::RW);
        for (std::uint64_t n = 0; n < spec::kPageSize; ++n) m.poke(ProgramMachine::kData + n, std::uint8_t{0x5A});
        for (std::size_t n = 0; n < vector.size(); ++n) vector[n] = static_cast<std::uint8_t>(n + 1);
        write_vector(m.p.regs, 1, vector);
    }
    /// @param write makes the code. @return the exception that it ended with.
    unsigned run(std::uint64_t rbx, std::uint64_t k1, auto&& write) {
        Xbyak::CodeGenerator code;
        write(code);
        code.hlt();
        m.place(ProgramMachine::kCode, {code.getCode(), code.getSize()});
        m.memory->written(spec::GuestAddress{ProgramMachine::kCode}, code.getSize());
        m.p.gpr(Gpr::kRbx) = rbx;
        m.p.regs.opmask[1] = k1;
        m.p.gpr(Gpr::kRsp) = ProgramMachine::kStack;
        EXPECT_EQ(m.run_again(), StopReason::kHalted);
        return m.vector();
    }
    [[nodiscard]] std::uint8_t last(std::uint64_t from_end) const {
        return m.peek<std::uint8_t>(ProgramMachine::kData + spec::kPageSize - from_end);
    }
    [[nodiscard]] VectorBytes zmm(std::size_t n) const { return read_vector(m.p.regs, n); }

    ProgramMachine m;
    VectorBytes vector{};
};

TEST_F(MaskedMemory, ALoadFindsWhatIsThereAndTheRestIsNotLookedAt) {
    EXPECT_EQ(run(kEnd - 32, 0x00FF, [](auto& c) { c.vmovdqu32(zmm1 | k1 | T_z, ptr[rbx]); }), kNothing);
    EXPECT_EQ(zmm(1)[31], 0x5A);
    EXPECT_EQ(zmm(1)[32], 0);
}

TEST_F(MaskedMemory, ALoadFaultsAtTheFirstElementThatIsChosenAndNotThere) {
    EXPECT_EQ(run(kEnd - 32, 0x0401, [](auto& c) { c.vmovdqu32(zmm1 | k1, ptr[rbx]); }), kPageFault);
    EXPECT_EQ(m.p.cr2, kEnd + 8);
    EXPECT_EQ(zmm(1), vector);
}

TEST_F(MaskedMemory, AStoreWritesTheChosenBytesAlone) {
    EXPECT_EQ(run(kEnd - 4, 0b0101, [](auto& c) { c.vmovdqu8(ptr[rbx] | k1, zmm1); }), kNothing);
    EXPECT_EQ(last(4), 1);
    EXPECT_EQ(last(3), 0x5A);
    EXPECT_EQ(last(2), 3);
    EXPECT_EQ(last(1), 0x5A);
}

TEST_F(MaskedMemory, AStoreThatFaultsWritesNothing) {
    EXPECT_EQ(run(kEnd - 4, 0b1'0001, [](auto& c) { c.vmovdqu8(ptr[rbx] | k1, zmm1); }), kPageFault);
    EXPECT_EQ(last(4), 0x5A);
    EXPECT_EQ(m.p.cr2, kEnd);
}

TEST_F(MaskedMemory, CompressingStoresAsManyElementsAsThereAreBits) {
    const auto compress = [](auto& c) { // vpcompressd [rbx]{k1}, zmm1, which Xbyak refuses
        for (const unsigned byte : {0x62u, 0xF2u, 0x7Du, 0x49u, 0x8Bu, 0x0Bu}) c.db(static_cast<int>(byte));
    };
    EXPECT_EQ(run(kEnd - 8, 0x8001, compress), kNothing);
    EXPECT_EQ(last(8), 1);
    EXPECT_EQ(last(4), 61);
    EXPECT_EQ(run(kEnd - 8, 0x8003, compress), kPageFault);
}

TEST_F(MaskedMemory, ExpandingLoadsAsManyElementsAsThereAreBits) {
    EXPECT_EQ(run(kEnd - 8, 0x8001, [](auto& c) { c.vpexpandd(zmm1 | k1 | T_z, ptr[rbx]); }), kNothing);
    EXPECT_EQ(zmm(1)[0], 0x5A);
    EXPECT_EQ(zmm(1)[4], 0);
    EXPECT_EQ(zmm(1)[63], 0x5A);
}

TEST_F(MaskedMemory, ABroadcastUnderAnEmptyMaskAccessesNothing) {
    EXPECT_EQ(run(kEnd, 0, [](auto& c) { c.vaddps(zmm1 | k1, zmm1, ptr_b[rbx]); }), kNothing);
    EXPECT_EQ(zmm(1), vector);
    EXPECT_EQ(run(kEnd, 0x8000, [](auto& c) { c.vaddps(zmm1 | k1, zmm1, ptr_b[rbx]); }), kPageFault);
}

TEST_F(MaskedMemory, AnOperandWithoutAMaskIsAccessedAsAWhole) {
    EXPECT_EQ(run(kEnd - 32, 0, [](auto& c) { c.vmovdqu32(zmm1, ptr[rbx]); }), kPageFault);
    EXPECT_EQ(m.p.cr2, kEnd);
}

TEST_F(MaskedMemory, AGatherThatFaultsGoesOnWhereItStopped) {
    VectorBytes indices{};
    for (std::size_t n = 0; n < 4; ++n) set_element(indices, n, 8, n * 4);
    write_vector(m.p.regs, 2, indices);
    EXPECT_EQ(run(kEnd - 8, 0b0111, [](auto& c) { c.vpgatherqq(ymm1 | k1, ptr[rbx + ymm2]); }), kPageFault);
    EXPECT_EQ(m.p.regs.opmask[1], 0b0110u);
    EXPECT_EQ(zmm(1)[0], 0x5A);
    EXPECT_EQ(zmm(1)[8], 9);
}

TEST_F(MaskedMemory, AScatterThatFaultsGoesOnWhereItStopped) {
    VectorBytes indices{};
    for (std::size_t n = 0; n < 4; ++n) set_element(indices, n, 4, n * 4);
    write_vector(m.p.regs, 2, indices);
    EXPECT_EQ(run(kEnd - 8, 0b1101, [](auto& c) { c.vpscatterdd(ptr[rbx + xmm2] | k1, xmm1); }), kPageFault);
    EXPECT_EQ(m.p.regs.opmask[1], 0b1100u);
    EXPECT_EQ(last(8), 1);
    EXPECT_EQ(last(4), 0x5A);
}

TEST_F(MaskedMemory, NeedsTheComponentsEnabledAndTheTaskSwitchedBitClear) {
    const auto add = [](auto& c) { c.vpaddd(xmm16, xmm16, xmm16); };
    const auto move = [](auto& c) { c.kmovw(k1, k2); };
    m.p.cr0 |= spec::x86::cr0::TS;
    EXPECT_EQ(run(kEnd, 0, add), kNotAvailable);
    m.p.cr0 &= ~spec::x86::cr0::TS;
    m.p.xcr0 = 7;
    EXPECT_EQ(run(kEnd, 0, add), kInvalidOpcode);
    EXPECT_EQ(run(kEnd, 0, move), kInvalidOpcode);
    EXPECT_EQ(run(kEnd, 0, [](auto& c) { c.vpscatterdd(ptr[rbx + xmm2] | k1, xmm1); }), kInvalidOpcode);
}

TEST_F(MaskedMemory, CodeWithoutEvexClearsWhatIsAboveItsVectors) {
    write_vector(m.p.regs, 17, vector);
    EXPECT_EQ(run(kEnd, 0, [](auto& c) { c.vpaddd(ymm1, ymm1, ymm1); }), kNothing);
    EXPECT_EQ(zmm(1)[31], 64);
    EXPECT_EQ(zmm(1)[32], 0);
    write_vector(m.p.regs, 1, vector);
    EXPECT_EQ(run(kEnd, 0, [](auto& c) { c.paddd(xmm1, xmm1); }), kNothing);
    EXPECT_EQ(zmm(1)[63], 64);
    EXPECT_EQ(run(kEnd, 0, [](auto& c) { c.vzeroupper(); }), kNothing);
    EXPECT_EQ(zmm(1)[15], 32);
    EXPECT_EQ(zmm(1)[63], 0);
    EXPECT_FALSE(m.p.regs.hi256_in_use);
    EXPECT_EQ(zmm(17), vector);
}

} // namespace
} // namespace touka::cpu::interpreter
