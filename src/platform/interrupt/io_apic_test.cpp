#include "platform/interrupt/io_apic.hpp"

#include <gtest/gtest.h>

#include "platform/interrupt/local_apic.hpp"
#include "platform/interrupt/recording_processor.hpp"
#include "runtime/manual_timers.hpp"

namespace touka::platform {
namespace {

constexpr std::uint64_t kLevel = 0x8000, kMask = 0x1'0000, kRemoteIrr = 0x4000;

class IoApicTest : public testing::Test {
protected:
    IoApicTest() {
        apic.connect(processor, [] { return 0; });
        apic.write_page(0xF0, 0x1FF);
    }
    void write_register(std::uint32_t index, std::uint32_t value) {
        io_apic.write(0x00, 4, index);
        io_apic.write(0x10, 4, value);
    }
    std::uint32_t read_register(std::uint32_t index) {
        io_apic.write(0x00, 4, index);
        return static_cast<std::uint32_t>(io_apic.read(0x10, 4));
    }
    void program(unsigned pin, std::uint64_t entry) {
        write_register(0x11 + 2 * pin, static_cast<std::uint32_t>(entry >> 32));
        write_register(0x10 + 2 * pin, static_cast<std::uint32_t>(entry));
    }
    std::uint64_t entry(unsigned pin) {
        return std::uint64_t{read_register(0x11 + 2 * pin)} << 32 | read_register(0x10 + 2 * pin);
    }
    void eoi() { apic.write_page(0xB0, 0); }

