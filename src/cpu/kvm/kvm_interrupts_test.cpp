#include "cpu/kvm/kvm_interrupts.hpp"

#include <thread>

#include "cpu/kvm/nano_guest_fixture.hpp"

namespace touka::cpu::kvm {
namespace {

using Code = Xbyak::CodeGenerator;

class KvmInterruptsTest : public KvmTest {
protected:
    /// A guest that halts and counts interrupts of kVector at kData, then stops.
    static std::unique_ptr<NanoGuest> counting_guest() {
        auto guest = make();
        guest->load(kCode, NanoGuest::wait_for_interrupts);
        guest->handle(kVector, [](Code& a) {
            a.mov(a.eax, static_cast<std::uint32_t>(kData));
            a.inc(a.qword[a.rax]);
            NanoGuest::out(a, kDone);
        });
        // Before the operating system has come, both 8259s are open; they would deliver the same line again.
        PicPairState masked;
        masked.master.imr = masked.slave.imr = 0xFF;
        EXPECT_TRUE(guest->interrupts().set_pic_state(masked));
        return guest;
    }
    static void route_pin(NanoGuest& guest, std::size_t pin, std::uint64_t entry) {
        IoApicState io_apic = guest.interrupts().io_apic_state().value();
        io_apic.redirection[pin] = entry;
        ASSERT_TRUE(guest.interrupts().set_io_apic_state(io_apic));
    }
    static constexpr std::uint64_t kLevel = 1u << 15;
};

TEST_F(KvmInterruptsTest, AnEdgeOnALineWakesTheGuestThroughTheIoApic) {
    auto guest = counting_guest();
    route_pin(*guest, 5, kVector);
    guest->bus().on_ready = [&] {
        guest->interrupts().set_irq_line(5, true);
        guest->interrupts().set_irq_line(5, false);
    };
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    EXPECT_EQ(guest->data(), 1u);
}

TEST_F(KvmInterruptsTest, TheTimersGsi0IsPin2OfTheIoApic) {
    auto guest = counting_guest();
    route_pin(*guest, 2, kVector);
    guest->bus().on_ready = [&] {
        guest->interrupts().set_irq_line(0, true);
        guest->interrupts().set_irq_line(0, false);
    };
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    EXPECT_EQ(guest->data(), 1u);
}

TEST_F(KvmInterruptsTest, ALevelComesAgainUntilItIsTakenAway) {
    auto guest = counting_guest();
    route_pin(*guest, 20, kVector | kLevel);
    guest->bus().on_ready = [&] { guest->interrupts().set_irq_line(20, true); };
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    ASSERT_EQ(guest->vcpu().run(), VcpuExit::kKicked);
    EXPECT_EQ(guest->data(), 2u);
    EXPECT_NE(guest->interrupts().io_apic_state().value().redirection[20] & (1u << 14), 0u) << "remote IRR";
    guest->interrupts().set_irq_line(20, false);
    EXPECT_EQ(guest->interrupts().io_apic_state().value().asserted_lines & 1u << 20, 0u);
}

TEST_F(KvmInterruptsTest, AMessageIsDelivered) {
    auto guest = counting_guest();
    guest->bus().on_ready = [&] { guest->interrupts().signal_msi(kLocalApic, kVector); };
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    EXPECT_EQ(guest->data(), 1u);
}

TEST_F(KvmInterruptsTest, ANotificationIsAMessageByItsRoute) {
    auto guest = counting_guest();
    const runtime::Notification trigger;
    const auto gsi = guest->interrupts().add_msi_route(kLocalApic, 0x55);
    ASSERT_TRUE(gsi);
    ASSERT_TRUE(guest->interrupts().attach_irqfd(*gsi, trigger.fd()));
    ASSERT_TRUE(guest->interrupts().change_msi_route(*gsi, kLocalApic, kVector));
    guest->bus().on_ready = [&] { trigger.signal(); };
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    EXPECT_EQ(guest->data(), 1u);
    guest->interrupts().detach_irqfd(*gsi, trigger.fd());
    trigger.signal();
    EXPECT_TRUE(trigger.consume()) << "the kernel takes no more";
}

TEST_F(KvmInterruptsTest, RemovedRoutesAreGivenAgain) {
    auto guest = make();
    const auto first = guest->interrupts().add_msi_route(kLocalApic, 1).value();
    const auto second = guest->interrupts().add_msi_route(kLocalApic, 2).value();
    EXPECT_EQ(first, KvmInterrupts::kFirstMessageGsi);
    EXPECT_EQ(second, first + 1);
    guest->interrupts().remove_msi_route(first);
    EXPECT_EQ(guest->interrupts().add_msi_route(kLocalApic, 3).value(), first);
}

TEST_F(KvmInterruptsTest, EndOfInterruptResamplesALevelNotification) {
    auto guest = counting_guest();
    guest->handle(kVector, [](Code& a) {
        a.mov(a.eax, static_cast<std::uint32_t>(kData));
        a.inc(a.qword[a.rax]);
    });
    guest->load(kCode, [](Code& a) { // stops after the handler, so after its EOI
        NanoGuest::write_apic(a, 0xF0, 0x1FF);
        NanoGuest::out(a, kReady);
        Xbyak::Label again;
        a.L(again);
        a.sti();
        a.hlt();
        a.cli();
        NanoGuest::out(a, kDone);
        a.jmp(again);
    });
    route_pin(*guest, 17, kVector | kLevel);
    const runtime::Notification trigger, resample;
    ASSERT_TRUE(guest->interrupts().attach_irqfd(17, trigger.fd(), &resample));
    guest->bus().on_ready = [&] { trigger.signal(); };
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    EXPECT_TRUE(resample.consume());
    EXPECT_EQ(guest->interrupts().io_apic_state().value().asserted_lines & 1u << 17, 0u) << "taken away by the EOI";
    trigger.signal(); // the device still wants something
    ASSERT_EQ(guest->vcpu().run(), VcpuExit::kKicked);
    EXPECT_TRUE(resample.consume());
    EXPECT_EQ(guest->data(), 2u);
}

TEST_F(KvmInterruptsTest, AnNmiIsDelivered) {
    auto guest = counting_guest();
    guest->handle(2, [](Code& a) { NanoGuest::out(a, kDone); });
    guest->bus().on_ready = [&] { guest->vcpu().inject_nmi(); };
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    EXPECT_TRUE(guest->vcpu().state().value().nmi_blocked);
}

TEST_F(KvmInterruptsTest, AStartUpMessageStartsTheSecondProcessor) {
    auto guest = make(2);
    guest->load(kCode, [](Code& a) {
        NanoGuest::write_apic(a, 0xF0, 0x1FF);
        NanoGuest::write_apic(a, 0x310, 1u << 24);
        NanoGuest::write_apic(a, 0x300, 0x4500); // INIT
        NanoGuest::write_apic(a, 0x310, 1u << 24);
        NanoGuest::write_apic(a, 0x300, 0x4608); // start at 8000h
        a.mov(a.edi, 0x9000);
        Xbyak::Label wait;
        a.L(wait);
        a.pause();
        a.cmp(a.word[a.rdi], 0x55AA);
        a.jne(wait);
        NanoGuest::out(a, kDone);
    });
    // Real mode: mov word [9000h], 55AAh; hlt
    constexpr std::uint8_t kRealMode[] = {0xC7, 0x06, 0x00, 0x90, 0xAA, 0x55, 0xF4};
    std::memcpy(guest->memory().base() + 0x8000, kRealMode, sizeof kRealMode);
    std::jthread second([&] { EXPECT_EQ(guest->vcpu(1).run(), VcpuExit::kKicked) << guest->vcpu(1).failure(); });
    EXPECT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    guest->vcpu(1).kick();
    second.join();
    const CpuState state = guest->vcpu(1).state().value();
    EXPECT_EQ(state.segment[1].base, 0x8000u);
}

TEST_F(KvmInterruptsTest, DoorbellsWakeWithoutAnExit) {
    auto guest = make();
    const runtime::Notification port, memory, matched;
    const Doorbell on_port{.is_port = true, .address = 0x700, .width_bytes = 2, .match = {}, .notification = &port};
    const Doorbell on_memory{.address = kDevice, .width_bytes = 4, .match = {}, .notification = &memory};
    const Doorbell on_value{.address = kDevice + 8, .width_bytes = 4, .match = 7, .notification = &matched};
    for (const Doorbell& doorbell : {on_port, on_memory, on_value})
        ASSERT_TRUE(guest->engine().attach_doorbell(doorbell));
    guest->load(kCode, [](Code& a) {
        a.mov(a.edx, 0x700);
        a.mov(a.rsi, kDevice);
        a.mov(a.eax, 6);
        a.out_(a.dx, a.ax);
        a.mov(a.ptr[a.rsi], a.eax);
        a.mov(a.ptr[a.rsi + 8], a.eax);
        a.inc(a.eax);
        a.mov(a.ptr[a.rsi + 8], a.eax);
        NanoGuest::out(a, kDone);
    });
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    EXPECT_TRUE(port.consume());
    EXPECT_TRUE(memory.consume());
    EXPECT_TRUE(matched.consume());
    EXPECT_EQ(guest->bus().accesses(), (std::vector<Access>{{false, true, kDevice + 8, 4, 6}}));

    for (const Doorbell& doorbell : {on_port, on_memory, on_value}) guest->engine().detach_doorbell(doorbell);
    ASSERT_EQ(guest->start(), VcpuExit::kKicked);
    EXPECT_FALSE(port.consume());
    EXPECT_EQ(guest->bus().accesses().size(), 5u);
}

} // namespace
} // namespace touka::cpu::kvm
