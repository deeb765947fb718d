#include "cpu/interpreter/memory_access.hpp"

#include <gtest/gtest.h>

#include "cpu/interpreter/program_fixture.hpp"

namespace touka::cpu::interpreter {
namespace {

using namespace spec::x86;

constexpr std::uint64_t kHigh = ProgramMachine::kHigh;
constexpr std::uint64_t kOpen = page_entry::P | page_entry::RW | page_entry::US;
constexpr std::uint64_t kReadOnly = page_entry::P | page_entry::US;

/// A device that keeps its accesses.
class DeviceBus final : public CpuBus {
public:
    struct Access {
        std::uint64_t address;
        unsigned width_bytes;
        std::uint64_t value;
        bool operator==(const Access&) const = default;
    };
    std::uint64_t read_memory(spec::GuestAddress address, unsigned width_bytes) override {
        reads.push_back({address.value, width_bytes, 0});
        return 0x8877'6655'4433'2211 >> (address.value % 8 * 8);
    }
    void write_memory(spec::GuestAddress address, unsigned width_bytes, std::uint64_t value) override {
        writes.push_back({address.value, width_bytes, value});
    }
    std::uint32_t read_port(std::uint16_t, unsigned) override { return 0; }
    void write_port(std::uint16_t, unsigned, std::uint32_t) override {}
    std::vector<Access> reads, writes;
};

class MemoryAccess : public testing::Test {
protected:
    static constexpr std::uint64_t kDevice = 0xE000'0000;
    MemoryAccess() { m.use_small_pages(); }
    ProgramMachine m;
};

TEST_F(MemoryAccess, AStoreAcrossPagesReachesBoth) {
    m.map(0, 0x10'0000, kOpen);
    m.map(1, 0x20'0000, kOpen);
    ASSERT_TRUE(write_linear<std::uint64_t>(m.p, kHigh + 0xFFD, 0x8877'6655'4433'2211));
    EXPECT_EQ(m.peek<std::uint32_t>(0x10'0FFC) >> 8, 0x33'2211u);
    EXPECT_EQ(m.peek(0x20'0000), 0x88'7766'5544u);
    std::uint64_t value = 0;
    ASSERT_TRUE(read_linear(m.p, kHigh + 0xFFD, value));
    EXPECT_EQ(value, 0x8877'6655'4433'2211);
}

TEST_F(MemoryAccess, AStoreWhoseSecondPageFaultsStoresNothing) {
    m.map(0, 0x10'0000, kOpen);
    m.map(1, 0x20'0000, kReadOnly);
    m.poke<std::uint64_t>(0x10'0FF8, 0);
    ASSERT_FALSE(write_linear<std::uint64_t>(m.p, kHigh + 0xFFD, ~std::uint64_t{0}));
    EXPECT_EQ(m.p.fault->address, kHigh + 0x1000);
    EXPECT_EQ(m.p.fault->error_code, page_fault::P | page_fault::W);
    EXPECT_EQ(m.peek(0x10'0FF8), 0u);
}

TEST_F(MemoryAccess, OfTwoFaultingPagesTheFirstIsReported) {
    std::uint32_t value = 0;
    ASSERT_FALSE(read_linear(m.p, kHigh + 0xFFE, value));
    EXPECT_EQ(m.p.fault->address, kHigh + 0xFFE);
}

TEST_F(MemoryAccess, AReadOnlyPageIsReadAndThenStillRefusesWrites) {
    m.map(0, 0x10'0000, kReadOnly);
    std::uint8_t value = 0;
    ASSERT_TRUE(read_linear(m.p, kHigh, value));
    EXPECT_FALSE(write_linear<std::uint8_t>(m.p, kHigh, 1));
}

TEST_F(MemoryAccess, ADeviceSeesEachAccessOnceInItsWidth) {
    DeviceBus bus;
    Processor p(*m.memory, bus, m.port, small_cpuid(ProcessorModel::Vendor::kAmd));
    p.cr0 = m.p.cr0, p.cr3 = m.p.cr3, p.cr4 = m.p.cr4, p.msr.efer = m.p.msr.efer, p.segments = m.p.segments;
    update_mode(p);
    m.map(0, kDevice, kOpen);
    std::uint16_t word = 0;
    ASSERT_TRUE(read_linear(p, kHigh + 2, word));
    EXPECT_EQ(word, 0x4433u);
    ASSERT_TRUE(write_linear<std::uint32_t>(p, kHigh + 8, 0xCAFE));
    EXPECT_EQ(bus.reads, (std::vector<DeviceBus::Access>{{kDevice + 2, 2, 0}}));
    EXPECT_EQ(bus.writes, (std::vector<DeviceBus::Access>{{kDevice + 8, 4, 0xCAFE}}));
}

TEST_F(MemoryAccess, NonCanonicalAddressesAreGeneralProtectionOrStackFaults) {
    std::uint64_t value = 0;
    EXPECT_FALSE(read_linear(m.p, std::uint64_t{1} << 47, value));
    EXPECT_EQ(m.p.fault->exception, Exception::kGeneralProtection);
    m.p.fault.reset();
    m.run({0x48, 0xBC, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x50, 0xF4}); // mov rsp,2^63; push rax
    EXPECT_TRUE(m.p.shutdown || m.vector() == 12) << m.vector();
}

TEST_F(MemoryAccess, SmapKeepsTheSupervisorOutOfUserPagesUntilAcIsSet) {
    m.map(0, 0x10'0000, kOpen);
    m.p.cr4 |= cr4::SMAP;
    for (std::uint64_t n = 0; n < 2; ++n) m.poke(SmallMachine::kDirectory + n * 8, (n << 21) | 0x83); // not user's
    flush_tlb(m.p);
    m.p.gpr(Gpr::kRdi) = kHigh;
    EXPECT_EQ(
        m.run({0x0F, 0x01, 0xCB, 0x48, 0x8B, 0x07, 0x0F, 0x01, 0xCA, 0x48, 0x8B, 0x07, 0xF4}), // stac; mov; clac; mov
        StopReason::kHalted);
    EXPECT_EQ(m.vector(), 14u);
    EXPECT_EQ(m.return_rip(true), ProgramMachine::kCode + 9);
    EXPECT_EQ(m.error_code(), page_fault::P);
}

TEST_F(MemoryAccess, AlignmentIsCheckedForUsersThatAskForIt) {
    ProgramMachine user(true);
    user.p.cr0 |= cr0::AM;
    user.p.system_flags |= rflags::AC;
    select_tlb(user.p);
    user.p.gpr(Gpr::kRdi) = ProgramMachine::kData + 4;
    user.run({0x8B, 0x07, 0x48, 0x8B, 0x07, 0xF4}); // mov eax,[rdi]; mov rax,[rdi]
    EXPECT_EQ(user.vector(), 17u);
    EXPECT_EQ(user.return_rip(true), ProgramMachine::kCode + 2);
}

TEST_F(MemoryAccess, InvlpgForgetsOnePage) {
    m.map(0, 0x10'0000, kOpen);
    m.poke<std::uint64_t>(0x10'0000, 1);
    m.poke<std::uint64_t>(0x20'0000, 2);
    std::uint64_t value = 0;
    ASSERT_TRUE(read_linear(m.p, kHigh, value));
    m.poke(SmallMachine::kTable, std::uint64_t{0x20'0000} | kOpen);
    ASSERT_TRUE(read_linear(m.p, kHigh, value));
    EXPECT_EQ(value, 1u) << "the TLB kept the old translation";
    flush_tlb_page(m.p, kHigh + 0x10);
    ASSERT_TRUE(read_linear(m.p, kHigh, value));
    EXPECT_EQ(value, 2u);
}

TEST_F(MemoryAccess, InvlpgForgetsAllOfALargePage) {
    std::uint64_t value = 0;
    m.poke<std::uint64_t>(0x20'5000, 5);
    ASSERT_TRUE(read_linear(m.p, 0x20'5000, value));
    m.poke(SmallMachine::kDirectory + 8, std::uint64_t{0x0} | kOpen | page_entry::PS);
    flush_tlb_page(m.p, 0x20'0000);
    ASSERT_TRUE(read_linear(m.p, 0x20'5000, value));
    EXPECT_NE(value, 5u);
}

TEST_F(MemoryAccess, TranslationsSurviveAllEpochs) {
    m.map(0, 0x10'0000, kOpen);
    m.poke<std::uint64_t>(0x10'0000, 7);
    for (unsigned n = 0; n < 5000; ++n) {
        std::uint64_t value = 0;
        ASSERT_TRUE(read_linear(m.p, kHigh, value));
        ASSERT_EQ(value, 7u);
        flush_tlb(m.p);
    }
    m.poke<std::uint64_t>(SmallMachine::kTable, 0);
    flush_tlb(m.p);
    std::uint64_t value = 0;
    EXPECT_FALSE(read_linear(m.p, kHigh, value));
}

TEST_F(MemoryAccess, AWriteOpensThePageInTheDirtyLog) {
    m.map(0, 0x10'0000, kOpen);
    m.memory->dirty_log().set_enabled(true);
    flush_tlb(m.p);
    ASSERT_TRUE(write_linear<std::uint8_t>(m.p, kHigh, 1));
    const auto dirty = m.memory->dirty_log().take();
    EXPECT_NE(dirty[0x100 / 64] & 1, 0u);
}

TEST_F(MemoryAccess, ALockedOperandAcrossPagesIsChangedAsAWhole) {
    m.map(0, 0x10'0000, kOpen);
    m.map(1, 0x20'0000, kOpen);
    m.poke<std::uint16_t>(0x10'0FFE, 0xFFFF);
    m.poke<std::uint16_t>(0x20'0000, 0x0001);
    m.p.gpr(Gpr::kRdi) = kHigh + 0xFFE;
    m.p.gpr(Gpr::kRax) = 1;
    EXPECT_EQ(m.run({0xF0, 0x01, 0x07, 0xF4}), StopReason::kHalted); // lock add [rdi],eax
    EXPECT_EQ(m.peek<std::uint16_t>(0x10'0FFE), 0u);
    EXPECT_EQ(m.peek<std::uint16_t>(0x20'0000), 2u);
}

TEST_F(MemoryAccess, AReadModifyWriteOfAReadOnlyPageFaultsAsAWrite) {
    m.map(0, 0x10'0000, kReadOnly);
    m.p.gpr(Gpr::kRdi) = kHigh;
    m.run({0x48, 0x01, 0x07, 0xF4}); // add [rdi],rax
    EXPECT_EQ(m.vector(), 14u);
    EXPECT_EQ(m.error_code(), page_fault::P | page_fault::W);
}

} // namespace
} // namespace touka::cpu::interpreter