    runtime::ManualTimers timers;
    LocalApicBus bus;
    RecordingProcessor processor;
    LocalApic apic{{.apic_id = 0, .bootstrap = true}, bus, timers};
    IoApic io_apic{bus};
};

TEST_F(IoApicTest, IdentifiesItselfAndStartsMasked) {
    EXPECT_EQ(read_register(0x01), 0x0017'0011u);
    write_register(0x00, 0x0F00'0000);
    EXPECT_EQ(read_register(0x00), 0x0F00'0000u);
    EXPECT_EQ(read_register(0x02), 0x0F00'0000u);
    for (unsigned pin = 0; pin < 24; ++pin) EXPECT_EQ(entry(pin), kMask);
    EXPECT_EQ(read_register(0x40), 0u);
    EXPECT_EQ(read_register(0xFF), 0u);
}

TEST_F(IoApicTest, AnEdgeIsDeliveredOnceForEachRise) {
    program(4, 0x31);
    io_apic.set_pin(4, true);
    io_apic.set_pin(4, true);
    EXPECT_EQ(apic.acknowledge(), 0x31);
    eoi();
    EXPECT_FALSE(apic.has_interrupt());
    io_apic.set_pin(4, false);
    io_apic.set_pin(4, true);
    EXPECT_EQ(apic.acknowledge(), 0x31);
}

TEST_F(IoApicTest, AnEdgeAtAMaskedPinIsLost) {
    program(4, kMask | 0x31);
    io_apic.set_pin(4, true);
    program(4, 0x31);
    EXPECT_FALSE(apic.has_interrupt());
}

TEST_F(IoApicTest, ALevelComesAgainAfterEveryEoiWhileItIsAsserted) {
    program(20, kLevel | 0x51);
    io_apic.set_pin(20, true);
    EXPECT_EQ(apic.acknowledge(), 0x51);
    EXPECT_EQ(entry(20) & kRemoteIrr, kRemoteIrr);
    EXPECT_FALSE(apic.has_interrupt());
    eoi();
    EXPECT_EQ(apic.acknowledge(), 0x51);
    io_apic.set_pin(20, false);
    eoi();
    EXPECT_FALSE(apic.has_interrupt());
    EXPECT_EQ(entry(20) & kRemoteIrr, 0u);
}

TEST_F(IoApicTest, ALevelThatRisesWhileRemoteIrrIsSetWaitsForTheEoi) {
    program(20, kLevel | 0x51);
    io_apic.set_pin(20, true);
    ASSERT_EQ(apic.acknowledge(), 0x51);
    io_apic.set_pin(20, false);
    io_apic.set_pin(20, true);
    EXPECT_FALSE(apic.has_interrupt());
    eoi();
    EXPECT_EQ(apic.acknowledge(), 0x51);
}

TEST_F(IoApicTest, UnmaskingDeliversAnAssertedLevel) {
    program(20, kMask | kLevel | 0x51);
    io_apic.set_pin(20, true);
    EXPECT_FALSE(apic.has_interrupt());
    program(20, kLevel | 0x51);
    EXPECT_EQ(apic.acknowledge(), 0x51);
}

TEST_F(IoApicTest, MakingAPinEdgeTriggeredClearsRemoteIrr) {
    program(20, kLevel | 0x51);
    io_apic.set_pin(20, true);
    ASSERT_EQ(entry(20) & kRemoteIrr, kRemoteIrr);
    program(20, kMask | 0x51);
    EXPECT_EQ(entry(20) & kRemoteIrr, 0u);
    program(20, kLevel | 0x51);
    EXPECT_EQ(entry(20) & kRemoteIrr, kRemoteIrr);
}

TEST_F(IoApicTest, AMessageThatNobodyTakesDoesNotSetRemoteIrr) {
    program(20, kLevel | 0x51 | std::uint64_t{9} << 56);
    io_apic.set_pin(20, true);
    EXPECT_EQ(entry(20) & kRemoteIrr, 0u);
    program(20, kLevel | 0x51);
    EXPECT_EQ(apic.acknowledge(), 0x51);
}

TEST_F(IoApicTest, ReadOnlyBitsCannotBeWritten) {
    program(3, ~std::uint64_t{0});
    EXPECT_EQ(entry(3), 0xFFFF'0000'0001'AFFFu);
}

TEST_F(IoApicTest, AnNmiEntryReachesTheProcessor) {
    program(2, 0x400);
    io_apic.set_pin(2, true);
    EXPECT_EQ(processor.nmis, 1u);
}

TEST_F(IoApicTest, SavedStateComesBackWithItsPendingLevel) {
    program(20, kLevel | 0x51);
    program(4, 0x31 | std::uint64_t{0x03} << 56);
    io_apic.set_pin(20, true);
    const auto record = io_apic.save();
    const auto apic_record = apic.save();

    LocalApicBus other_bus;
    RecordingProcessor other_processor;
    LocalApic other_apic{{.apic_id = 0, .bootstrap = true}, other_bus, timers};
    other_apic.connect(other_processor, [] { return 0; });
    IoApic other{other_bus};
    ASSERT_TRUE(other.restore(record));
    ASSERT_TRUE(other_apic.restore(apic_record));
    EXPECT_EQ(other.save().bytes, record.bytes);
    EXPECT_EQ(other_apic.acknowledge(), 0x51);
    other_apic.write_page(0xB0, 0);
    EXPECT_EQ(other_apic.acknowledge(), 0x51) << "still asserted";
}

TEST_F(IoApicTest, ResetMasksAllPinsAndForgetsNoWire) {
    io_apic.set_pin(20, true);
    io_apic.reset();
    EXPECT_EQ(entry(20), kMask);
    program(20, kLevel | 0x51);
    EXPECT_EQ(apic.acknowledge(), 0x51);
}

class MessageLog final : public MsiSink {
public:
    void send(const MsiMessage& message) override { sent.push_back(message); }
    std::vector<MsiMessage> sent;
};

TEST_F(IoApicTest, MessagesForARemappingUnitCarryTheEntryInEitherFormat) {
    MessageLog log;
    io_apic.send_messages_to(log);
    program(4, 0x31 | 1u << 8 | 1u << 11 | std::uint64_t{0x1203} << 48); // lowest priority, logical
    program(5, 0x05 | 1u << 11 | std::uint64_t{0x1235} << 48);           // bit 48: an index
    io_apic.set_pin(4, true);
    io_apic.set_pin(5, true);
    EXPECT_EQ(log.sent, (std::vector<MsiMessage>{{0xFEE1'2034, 0x131}, {0xFEE1'2354, 0x05}}));
    EXPECT_FALSE(apic.has_interrupt());
}

TEST_F(IoApicTest, ALevelSentAsAMessageWaitsForItsEoi) {
    MessageLog log;
    io_apic.send_messages_to(log);
    program(20, kLevel | 20);
    io_apic.set_pin(20, true);
    EXPECT_EQ(log.sent, (std::vector<MsiMessage>{{0xFEE0'0000, 0xC014}}));
    EXPECT_EQ(entry(20) & kRemoteIrr, kRemoteIrr);
    // Linux' way without an EOI register: an edge for a moment.
    program(20, kMask | 20);
    program(20, kLevel | 20);
    EXPECT_EQ(log.sent.size(), 2u) << "still asserted";
}

} // namespace
} // namespace touka::platform
