// Code that changes while it runs.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "cpu/translator/engine_guest.hpp"

namespace touka::cpu::translator {
namespace {

TEST_P(Translator, RunsTheNewBytesOfTheVeryNextInstruction) {
    for (int round = 0; round < 3; ++round) {
        // mov byte [rip+1],7; mov eax,1: the immediate becomes 7
        code({0xC6, 0x05, 0x01, 0x00, 0x00, 0x00, 0x07, 0xB8, 0x01, 0x00, 0x00, 0x00, kOut, kPort});
        EXPECT_EQ(reg(run(), Gpr::kRax), 7u);
    }
}

TEST_P(Translator, RunsALoopThatRewritesItselfAtEveryTurn) {
    m.p.gpr(Gpr::kRcx) = 1000;
    m.p.gpr(Gpr::kRbx) = 0;
    // L: inc dword [rip+1]; mov eax,0; add ebx,eax; dec ecx; jnz L: EAX is 1, 2, 3, ...
    code({0xFF, 0x05, 0x01, 0x00, 0x00, 0x00, 0xB8, 0x00, 0x00, 0x00, 0x00, 0x01, 0xC3, 0xFF, 0xC9, 0x75, 0xEF, kOut,
          kPort});
    EXPECT_EQ(reg(run(), Gpr::kRbx), 1000u * 1001u / 2u);
}

TEST_P(Translator, SeesTheSecondPageOfAnInstructionChange) {
    m.use_small_pages();
    m.map(0, kData, kReadWrite);
    m.map(1, kData + 0x3000, kReadWrite);
    code({0xB8, 0x11}, kData + 0xFFE); // mov eax,33332211h from the last two bytes of the page on
    code({0x22, 0x33, 0x33, kOut, kPort}, kData + 0x3000);
    EXPECT_EQ(reg(run(kHigh + 0xFFE), Gpr::kRax), 0x33332211u);
    code({0x44}, kData + 0x3000);
    EXPECT_EQ(reg(run(kHigh + 0xFFE), Gpr::kRax), 0x33334411u);
    code({0x55, 0x66, 0x66, kOut, kPort}, kData + 0x7000);
    m.map(1, kData + 0x7000, kReadWrite);
    EXPECT_EQ(reg(run(kHigh + 0xFFE), Gpr::kRax), 0x66665511u);
}

TEST_P(Translator, SeesCodeThatAnotherThreadRewrites) {
    code({0xB8, 0x01, 0x00, 0x00, 0x00, 0x83, 0xF8, 0x02, 0x75, 0xF6, kOut, kPort}); // L: mov eax,1; cmp eax,2; jne L
    std::thread writer([this] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20)); // let the loop be translated and linked
        std::atomic_ref(*reinterpret_cast<std::uint8_t*>(m.memory->base() + kCode + 1)).store(2);
        m.memory->written(spec::GuestAddress{kCode + 1}, 1);
    });
    EXPECT_EQ(reg(run(), Gpr::kRax), 2u);
    writer.join();
}

} // namespace
} // namespace touka::cpu::translator
