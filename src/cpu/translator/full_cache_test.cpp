// Guests with more code than code memory holds.
#include <gtest/gtest.h>

#include "cpu/translator/engine_guest.hpp"

namespace touka::cpu::translator {
namespace {

using namespace Xbyak::util;
using Assembler = Xbyak::CodeGenerator;

constexpr std::size_t kCodeBytes = 512 << 10;

class FullCache : public testing::Test, protected EngineGuest {
protected:
    void SetUp() override {
        if (!start(TranslatorEngine::create(*m.memory))) GTEST_SKIP() << "this host's processor has no AVX2 or no BMI2";
        ASSERT_TRUE(m.memory->guard_stores()); // the engine's vCPU holds rights, too
        small_ = std::make_unique<TranslatorVcpu>(make_vcpu_memory(*m.memory, bus, m.port, m.p.cpuid), observers_,
                                                  nullptr, kCodeBytes);
        ASSERT_TRUE(small_->is_usable());
    }
    TranslationObservers observers_;
    std::unique_ptr<TranslatorVcpu> small_;
};

TEST_F(FullCache, DropsEverythingAndComputesTheSame) {
    constexpr std::uint32_t kTurns = 5, kStores = 4000;
    m.p.gpr(Gpr::kRax) = 0;
    m.p.gpr(Gpr::kRcx) = 0;
    m.p.gpr(Gpr::kRbx) = kTurns;
    m.p.gpr(Gpr::kRdi) = kData;
    // Each store is checked for itself, since its index is made anew; branches in between are linked and dropped.
    assemble([](Assembler& c) {
        Xbyak::Label turn;
        c.L(turn);
        for (std::uint32_t n = 0; n < kStores; ++n) {
            c.xor_(ecx, ecx);
            c.add(c.dword[rdi + rcx * 8], n);
            if (n % 16 != 0) continue;
            Xbyak::Label next;
            c.jz(next, Xbyak::CodeGenerator::T_NEAR);
            c.inc(rax);
            c.L(next);
        }
        c.dec(ebx);
        c.jnz(turn, Xbyak::CodeGenerator::T_NEAR);
    });
    m.p.rip = kCode;
    const CpuState s = resume(*small_, interpreter::capture_state(m.p));
    EXPECT_EQ(m.peek<std::uint32_t>(kData), kTurns * (kStores * (kStores - 1) / 2));
    EXPECT_EQ(reg(s, Gpr::kRax), kTurns * (kStores / 16) - 1); // the very first sum is 0
    const CacheCounters counters = small_->statistics().cache;
    EXPECT_GE(counters.dropped_all, kTurns);
    EXPECT_GT(counters.host_bytes, kCodeBytes);
}

} // namespace
} // namespace touka::cpu::translator
