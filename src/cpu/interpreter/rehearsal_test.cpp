#include "cpu/interpreter/rehearsal.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "cpu/interpreter/program_fixture.hpp"

namespace touka::cpu::interpreter {
namespace {

using namespace spec::x86;

constexpr std::uint64_t kData = ProgramMachine::kData;

class RehearsalTest : public testing::Test {
protected:
    void SetUp() override {
        m_.p.rehearsal = &rehearsal_;
        flush_tlb(m_.p);
        m_.p.gpr(Gpr::kRbx) = kData;
    }
    /// Runs one instruction at kCode.
    void rehearse(std::initializer_list<std::uint8_t> bytes) {
        m_.code(bytes);
        m_.memory->written(spec::GuestAddress{ProgramMachine::kCode}, bytes.size());
        m_.p.rip = ProgramMachine::kCode;
        interpret_one(m_.p);
    }

    ProgramMachine m_;
    Rehearsal rehearsal_;
};

TEST_F(RehearsalTest, KeepsStoresBesideMemoryAndShowsThemToLoads) {
    m_.poke<std::uint32_t>(kData, 0x11);
    rehearse({0xC7, 0x03, 0x22, 0x00, 0x00, 0x00}); // mov dword [rbx],22h
    rehearse({0xC6, 0x43, 0x01, 0x33});             // mov byte [rbx+1],33h
    rehearse({0x8B, 0x03});                         // mov eax,[rbx]
    EXPECT_EQ(m_.p.gpr(Gpr::kRax), 0x3322u);
    EXPECT_EQ(m_.peek<std::uint32_t>(kData), 0x11u);
    EXPECT_EQ(rehearsal_.store_count(), 2u);
    EXPECT_FALSE(rehearsal_.has_given_up());
}

TEST_F(RehearsalTest, KeepsLockedAndVectorStoresAndThoseAcrossPages) {
    m_.p.cr4 |= cr4::OSFXSR;
    m_.p.gpr(Gpr::kRbx) = kData + 0xFFC;
    m_.p.gpr(Gpr::kRcx) = 5;
    rehearse({0xF0, 0x48, 0x0F, 0xC1, 0x0B}); // lock xadd [rbx],rcx
    rehearse({0x0F, 0x11, 0x03});             // movups [rbx],xmm0
    EXPECT_EQ(m_.p.gpr(Gpr::kRcx), 0u);
    EXPECT_EQ(rehearsal_.store_count(), 4u);
    EXPECT_EQ(m_.peek(kData + 0xFFC), 0u);
}

TEST_F(RehearsalTest, FindsTheLastStoreToEachByteOfALoadAcrossLines) {
    constexpr std::uint64_t kLineEnd = kData + 64;
    const auto store = [&](std::uint64_t at, std::vector<std::byte> bytes) {
        rehearsal_.store(spec::GuestAddress{at}, bytes);
    };
    store(kLineEnd - 4, std::vector(8, std::byte{1}));
    store(kLineEnd - 1, std::vector(2, std::byte{2}));
    store(kLineEnd + 64, std::vector(1, std::byte{3}));
    std::array<std::byte, 12> loaded{};
    rehearsal_.loaded(spec::GuestAddress{kLineEnd - 6}, loaded);
    const std::array<int, 12> wanted{0, 0, 1, 1, 1, 2, 2, 1, 1, 1, 0, 0};
    for (std::size_t n = 0; n < wanted.size(); ++n) EXPECT_EQ(std::to_integer<int>(loaded[n]), wanted[n]) << n;
    EXPECT_FALSE(rehearsal_.holds(spec::GuestAddress{kLineEnd + 4}, 60));
    EXPECT_TRUE(rehearsal_.holds(spec::GuestAddress{kLineEnd + 4}, 61));
}

TEST_F(RehearsalTest, TellsWhichByteOfMemoryIsNotAsRehearsed) {
    rehearse({0xC7, 0x03, 0x04, 0x03, 0x02, 0x01}); // mov dword [rbx],01020304h
    m_.poke<std::uint32_t>(kData, 0x0102'0304);
    EXPECT_FALSE(rehearsal_.compare(*m_.memory, 1));
    m_.poke<std::uint8_t>(kData + 2, 9);
    const auto found = rehearsal_.compare(*m_.memory, 1);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->physical.value, kData + 2);
    EXPECT_EQ(found->rehearsed, std::byte{2});
    EXPECT_EQ(found->actual, std::byte{9});
    EXPECT_FALSE(rehearsal_.compare(*m_.memory, 0));
}

TEST_F(RehearsalTest, NoticesThatLoadedBytesChange) {
    rehearse({0x8B, 0x43, 0x08});                   // mov eax,[rbx+8]
    rehearse({0xC7, 0x03, 0x01, 0x00, 0x00, 0x00}); // mov dword [rbx],1
    m_.poke<std::uint32_t>(kData, 1);
    EXPECT_FALSE(rehearsal_.has_memory_changed(*m_.memory));
    m_.poke<std::uint8_t>(kData + 11, 1);
    EXPECT_TRUE(rehearsal_.has_memory_changed(*m_.memory));
}

TEST_F(RehearsalTest, GivesUpAtDevices) {
    m_.use_small_pages();
    m_.map(0, 0xFED0'0000, page_entry::P | page_entry::RW | page_entry::US);
    m_.p.gpr(Gpr::kRbx) = ProgramMachine::kHigh;
    rehearse({0x8B, 0x03}); // mov eax,[rbx]
    EXPECT_TRUE(rehearsal_.has_given_up());
    rehearsal_.start();
    rehearse({0x89, 0x03}); // mov [rbx],eax
    EXPECT_TRUE(rehearsal_.has_given_up());
    EXPECT_EQ(rehearsal_.store_count(), 0u);
}

TEST_F(RehearsalTest, GivesUpAtStoresToCode) {
    m_.p.gpr(Gpr::kRbx) = ProgramMachine::kCode + 0x100;
    rehearse({0x89, 0x03}); // mov [rbx],eax
    EXPECT_TRUE(rehearsal_.has_given_up());
}

TEST_F(RehearsalTest, GivesUpAtPageTablesThatItStoredTo) {
    m_.use_small_pages();
    m_.map(1, kData, page_entry::P | page_entry::RW | page_entry::US);
    m_.p.gpr(Gpr::kRcx) = ProgramMachine::kTable + 8;
    m_.p.gpr(Gpr::kRbx) = ProgramMachine::kHigh + 0x1000;
    rehearse({0x48, 0x8B, 0x03}); // mov rax,[rbx]
    EXPECT_FALSE(rehearsal_.has_given_up());
    rehearse({0x48, 0x89, 0x01}); // mov [rcx],rax
    EXPECT_FALSE(rehearsal_.has_given_up());
    rehearse({0x48, 0x8B, 0x03});
    EXPECT_TRUE(rehearsal_.has_given_up());
}

} // namespace
} // namespace touka::cpu::interpreter
