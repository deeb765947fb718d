#include "cpu/kvm/kvm_vcpu.hpp"

#include <thread>

#include "cpu/kvm/nano_guest_fixture.hpp"

namespace touka::cpu::kvm {
namespace {

using Code = Xbyak::CodeGenerator;
class KvmVcpuTest : public KvmTest {};

TEST_F(KvmVcpuTest, PortAccessesReachTheBusWithTheirWidths) {
    auto guest = make();
    guest->bus().answer = 0xA1B2'C3D4;
    guest->load(kCode, [](Code& a) {
        a.mov(a.edx, 0x3F8);
        a.mov(a.eax, 0x1122'3344);
        a.out_(a.dx, a.al);
        a.out_(a.dx, a.ax);
        a.out_(a.dx, a.eax);
        a.in_(a.eax, a.dx);
        a.mov(a.ebx, a.eax);
        a.in_(a.al, a.dx);
        NanoGuest::out(a, kDone);
    });
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    const std::vector<Access> expected = {{true, true, 0x3F8, 1, 0x44},
                                          {true, true, 0x3F8, 2, 0x3344},
                                          {true, true, 0x3F8, 4, 0x1122'3344},
                                          {true, false, 0x3F8, 4, 0xA1B2'C3D4},
                                          {true, false, 0x3F8, 1, 0xD4}};
    EXPECT_EQ(guest->bus().accesses(), expected);
    EXPECT_EQ(guest->vcpu().state().value().reg(Gpr::kRbx), 0xA1B2'C3D4u);
}

TEST_F(KvmVcpuTest, StringInstructionsAreOneAccessAnElement) {
    auto guest = make();
    guest->bus().answer = 0x77;
    std::memcpy(guest->memory().base() + kData, "Touka", 5);
    guest->load(kCode, [](Code& a) {
        a.mov(a.esi, static_cast<std::uint32_t>(kData));
        a.mov(a.ecx, 5);
        a.mov(a.edx, 0xE9);
        a.rep();
        a.outsb();
        a.mov(a.edi, static_cast<std::uint32_t>(kData + 8));
        a.mov(a.ecx, 3);
        a.rep();
        a.db(0x6C); // insb
        NanoGuest::out(a, kDone);
    });
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    const auto accesses = guest->bus().accesses();
    ASSERT_GE(accesses.size(), 8u);
    for (std::size_t i = 0; i < 5; ++i) {
        EXPECT_EQ(accesses[i], (Access{true, true, 0xE9, 1, static_cast<std::uint64_t>("Touka"[i])}));
    }
    EXPECT_EQ(guest->data(8), 0x77'7777u);
}

TEST_F(KvmVcpuTest, MemoryAccessesOutsideOfRamReachTheBusWithTheirWidths) {
    auto guest = make();
    guest->bus().answer = 0x0102'0304'0506'0708;
    guest->load(kCode, [](Code& a) {
        a.mov(a.rsi, kDevice);
        a.mov(a.rax, 0x8877'6655'4433'2211);
        a.mov(a.ptr[a.rsi], a.al);
        a.mov(a.ptr[a.rsi + 2], a.ax);
        a.mov(a.ptr[a.rsi + 4], a.eax);
        a.mov(a.ptr[a.rsi + 8], a.rax);
        a.mov(a.bl, a.ptr[a.rsi]);
        a.mov(a.bx, a.ptr[a.rsi]);
        a.mov(a.ebx, a.ptr[a.rsi]);
        a.mov(a.rbx, a.ptr[a.rsi]);
        NanoGuest::out(a, kDone);
    });
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    const std::vector<Access> expected = {{false, true, kDevice, 1, 0x11},
                                          {false, true, kDevice + 2, 2, 0x2211},
                                          {false, true, kDevice + 4, 4, 0x4433'2211},
                                          {false, true, kDevice + 8, 8, 0x8877'6655'4433'2211},
                                          {false, false, kDevice, 1, 0x08},
                                          {false, false, kDevice, 2, 0x0708},
                                          {false, false, kDevice, 4, 0x0506'0708},
                                          {false, false, kDevice, 8, 0x0102'0304'0506'0708}};
    EXPECT_EQ(guest->bus().accesses(), expected);
    EXPECT_EQ(guest->vcpu().state().value().reg(Gpr::kRbx), 0x0102'0304'0506'0708u);
}

TEST_F(KvmVcpuTest, AnAccessOverAPageEndArrivesInPowersOfTwo) {
    auto guest = make();
    guest->load(kCode, [](Code& a) {
        a.mov(a.rsi, kDevice + 0xFFD);
        a.mov(a.rax, 0x8877'6655'4433'2211);
        a.mov(a.ptr[a.rsi], a.rax);
        NanoGuest::out(a, kDone);
    });
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    std::array<std::uint8_t, 8> seen{};
    for (const Access& access : guest->bus().accesses()) {
        EXPECT_TRUE(std::has_single_bit(access.width_bytes));
        std::memcpy(seen.data() + (access.address - (kDevice + 0xFFD)), &access.value, access.width_bytes);
    }
    EXPECT_EQ(seen, (std::array<std::uint8_t, 8>{0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88}));
}

TEST_F(KvmVcpuTest, AKickStopsAGuestThatNeverExits) {
    auto guest = make();
    guest->load(kCode, [](Code& a) {
        NanoGuest::out(a, kReady);
        Xbyak::Label spin;
        a.L(spin);
        a.inc(a.rbx);
        a.jmp(spin);
    });
    std::jthread kicker;
    guest->bus().on_ready = [&] { kicker = std::jthread([&] { guest->vcpu().kick(); }); };
    EXPECT_EQ(guest->start(), VcpuExit::kKicked);
    const std::uint64_t rip = guest->vcpu().state().value().rip;
    EXPECT_GE(rip, kCode);
    EXPECT_LT(rip, kCode + 16);
}

TEST_F(KvmVcpuTest, AKickWakesAHaltedProcessorAndOneThatWaitsForItsStart) {
    auto guest = make(2);
    guest->load(kCode, [](Code& a) {
        NanoGuest::out(a, kReady);
        a.hlt();
    });
    std::jthread kicker;
    guest->bus().on_ready = [&] { kicker = std::jthread([&] { guest->vcpu().kick(); }); };
    EXPECT_EQ(guest->start(), VcpuExit::kKicked);

    EXPECT_EQ(guest->vcpu(1).state().value().run_state, RunState::kWaitForInit);
    std::jthread other([&] { guest->vcpu(1).kick(); });
    EXPECT_EQ(guest->vcpu(1).run(), VcpuExit::kKicked);
}

TEST_F(KvmVcpuTest, AKickBeforeRunIsNotLostAndCountsOnce) {
    auto guest = make();
    guest->load(kCode, [](Code& a) {
        a.inc(a.rbx);
        NanoGuest::out(a, kDone);
    });
    ASSERT_TRUE(guest->vcpu().set_state(guest->long_mode_state(kCode)));
    guest->vcpu().kick();
    guest->vcpu().kick();
    EXPECT_EQ(guest->vcpu().run(), VcpuExit::kKicked);
    EXPECT_EQ(guest->vcpu().state().value().rip, kCode) << "nothing happened in the guest";
    EXPECT_EQ(guest->vcpu().run(), VcpuExit::kKicked);
    EXPECT_EQ(guest->vcpu().state().value().reg(Gpr::kRbx), guest->long_mode_state(0).reg(Gpr::kRbx));
    EXPECT_GT(guest->vcpu().state().value().rip, kCode);
}

TEST_F(KvmVcpuTest, StateAfterAKickIsBehindTheAccessThatWasUnderWay) {
    auto guest = make();
    guest->bus().answer = 0x1234'5678;
    guest->load(kCode, [](Code& a) {
        a.mov(a.edx, 0x500);
        a.in_(a.eax, a.dx);
        NanoGuest::out(a, kDone);
    });
    ASSERT_EQ(guest->start(), VcpuExit::kKicked);
    const CpuState state = guest->vcpu().state().value();
    EXPECT_EQ(state.gpr[0], 0x1234'5678u);
    EXPECT_EQ(state.rip, kCode + 5 + 1 + 2) << "behind mov, in and out";
}

TEST_F(KvmVcpuTest, ATripleFaultIsAShutdown) {
    auto guest = make();
    guest->load(kCode, [](Code& a) { a.ud2(); }); // no handler, not even for the double fault
    EXPECT_EQ(guest->start(), VcpuExit::kShutdown);
}

TEST_F(KvmVcpuTest, TheGuestSeesTheTable) {
    auto guest = make();
    guest->load(kCode, [](Code& a) { // esi: entries of leaf, subleaf; edi: where the answers go
        a.mov(a.esi, static_cast<std::uint32_t>(kData));
        a.mov(a.edi, static_cast<std::uint32_t>(kData + 0x1000));
        a.mov(a.r8d, a.ptr[a.rsi]);
        Xbyak::Label next;
        a.L(next);
        a.add(a.rsi, 8);
        a.mov(a.eax, a.ptr[a.rsi]);
        a.mov(a.ecx, a.ptr[a.rsi + 4]);
        a.cpuid();
        a.mov(a.ptr[a.rdi], a.eax);
        a.mov(a.ptr[a.rdi + 4], a.ebx);
        a.mov(a.ptr[a.rdi + 8], a.ecx);
        a.mov(a.ptr[a.rdi + 12], a.edx);
        a.add(a.rdi, 16);
        a.dec(a.r8d);
        a.jnz(next);
        NanoGuest::out(a, kDone);
    });
    const auto& entries = guest->cpuid().entries();
    auto* questions = guest->memory().base() + kData;
    const auto count = static_cast<std::uint32_t>(entries.size());
    std::memcpy(questions, &count, 4);
    for (std::size_t i = 0; i < entries.size(); ++i) {
        std::memcpy(questions + 8 + i * 8, &entries[i].leaf, 4);
        std::memcpy(questions + 12 + i * 8, &entries[i].subleaf, 4);
    }
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    const CpuidTable accepted = guest->vcpu().accepted_cpuid();
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const CpuidEntry& entry = entries[i];
        CpuidRegisters seen;
        std::memcpy(&seen, questions + 0x1000 + i * 16, sizeof seen);
        EXPECT_EQ(seen, accepted.lookup(entry.leaf, entry.subleaf)) << std::hex << entry.leaf << " " << entry.subleaf;
        // A kernel that runs user code without trapping CPUID shows the host's features instead of the table's, and
        // the size in leaf Dh follows XCR0 and XSS. Everything else is as we say.
        if (entry.leaf == 1) {
            EXPECT_EQ(seen.eax, entry.registers.eax);
            EXPECT_EQ(seen.ebx, entry.registers.ebx);
        } else if (entry.leaf != 7 && entry.leaf != 0xD) {
            EXPECT_EQ(seen, entry.registers) << std::hex << entry.leaf << " " << entry.subleaf;
        }
    }
}

TEST_F(KvmVcpuTest, SaysWhatStoppedItWithRegistersAndCode) {
    auto guest = make();
    // Execution outside of RAM is what no KVM emulates.
    guest->load(kCode, [](Code& a) {
        a.mov(a.rbx, 0xB0B0'0001);
        a.mov(a.rax, kDevice);
        a.jmp(a.rax);
    });
    ASSERT_EQ(guest->start(), VcpuExit::kFailed);
    EXPECT_NE(guest->vcpu().failure().find("rip 00000000d0000000"), std::string::npos) << guest->vcpu().failure();
    EXPECT_NE(guest->vcpu().failure().find("rbx 00000000b0b00001"), std::string::npos);
    EXPECT_NE(guest->vcpu().failure().find("code cannot be read"), std::string::npos);
}

} // namespace
} // namespace touka::cpu::kvm
