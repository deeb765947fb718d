#include "platform/interrupt/interrupt_chips.hpp"

#include <gtest/gtest.h>

#include "platform/interrupt/gsi_lines.hpp"
#include "platform/interrupt/recording_processor.hpp"
#include "runtime/manual_timers.hpp"

namespace touka::platform {
namespace {

class InterruptChipsTest : public testing::Test {
protected:
    InterruptChipsTest() {
        for (std::uint32_t i = 0; i < 2; ++i) {
            chips.local_apic(i).connect(processors[i], [] { return 0; });
            chips.local_apic(i).write_page(0xF0, 0x1FF);
        }
        EXPECT_TRUE(chips.map(memory, ports));
    }
    void program(unsigned pin, std::uint32_t entry) {
        memory.write(0xFEC0'0000, 4, 0x10 + 2 * pin);
        memory.write(0xFEC0'0010, 4, entry);
    }

    runtime::ManualTimers timers;
    std::array<RecordingProcessor, 2> processors;
    InterruptChips chips{2, 1'000'000'000, timers};
    GsiLines lines{[this](std::uint32_t gsi, bool asserted) { chips.set_gsi(gsi, asserted); }};
    AddressSpace memory, ports;
};

TEST_F(InterruptChipsTest, TheTimersInterruptIsPinTwoOfTheIoApic) {
    program(0, 0x30);
    program(2, 0x32);
    lines.add_source(0).pulse();
    EXPECT_EQ(chips.local_apic(0).acknowledge(), 0x32);
    EXPECT_FALSE(chips.local_apic(0).has_interrupt());
}

TEST_F(InterruptChipsTest, AnIsaInterruptReachesBothControllers) {
    program(4, 0x34);
    ports.write(0x20, 1, 0x11);
    ports.write(0x21, 1, 0x08);
    ports.write(0x21, 1, 0x04);
    ports.write(0x21, 1, 0x01);
    chips.local_apic(0).write_page(0x350, 0x700);
    lines.add_source(4).pulse();
    EXPECT_EQ(chips.local_apic(0).acknowledge(), 0x0C) << "by the 8259 and LINT0";
    EXPECT_EQ(chips.local_apic(0).acknowledge(), 0x34) << "by the I/O APIC";
    EXPECT_FALSE(chips.local_apic(1).has_interrupt());
}

TEST_F(InterruptChipsTest, ASharedLineIsAssertedWhileOneOfItsDevicesAssertsIt) {
    program(16, 0x8050);
    InterruptLine& first = lines.add_source(16);
    InterruptLine& second = lines.add_source(16);
    first.set(true);
    second.set(true);
    first.set(false);
    first.set(false);
    ASSERT_EQ(chips.local_apic(0).acknowledge(), 0x50);
    chips.local_apic(0).write_page(0xB0, 0);
    ASSERT_EQ(chips.local_apic(0).acknowledge(), 0x50);
    second.set(false);
    chips.local_apic(0).write_page(0xB0, 0);
    EXPECT_FALSE(chips.local_apic(0).has_interrupt());
}

TEST_F(InterruptChipsTest, AMessageGoesToItsProcessor) {
    chips.msi().send({0xFEE0'1000, 0x77});
    EXPECT_EQ(chips.local_apic(1).acknowledge(), 0x77);
    EXPECT_EQ(processors[1].pending, 1u);
    EXPECT_EQ(processors[0].pending, 0u);
}

TEST_F(InterruptChipsTest, AllDevicesHaveNamesOfTheirOwn) {
    std::vector<std::string_view> names;
    for (const Device* device : chips.devices()) names.push_back(device->name());
    EXPECT_EQ(names, (std::vector<std::string_view>{"lapic0", "lapic1", "ioapic", "pic"}));
}

} // namespace
} // namespace touka::platform
