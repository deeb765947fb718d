#include <gtest/gtest.h>

#include "cpu/interpreter/program_fixture.hpp"

namespace touka::cpu::interpreter {
namespace {

using namespace spec::x86;

constexpr std::uint64_t kData = ProgramMachine::kData, kHigh = ProgramMachine::kHigh;
constexpr std::uint64_t kAll = page_entry::P | page_entry::RW | page_entry::US;

void set_registers(ProgramMachine& m, std::uint64_t rsi, std::uint64_t rdi, std::uint64_t rcx) {
    m.p.gpr(Gpr::kRsi) = rsi;
    m.p.gpr(Gpr::kRdi) = rdi;
    m.p.gpr(Gpr::kRcx) = rcx;
}

TEST(StringInstruction, RepMovsCopiesAcrossManyPages) {
    ProgramMachine m;
    for (std::uint64_t n = 0; n < 20'000; ++n) m.poke(kData + n, static_cast<std::uint8_t>(n * 7 + (n >> 8)));
    set_registers(m, kData, 0x20'0123, 20'000);
    EXPECT_EQ(m.run({0xF3, 0xA4, 0xF4}), StopReason::kHalted);
    EXPECT_EQ(std::memcmp(m.memory->base() + kData, m.memory->base() + 0x20'0123, 20'000), 0);
    EXPECT_EQ(m.p.gpr(Gpr::kRsi), kData + 20'000);
    EXPECT_EQ(m.p.gpr(Gpr::kRdi), 0x20'0123u + 20'000);
    EXPECT_EQ(m.p.gpr(Gpr::kRcx), 0u);
}

TEST(StringInstruction, OverlappingRepMovsRepeatsItsFirstBytes) {
    ProgramMachine m;
    m.poke<std::uint8_t>(kData, 0xAB);
    set_registers(m, kData, kData + 1, 9000);
    m.run({0xF3, 0xA4, 0xF4});
    EXPECT_EQ(m.peek<std::uint8_t>(kData + 9000), 0xAB);
    EXPECT_EQ(m.peek<std::uint8_t>(kData + 9001), 0);
}

TEST(StringInstruction, DescendingMovsGoesDown) {
    ProgramMachine m;
    m.poke<std::uint32_t>(kData, 0x4433'2211);
    set_registers(m, kData + 2, 0x20'0002, 2);
    m.run({0xFD, 0x66, 0xF3, 0xA5, 0xF4}); // std; rep movsw
    EXPECT_EQ(m.peek<std::uint32_t>(0x20'0000), 0x4433'2211u);
    EXPECT_EQ(m.p.gpr(Gpr::kRsi), kData - 2);
    EXPECT_EQ(m.p.gpr(Gpr::kRdi), 0x1F'FFFEu);
}

TEST(StringInstruction, AFaultInTheMiddleLeavesTheRestToDo) {
    ProgramMachine m;
    m.use_small_pages();
    m.map(0, 0x20'0000, kAll);
    set_registers(m, kData, kHigh + 0xF00, 0x200);
    m.run({0xF3, 0xA4, 0xF4});
    EXPECT_EQ(m.vector(), 14u);
    EXPECT_EQ(m.p.cr2, kHigh + 0x1000);
    EXPECT_EQ(m.return_rip(true), ProgramMachine::kCode);
    EXPECT_EQ(m.p.gpr(Gpr::kRcx), 0x100u);
    EXPECT_EQ(m.p.gpr(Gpr::kRsi), kData + 0x100);
    EXPECT_EQ(m.p.gpr(Gpr::kRdi), kHigh + 0x1000);
    m.map(1, 0x30'0000, kAll);
    EXPECT_EQ(m.run_again(), StopReason::kHalted);
    EXPECT_EQ(m.vector(), 256u);
    EXPECT_EQ(m.p.gpr(Gpr::kRcx), 0u);
}

TEST(StringInstruction, RepStosqFills) {
    ProgramMachine m;
    m.p.gpr(Gpr::kRax) = 0x1122'3344'5566'7788;
    set_registers(m, 0, kData + 4, 1025);
    m.run({0xF3, 0x48, 0xAB, 0xF4});
    EXPECT_EQ(m.peek(kData + 4), 0x1122'3344'5566'7788u);
    EXPECT_EQ(m.peek(kData + 4 + 1024 * 8), 0x1122'3344'5566'7788u);
    EXPECT_EQ(m.peek(kData + 4 + 1025 * 8), 0u);
}

TEST(StringInstruction, RepeCmpsStopsBehindTheDifference) {
    ProgramMachine m;
    m.poke<std::uint8_t>(kData + 5, 1);
    set_registers(m, kData, 0x20'0000, 10);
    m.run({0xF3, 0xA6, 0xF4});
    EXPECT_EQ(m.p.gpr(Gpr::kRcx), 4u);
    EXPECT_EQ(m.p.gpr(Gpr::kRsi), kData + 6);
    EXPECT_EQ(m.p.rflags() & (rflags::ZF | rflags::CF), 0u);
}

TEST(StringInstruction, ACountOfZeroTouchesNothing) {
    ProgramMachine m;
    m.use_small_pages();
    set_registers(m, kHigh, kHigh, 0);
    EXPECT_EQ(m.run({0xF3, 0xA4, 0xF4}), StopReason::kHalted);
    EXPECT_EQ(m.vector(), 256u);
}

TEST(StringInstruction, ALongOneIsInterruptedAndGoesOn) {
    ProgramMachine m;
    m.p.requests.fetch_or(request::kKick);
    set_registers(m, 0x10'0000, 0x20'0000, 0x10'0000);
    m.p.rip = ProgramMachine::kCode;
    EXPECT_EQ(m.run({0xF3, 0xA4, 0xF4}), StopReason::kRequested);
    m.p.requests.fetch_and(~request::kKick);
    EXPECT_EQ(execute(m.p), StopReason::kHalted);
    EXPECT_EQ(m.p.gpr(Gpr::kRcx), 0u);
}

} // namespace
} // namespace touka::cpu::interpreter
