#include "machine/kernel_msi_wire.hpp"

#include "cpu/kvm/nano_guest_fixture.hpp"

namespace touka::machine {
namespace {

using namespace cpu::kvm;
using cpu::VcpuExit;

/// Counts how often kVector arrives, in the first word of kData.
class KernelMsiWireTest : public KvmTest {
protected:
    static constexpr platform::MsiMessage kMessage{kLocalApic, kVector};
    static std::unique_ptr<NanoGuest> counting_guest() {
        auto guest = make();
        guest->handle(kVector, [](Xbyak::CodeGenerator& a) {
            a.mov(a.eax, static_cast<std::uint32_t>(kData));
            a.inc(a.qword[a.rax]);
            NanoGuest::out(a, kDone);
        });
        guest->load(kCode, [](Xbyak::CodeGenerator& a) { NanoGuest::wait_for_interrupts(a); });
        return guest;
    }
    const runtime::Notification event_;
};

TEST_F(KernelMsiWireTest, EachSignalIsTheMessageOfNow) {
    auto guest = counting_guest();
    if (!guest->interrupts().irqfd_takes_count()) GTEST_SKIP() << "this kernel leaves signals in the eventfd";
    KernelMsiWire wire(guest->interrupts(), event_.fd());
    ASSERT_TRUE(wire.carry({kLocalApic, 0x55}));
    ASSERT_TRUE(wire.carry(kMessage));
    guest->bus().on_ready = [&] { event_.signal(); };
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    EXPECT_EQ(guest->data(), 1u);
    EXPECT_FALSE(event_.consume()) << "nobody else sees it";
    event_.signal();
    ASSERT_EQ(guest->vcpu().run(), VcpuExit::kKicked);
    EXPECT_EQ(guest->data(), 2u);
}

TEST_F(KernelMsiWireTest, ASignalThatWaitsIsDeliveredOnceAndTaken) {
    auto guest = counting_guest();
    if (!guest->interrupts().irqfd_takes_count()) GTEST_SKIP() << "this kernel leaves signals in the eventfd";
    KernelMsiWire wire(guest->interrupts(), event_.fd());
    guest->bus().on_ready = [&] {
        event_.signal();
        EXPECT_TRUE(wire.carry(kMessage));
        EXPECT_FALSE(event_.consume());
    };
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    EXPECT_EQ(guest->data(), 1u);
}

TEST_F(KernelMsiWireTest, WhatItLetsGoStaysInTheEventfd) {
    auto guest = counting_guest();
    KernelMsiWire wire(guest->interrupts(), event_.fd());
    ASSERT_TRUE(wire.carry(kMessage));
    wire.let_go();
    event_.signal();
    EXPECT_TRUE(event_.consume());
    ASSERT_TRUE(wire.carry(kMessage)) << "again";
}

TEST_F(KernelMsiWireTest, AMessageThatIsNoInterruptIsNotCarried) {
    auto guest = counting_guest();
    KernelMsiWire wire(guest->interrupts(), event_.fd());
    EXPECT_FALSE(wire.carry({0x1000, kVector})) << "a write to memory";
    event_.signal();
    EXPECT_TRUE(event_.consume());
}

TEST_F(KernelMsiWireTest, GivesItsGsiBack) {
    auto guest = counting_guest();
    {
        KernelMsiWire wire(guest->interrupts(), event_.fd());
        ASSERT_TRUE(wire.carry(kMessage));
    }
    EXPECT_EQ(guest->interrupts().add_msi_route(kLocalApic, 1).value(), KvmInterrupts::kFirstMessageGsi);
}

} // namespace
} // namespace touka::machine
