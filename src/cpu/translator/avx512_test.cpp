// ZMM and opmask registers on their way between the guest's processor and the host's.
#include <gtest/gtest.h>

#include "cpu/interpreter/host_avx512.hpp"
#include "cpu/interpreter/vector_element.hpp"
#include "cpu/interpreter/xsave.hpp"
#include "cpu/translator/engine_guest.hpp"

namespace touka::cpu::translator {
namespace {

using interpreter::VectorBytes;
using namespace Xbyak::util;

class Avx512 : public BothEngines {
protected:
    void SetUp() override {
        if (!interpreter::host_has_avx512()) GTEST_SKIP() << "this host's processor has no AVX-512";
        BothEngines::SetUp();
        if (IsSkipped()) return;
        prepare([](EngineGuest& g) {
            g.m.p.cr4 |= spec::x86::cr4::OSFXSR | spec::x86::cr4::OSXSAVE | spec::x86::cr4::OSXMMEXCPT;
            g.m.p.xcr0 = 0xE7;
            g.m.p.gpr(Gpr::kRsi) = EngineGuest::kData;
            for (std::uint64_t n = 0; n < 0x1000; n += 8) g.m.poke(EngineGuest::kData + n, n * 0x0123'4567'89AB'CDEF);
        });
    }
    void fill_upper_halves() {
        prepare([](EngineGuest& g) {
            for (std::size_t n = 0; n < 32; ++n) {
                VectorBytes bytes;
                bytes.fill(static_cast<std::uint8_t>(n + 1));
                write_vector(g.m.p.regs, n, bytes);
            }
        });
    }
    /// The register in the state's image.
    VectorBytes zmm(const CpuState& s, std::size_t n) {
        auto& p = translator_.m.p;
        EXPECT_TRUE(interpreter::load_xsave_image(p, s.xsave));
        return read_vector(p.regs, n);
    }
};

TEST_F(Avx512, RegistersLiveThroughWhatTheInterpreterDoesInBetween) {
    fill_upper_halves();
    run_code([](auto& c) {
        c.vpaddd(zmm1, zmm2, zmm31);
        c.kmovq(k3, rsi);
        c.cpuid(); // the interpreter's
        c.vpaddd(zmm17 | k3, zmm1, zmm1);
        c.rdtsc();
        c.xor_(eax, eax);
        c.xor_(edx, edx);
        c.kmovq(r8, k3);
    });
}

TEST_F(Avx512, CodeWithoutEvexClearsUpperHalvesThatOnlyTheProcessorHas) {
    fill_upper_halves();
    const CpuState s = run_code([](auto& c) {
        c.vpaddd(ymm1, ymm2, ymm3);
        c.vmovdqu(xmm4, ptr[rsi]);
        c.paddd(xmm5, xmm6);
    });
    EXPECT_EQ(zmm(s, 1)[63], 0);
    EXPECT_EQ(zmm(s, 4)[63], 0);
    EXPECT_EQ(zmm(s, 5)[63], 6);
    EXPECT_EQ(zmm(s, 20)[63], 21);
}

TEST_F(Avx512, UpperHalvesThatTheInterpreterMakesAreClearedBehindIt) {
    run_code([](auto& c) {
        c.vpaddd(ymm1, ymm1, ymm1); // lower halves are in the host
        c.kxnorq(k1, k1, k1);
        c.vpxord(zmm2, zmm2, zmm2);
        c.vpgatherdd(zmm3 | k1, ptr[rsi + zmm2 * 4]);
        c.vmovdqa(ymm3, ymm3);
    });
    // The same where nothing of AVX-512 was loaded before.
    prepare([](EngineGuest& g) { g.m.p.regs.opmask[1] = 0xFFFF; });
    const CpuState s = run_code([](auto& c) {
        c.vpxor(xmm2, xmm2, xmm2);
        c.vpgatherdd(zmm3 | k1, ptr[rsi + zmm2 * 4]);
        c.vpaddd(ymm3, ymm3, ymm3);
    });
    EXPECT_EQ(zmm(s, 3)[63], 0);
}

TEST_F(Avx512, VzeroupperAndVzeroallLeaveTheUpperSixteen) {
    fill_upper_halves();
    const CpuState s = run_code([](auto& c) { c.vzeroupper(); });
    EXPECT_EQ(zmm(s, 3)[15], 4);
    EXPECT_EQ(zmm(s, 3)[63], 0);
    EXPECT_EQ(zmm(s, 19)[63], 20);
    run_code([](auto& c) { c.vzeroall(); });
}

TEST_F(Avx512, WhereItIsNotEnabledTheInterpreterRaisesTheException) {
    fill_upper_halves();
    prepare([](EngineGuest& g) { g.m.p.xcr0 = 7; });
    const CpuState s = run_code([](auto& c) {
        c.vpaddd(ymm1, ymm1, ymm1);
        c.vpaddd(zmm1, zmm1, zmm1);
    });
    EXPECT_EQ(EngineGuest::vector_of(s), 6u);
}

TEST_F(Avx512, AStateMovesFromEitherEngineToTheOther) {
    fill_upper_halves();
    const auto first = [](auto& c) {
        c.vpaddd(zmm1, zmm2, zmm31);
        c.kxnorw(k5, k5, k5);
        c.vpaddb(zmm30 | k5, zmm1, zmm1);
    };
    const auto second = [](auto& c) { c.vpsubd(zmm3 | k5 | T_z, zmm30, zmm1); };
    prepare([&](EngineGuest& g) {
        g.assemble(first);
        g.assemble(second, EngineGuest::kCode + 0x1000);
    });
    const auto then = [](EngineGuest& g, CpuState s) {
        s.rip = EngineGuest::kCode + 0x1000;
        return g.resume(*g.vcpu, s);
    };
    const CpuState translated = translator_.run(), interpreted = interpreter_.run();
    const CpuState onward = then(interpreter_, translated), back = then(translator_, interpreted);
    EXPECT_EQ(onward.xsave, back.xsave);
    EXPECT_NE(onward.xsave, translated.xsave);
    EXPECT_EQ(zmm(onward, 3)[0], static_cast<std::uint8_t>(zmm(onward, 30)[0] - zmm(onward, 1)[0]));
}

} // namespace
} // namespace touka::cpu::translator
