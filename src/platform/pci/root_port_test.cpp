#include "platform/pci/root_port.hpp"

#include <gtest/gtest.h>

#include "platform/interrupt_line.hpp"
#include "platform/pci/pci_root.hpp"
#include "platform/pci/test_function.hpp"
#include "platform/recording_line.hpp"
#include "platform/recording_messages.hpp"
#include "spec/pci/bridge_header.hpp"
#include "spec/pci/express.hpp"
#include "spec/pci/extended_capability.hpp"
#include "spec/pci/message_signalled.hpp"

namespace touka::platform {
namespace {

using namespace spec::pci;
using test::TestFunction;

constexpr PciAddress kPort{0, 0x10, 0}, kOtherPort{0, 0x11, 0}, kCard{1, 0, 0};
constexpr unsigned kPortGsi = pci_pin_gsi(kPort.device, 1) - kFirstPciGsi;

class RootPortTest : public testing::Test {
protected:
    RootPortTest() {
        EXPECT_TRUE(root_.plug_port(kPort, port_).has_value());
        EXPECT_TRUE(root_.plug_port(kOtherPort, other_port_).has_value());
    }
    ~RootPortTest() override {
        root_.unplug(port_, 0);
        root_.unplug(port_, 9);
    }
    PciRootConfig config() {
        PciRootConfig result;
        for (unsigned i = 0; i < kPciGsiCount; ++i) result.interrupt_inputs[i] = &lines_[i];
        return result;
    }
    [[nodiscard]] std::uint32_t read(const PciAddress& at, std::uint32_t offset, unsigned width) {
        return root_.read_config(at, offset, width);
    }
    void write(const PciAddress& at, std::uint32_t offset, unsigned width, std::uint32_t value) {
        root_.write_config(at, offset, width, value);
    }
    [[nodiscard]] std::uint32_t capability(const PciAddress& at, std::uint8_t id) {
        std::uint32_t next = read(at, offset::kCapabilitiesPointer, 1);
        while (next != 0 && read(at, next, 1) != id) next = read(at, next + 1, 1);
        return next;
    }
    /// @return where a function's PCI Express capability is.
    [[nodiscard]] std::uint32_t express(const PciAddress& at) {
        return capability(at, std::to_underlying(CapabilityId::kPciExpress));
    }
    [[nodiscard]] std::uint32_t msi() { return capability(kPort, kMsiCapabilityId); }
    void enable_msi() {
        write(kPort, msi() + kMsiAddressOffset, 4, 0xFEE0'1000);
        write(kPort, msi() + kMsiDataOffset + 4, 2, 0x41);
        write(kPort, msi() + kMsiControlOffset, 2, 1);
        write(kPort, offset::kCommand, 2, Command{}.set(command::BUS_MASTER, true).raw);
    }
    static constexpr MsiMessage kMessage{0xFEE0'1000, 0x41};
    [[nodiscard]] SlotStatus slot_status() {
        return SlotStatus{static_cast<std::uint16_t>(read(kPort, express(kPort) + kSlotStatusOffset, 2))};
    }
    void clear_events() { write(kPort, express(kPort) + kSlotStatusOffset, 2, 0xFFFF); }
    void control(SlotControl value) { write(kPort, express(kPort) + kSlotControlOffset, 2, value.raw); }
    static SlotControl listening() {
        SlotControl value;
        return value.set(slot_control::ATTENTION_BUTTON_PRESSED_ENABLE, true)
            .set(slot_control::PRESENCE_DETECT_CHANGED_ENABLE, true)
            .set(slot_control::DATA_LINK_LAYER_STATE_CHANGED_ENABLE, true)
            .set(slot_control::HOT_PLUG_INTERRUPT_ENABLE, true);
    }

    AddressSpace memory_, ports_;
    std::array<RecordingLine, kPciGsiCount> lines_;
    RecordingMessages messages_;
    int released_ = 0;
    TestFunction card_, second_{"test@01:01.1"};
    RootPort port_{"root-port@00:10.0", 1, messages_, [this] { ++released_; }};
    RootPort other_port_{"root-port@00:11.0", 2, messages_, [] {}};
    PciRoot root_{memory_, ports_, config()};
};

TEST_F(RootPortTest, IsABridgeWithABusAndWindowsOfItsOwn) {
    EXPECT_EQ(read(kPort, offset::kHeaderType, 1), bridge::kHeaderType);
    EXPECT_EQ(read(kPort, bridge::kSecondaryBus, 1), 1u);
    EXPECT_EQ(read(kOtherPort, bridge::kSecondaryBus, 1), 2u);
    const std::uint32_t base = read(kPort, bridge::kMemoryBase, 2), limit = read(kPort, bridge::kMemoryLimit, 2);
    EXPECT_EQ((limit - base + 0x10) >> 4, RootPort::kMemory32Bytes >> 20);
    EXPECT_GT(read(kOtherPort, bridge::kMemoryBase, 2), limit);
}

TEST_F(RootPortTest, ACardAnswersOnItsBusWithBarsInThePortsWindow) {
    EXPECT_EQ(read(kCard, 0, 4), 0xFFFF'FFFFu);
    ASSERT_TRUE(root_.plug(port_, 0, card_).has_value());
    EXPECT_EQ(read(kCard, 0, 4), 0x5678'1234u);
    EXPECT_EQ(read({2, 0, 0}, 0, 4), 0xFFFF'FFFFu);
    const std::uint32_t bar = read(kCard, offset::kBar0, 4) & kBarMemoryMask;
    const std::uint32_t window = read(kPort, bridge::kMemoryBase, 2) << 16;
    EXPECT_GE(bar, window);
    EXPECT_LT(bar, window + RootPort::kMemory32Bytes);
    EXPECT_EQ(card_.requester_id(), 0x0100);
}

TEST_F(RootPortTest, ACardIsAnEndpointOfALinkAndNotPartOfTheRootComplex) {
    ASSERT_TRUE(root_.plug(port_, 0, card_).has_value());
    const std::uint32_t at = express(kCard);
    const ExpressCapabilities capabilities{static_cast<std::uint16_t>(read(kCard, at + 2, 2))};
    EXPECT_EQ(capabilities.get(express_capabilities::DEVICE_PORT_TYPE), express_capabilities::kEndpoint);
    EXPECT_NE(read(kCard, at + kLinkStatusOffset, 2), 0u);
}

TEST_F(RootPortTest, SoftwareNumbersBuses) {
    ASSERT_TRUE(root_.plug(port_, 0, card_).has_value());
    write(kPort, bridge::kSecondaryBus, 1, 7);
    EXPECT_EQ(read(kCard, 0, 4), 0xFFFF'FFFFu);
    EXPECT_EQ(read({7, 0, 0}, 0, 4), 0x5678'1234u);
    EXPECT_EQ(card_.requester_id(), 0x0700);
}

TEST_F(RootPortTest, AFunctionLearnsItsNumberWhenItIsPluggedInAndByConfigurationWrites) {
    std::vector<std::uint16_t> learnt;
    card_.follow_requester([&](std::uint16_t requester) { learnt.push_back(requester); });
    ASSERT_TRUE(root_.plug(port_, 0, card_).has_value());
    write(kPort, bridge::kSecondaryBus, 1, 7);
    write({7, 0, 0}, offset::kInterruptLine, 1, 5);
    write({7, 0, 0}, offset::kInterruptLine, 1, 6);
    EXPECT_EQ(learnt, (std::vector<std::uint16_t>{0x0100, 0x0700}));
}

TEST_F(RootPortTest, FunctionsBeyondSevenAreReachedOnlyByAlternativeRoutingIds) {
    ASSERT_TRUE(root_.plug(port_, 9, second_).has_value());
    ASSERT_TRUE(root_.plug(port_, 0, card_).has_value());
    EXPECT_EQ(read({1, 1, 1}, 0, 4), 0xFFFF'FFFFu);
    write(kPort, express(kPort) + kDeviceControl2Offset, 2, kAriForwarding);
    EXPECT_EQ(read({1, 1, 1}, 0, 4), 0x5678'1234u);
}

TEST_F(RootPortTest, PluggingACardInterruptsWhoListensUntilTheEventsAreCleared) {
    control(listening());
    EXPECT_FALSE(lines_[kPortGsi].asserted());
    ASSERT_TRUE(root_.plug(port_, 0, card_).has_value());
    EXPECT_TRUE(lines_[kPortGsi].asserted());
    EXPECT_TRUE(slot_status().get(slot_status::PRESENCE_DETECT_STATE));
    EXPECT_TRUE(slot_status().get(slot_status::DATA_LINK_LAYER_STATE_CHANGED));
    clear_events();
    EXPECT_FALSE(lines_[kPortGsi].asserted());
    EXPECT_TRUE(slot_status().get(slot_status::PRESENCE_DETECT_STATE)); // a state, not an event
}

TEST_F(RootPortTest, NobodyIsInterruptedWhoDoesNotListen) {
    ASSERT_TRUE(root_.plug(port_, 0, card_).has_value());
    EXPECT_FALSE(lines_[kPortGsi].asserted());
}

TEST_F(RootPortTest, TheButtonAsksAndPowerOffReleasesTheCard) {
    ASSERT_TRUE(root_.plug(port_, 0, card_).has_value());
    control(listening());
    clear_events();
    root_.request_removal(port_);
    EXPECT_TRUE(lines_[kPortGsi].asserted());
    EXPECT_TRUE(slot_status().get(slot_status::ATTENTION_BUTTON_PRESSED));
    EXPECT_EQ(released_, 0);
    control(listening().set(slot_control::POWER_CONTROLLER_CONTROL, true));
    EXPECT_EQ(released_, 1);
    EXPECT_EQ(card_.resets, 1);
    EXPECT_EQ(read(kCard, 0, 4), 0xFFFF'FFFFu); // has no power
    root_.unplug(port_, 0);
    EXPECT_FALSE(slot_status().get(slot_status::PRESENCE_DETECT_STATE));
    control(listening()); // power on again, with nobody there
    EXPECT_EQ(released_, 1);
}

TEST_F(RootPortTest, WhoPlugsIntoASlotWithoutPowerPressesTheButtonAtOnce) {
    control(listening().set(slot_control::POWER_CONTROLLER_CONTROL, true));
    clear_events();
    ASSERT_TRUE(root_.plug(port_, 0, card_).has_value());
    EXPECT_TRUE(slot_status().get(slot_status::ATTENTION_BUTTON_PRESSED));
    EXPECT_TRUE(slot_status().get(slot_status::PRESENCE_DETECT_CHANGED));
    EXPECT_EQ(read(kCard, 0, 4), 0xFFFF'FFFFu);
    control(listening());
    EXPECT_EQ(read(kCard, 0, 4), 0x5678'1234u);
}

TEST_F(RootPortTest, WhoPlugsIntoASlotWithPowerDoesNotPressTheButton) {
    ASSERT_TRUE(root_.plug(port_, 0, card_).has_value());
    EXPECT_FALSE(slot_status().get(slot_status::ATTENTION_BUTTON_PRESSED));
}

TEST_F(RootPortTest, AWishToRemoveIsNotTakenBackByASecondOne) {
    ASSERT_TRUE(root_.plug(port_, 0, card_).has_value());
    control(listening().set(slot_control::POWER_INDICATOR_CONTROL, slot_control::kIndicatorBlink));
    EXPECT_EQ(root_.look_at(port_).power, HotPlugSlot::Indicator::kBlinking);
    root_.request_removal(port_);
    EXPECT_FALSE(slot_status().get(slot_status::ATTENTION_BUTTON_PRESSED));
    control(listening().set(slot_control::POWER_INDICATOR_CONTROL, slot_control::kIndicatorOn));
    root_.request_removal(port_);
    EXPECT_TRUE(slot_status().get(slot_status::ATTENTION_BUTTON_PRESSED));
}

TEST_F(RootPortTest, ACardThatIsPulledAnswersNothingBeforeTheSlotSaysSo) {
    ASSERT_TRUE(root_.plug(port_, 0, card_).has_value());
    write(kCard, offset::kCommand, 2, 2);
    EXPECT_FALSE(card_.mapped.empty());
    clear_events();
    root_.silence(port_);
    EXPECT_TRUE(card_.mapped.empty());
    EXPECT_EQ(read(kCard, 0, 4), 0xFFFF'FFFFu);
    EXPECT_TRUE(slot_status().get(slot_status::PRESENCE_DETECT_STATE));
    EXPECT_FALSE(slot_status().get(slot_status::PRESENCE_DETECT_CHANGED));
    root_.show_removal(port_);
    EXPECT_FALSE(slot_status().get(slot_status::PRESENCE_DETECT_STATE));
    EXPECT_TRUE(slot_status().get(slot_status::PRESENCE_DETECT_CHANGED));
    EXPECT_TRUE(slot_status().get(slot_status::DATA_LINK_LAYER_STATE_CHANGED));
}

TEST_F(RootPortTest, MessagesInsteadOfThePinOneForEachTimeThatEventsBegin) {
    enable_msi();
    control(listening());
    ASSERT_TRUE(root_.plug(port_, 0, card_).has_value());
    EXPECT_FALSE(lines_[kPortGsi].asserted());
    EXPECT_EQ(messages_.take(), std::vector{kMessage});
    root_.request_removal(port_); // while others are not cleared
    EXPECT_TRUE(messages_.take().empty());
    clear_events();
    root_.request_removal(port_);
    EXPECT_EQ(messages_.take(), std::vector{kMessage});
}

TEST_F(RootPortTest, AMaskedMessageIsPendingAndSentWhenItIsUnmasked) {
    enable_msi();
    control(listening());
    write(kPort, msi() + kMsiMaskOffset + 4, 4, 1);
    ASSERT_TRUE(root_.plug(port_, 0, card_).has_value());
    EXPECT_TRUE(messages_.take().empty());
    EXPECT_EQ(read(kPort, msi() + kMsiPendingOffset + 4, 4), 1u);
    write(kPort, msi() + kMsiMaskOffset + 4, 4, 0);
    EXPECT_EQ(messages_.take(), std::vector{kMessage});
    EXPECT_EQ(read(kPort, msi() + kMsiPendingOffset + 4, 4), 0u);
}

TEST_F(RootPortTest, APortThatMayNotMasterTheBusSendsNothing) {
    enable_msi();
    control(listening());
    write(kPort, offset::kCommand, 2, 0);
    ASSERT_TRUE(root_.plug(port_, 0, card_).has_value());
    EXPECT_TRUE(messages_.take().empty());
}

TEST_F(RootPortTest, AMessageThatWasSentIsNotSentAgainByRestoring) {
    enable_msi();
    control(listening());
    ASSERT_TRUE(root_.plug(port_, 0, card_).has_value());
    const auto saved = port_.save();
    port_.reset();
    (void)messages_.take();
    ASSERT_TRUE(port_.restore(saved).has_value());
    EXPECT_TRUE(messages_.take().empty());
    EXPECT_FALSE(lines_[kPortGsi].asserted());
}

TEST_F(RootPortTest, ASecondaryBusResetResetsTheCardOnce) {
    ASSERT_TRUE(root_.plug(port_, 0, card_).has_value());
    write(kCard, offset::kCommand, 2, 2);
    write(kPort, bridge::kControl, 2, bridge::kSecondaryBusReset);
    write(kPort, bridge::kControl, 2, bridge::kSecondaryBusReset);
    EXPECT_EQ(card_.resets, 1);
    EXPECT_EQ(read(kCard, offset::kCommand, 2), 0u);
}

TEST_F(RootPortTest, ACardsPinComesThroughThePortsPin) {
    ASSERT_TRUE(root_.plug(port_, 0, card_).has_value());
    card_.interrupt(true);
    EXPECT_TRUE(lines_[kPortGsi].asserted());
    card_.interrupt(false);
    EXPECT_FALSE(lines_[kPortGsi].asserted());
}

TEST_F(RootPortTest, WhatSoftwareSetSurvivesSavingAndRestoring) {
    ASSERT_TRUE(root_.plug(port_, 0, card_).has_value());
    write(kPort, bridge::kSecondaryBus, 1, 9);
    write(kPort, express(kPort) + kDeviceControl2Offset, 2, kAriForwarding);
    const auto saved = port_.save();
    port_.reset();
    EXPECT_EQ(read(kCard, 0, 4), 0x5678'1234u);
    ASSERT_TRUE(port_.restore(saved).has_value());
    EXPECT_EQ(read({9, 0, 0}, 0, 4), 0x5678'1234u);
    EXPECT_NE(read(kPort, express(kPort) + kDeviceControl2Offset, 2) & kAriForwarding, 0u);
    EXPECT_TRUE(slot_status().get(slot_status::PRESENCE_DETECT_STATE));
}

TEST_F(RootPortTest, OffersAccessControlSoThatCardsCanBeToldApart) {
    const ExtendedCapabilityHeader header{read(kPort, kFirstExtendedCapability, 4)};
    EXPECT_EQ(header.get(extended_capability_header::ID),
              std::to_underlying(ExtendedCapabilityId::kAccessControlServices));
    write(kPort, kFirstExtendedCapability + kAcsControlOffset, 2, 0xFFFF);
    EXPECT_EQ(read(kPort, kFirstExtendedCapability + kAcsControlOffset, 2), kAcsRootPort);
}

} // namespace
} // namespace touka::platform
