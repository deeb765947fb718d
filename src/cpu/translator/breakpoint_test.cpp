// Breakpoints of DR0 to DR3 on both engines. What each kind does in detail is the interpreter's to test.
#include "cpu/translator/engine_guest.hpp"
#include "spec/x86/debug_register.hpp"

namespace touka::cpu::translator {
namespace {

using namespace spec::x86;

class BreakpointsOnBothEngines : public BothEngines {
protected:
    /// A loop of ten stores, of which `body` does one to [rdi + rcx * 8], after DR0 and DR7 were loaded.
    CpuState run_watched(std::uint64_t dr0, std::uint32_t dr7, auto&& body) {
        return run_code([&](Xbyak::CodeGenerator& c) {
            Xbyak::Label loop;
            c.mov(c.rax, dr0);
            for (const int code : {0x0F, 0x23, 0xC0}) c.db(code); // mov dr0,rax
            c.mov(c.eax, dr7);
            for (const int code : {0x0F, 0x23, 0xF8}) c.db(code); // mov dr7,rax
            c.mov(c.edi, EngineGuest::kData);
            c.xor_(c.ecx, c.ecx);
            c.L(loop);
            body(c);
            c.inc(c.ecx);
            c.cmp(c.ecx, 10);
            c.jb(loop);
        });
    }
};

TEST_F(BreakpointsOnBothEngines, AWriteTrapsBehindTheInstructionThatStored) {
    const CpuState end = run_watched(EngineGuest::kData + 56, 0x9'0001,
                                     [](Xbyak::CodeGenerator& c) { c.mov(c.ptr[c.rdi + c.rcx * 8], c.rcx); });
    EXPECT_EQ(EngineGuest::vector_of(end), 1u);
    EXPECT_EQ(EngineGuest::reg(end, Gpr::kRcx), 7u);
    EXPECT_EQ(end.dr[6], dr6::kFixed | dr6::B0);
}

TEST_F(BreakpointsOnBothEngines, ALoadTrapsWhereAccessesAreWatched) {
    const CpuState end = run_watched(EngineGuest::kData + 24, 0x3'0001,
                                     [](Xbyak::CodeGenerator& c) { c.add(c.rdx, c.ptr[c.rdi + c.rcx * 8]); });
    EXPECT_EQ(EngineGuest::vector_of(end), 1u);
    EXPECT_EQ(EngineGuest::reg(end, Gpr::kRcx), 3u);
}

TEST_F(BreakpointsOnBothEngines, CodeThatMeetsNoneRunsToItsEnd) {
    const CpuState end = run_watched(EngineGuest::kData + 80, 0x9'0001,
                                     [](Xbyak::CodeGenerator& c) { c.mov(c.ptr[c.rdi + c.rcx * 8], c.rcx); });
    EXPECT_EQ(EngineGuest::reg(end, Gpr::kRcx), 10u);
    EXPECT_EQ(end.dr[6], dr6::kFixed);
}

} // namespace
} // namespace touka::cpu::translator
