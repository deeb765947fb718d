#include "platform/pci/sriov_capability.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "platform/pci/pci_root.hpp"
#include "platform/pci/test_function.hpp"
#include "spec/pci/express.hpp"
#include "spec/pci/extended_capability.hpp"

namespace touka::platform {
namespace {

using namespace spec::pci;

constexpr std::uint16_t kTotal = 4, kVfDevice = 0x5679;
constexpr std::uint64_t kVfBarBytes = 0x2000;
constexpr PciAddress kPhysical{1, 0, 0};
constexpr PciAddress vf(unsigned index) { return PciAddress::from(1, static_cast<std::uint8_t>(index + 1)); }

/// A function with a BAR of its own, physical with virtual ones or virtual itself.
class Function final : public PciFunction {
public:
    Function(std::string name, VirtualFunctions* functions)
        : PciFunction(std::move(name), PciIdentity{.vendor_id = 0x1234, .device_id = 0x5678}) {
        define_bar(0, BarKind::kMemory64, kVfBarBytes, handler);
        add_express_endpoint();
        set_interrupt_pin(1);
        add_alternative_routing_id();
        if (functions != nullptr) add_sriov(kVfDevice, *functions);
    }
    ~Function() override { detach(); }
    [[nodiscard]] migration::Record save() const override {
        return migration::save_record(std::string(name()), save_function());
    }
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override {
        const auto state = migration::load_record<PciFunctionState>(record);
        if (!state) return std::unexpected(state.error());
        return restore_function(*state);
    }
    test::MemoryHandler handler;
    int resets = 0;

private:
    void function_level_reset() override { ++resets; }
};

class Functions final : public VirtualFunctions {
public:
    Functions() {
        for (unsigned i = 0; i < kTotal; ++i) {
            all.push_back(std::make_unique<Function>("vf@" + std::to_string(i), nullptr));
        }
    }
    [[nodiscard]] std::uint16_t total() const override { return kTotal; }
    [[nodiscard]] PciFunction& function(std::uint16_t index) override { return *all.at(index); }
    void enabled(std::uint16_t now) override { count = now; }
    std::vector<std::unique_ptr<Function>> all;
    unsigned count = 99;
};

class Sriov : public testing::Test {
protected:
    Sriov() {
        EXPECT_TRUE(root_.plug_port({0, 0x10, 0}, port_).has_value());
        EXPECT_TRUE(root_.plug(port_, 0, physical_).has_value());
        std::uint32_t at = kFirstExtendedCapability;
        while (at != 0) {
            const ExtendedCapabilityHeader header{read(kPhysical, at, 4)};
            if (header.get(extended_capability_header::ID) == 0x0010) capability_ = at;
            at = header.get(extended_capability_header::NEXT);
        }
    }
    ~Sriov() override { root_.unplug(port_, 0); }

    [[nodiscard]] std::uint32_t read(const PciAddress& at, std::uint32_t offset, unsigned width) {
        return root_.read_config(at, offset, width);
    }
    void write(std::uint32_t offset, unsigned width, std::uint32_t value) {
        root_.write_config(kPhysical, capability_ + offset, width, value);
    }
    void enable(unsigned count, bool memory = true) {
        write(kNumVfsOffset, 2, count);
        write(kSriovControlOffset, 2, memory ? 0x9 : 0x1);
    }
    [[nodiscard]] std::uint64_t base() { return read(kPhysical, capability_ + kVfBar0Offset, 4) & kBarMemoryMask; }

    AddressSpace memory_, ports_;
    Functions functions_;
    Function physical_{"pf", &functions_};
    test::NullSink port_messages_;
    RootPort port_{"root-port@00:10.0", 1, port_messages_, [] {}};
    PciRoot root_{memory_, ports_, PciRootConfig{}};
    std::uint32_t capability_ = 0;
};

TEST_F(Sriov, OffersItsFunctionsAndHidesThemUntilTheyAreEnabled) {
    ASSERT_NE(capability_, 0u);
    EXPECT_EQ(read(kPhysical, capability_ + kTotalVfsOffset, 2), kTotal);
    EXPECT_EQ(read(kPhysical, capability_ + kVfDeviceIdOffset, 2), kVfDevice);
    EXPECT_EQ(read(vf(0), 8, 4), 0xFFFF'FFFFu);
    enable(2);
    EXPECT_EQ(functions_.count, 2u);
    EXPECT_NE(read(vf(0), 8, 4), 0xFFFF'FFFFu);
    EXPECT_NE(read(vf(1), 8, 4), 0xFFFF'FFFFu);
    EXPECT_EQ(read(vf(2), 8, 4), 0xFFFF'FFFFu);
}

TEST_F(Sriov, AVirtualFunctionHasNoIdentityBarsOrPinOfItsOwn) {
    enable(1);
    EXPECT_EQ(read(vf(0), 0, 4), 0xFFFF'FFFFu);
    root_.write_config(vf(0), offset::kBar0, 4, 0xFFFF'FFFF);
    EXPECT_EQ(read(vf(0), offset::kBar0, 4), 0u);
    EXPECT_EQ(read(vf(0), offset::kInterruptPin, 1), 0u);
    root_.write_config(vf(0), offset::kCommand, 2, 0xFFFF);
    EXPECT_EQ(read(vf(0), offset::kCommand, 2), 4u);
    EXPECT_EQ(functions_.all[0]->requester_id(), 0x0101);
}

TEST_F(Sriov, TheirBarsLieOneBehindTheOther) {
    enable(3);
    ASSERT_NE(base(), 0u);
    memory_.write(base() + 2 * kVfBarBytes + 0x10, 4, 1);
    EXPECT_EQ(functions_.all[2]->handler.last_offset, 0x10u);
    EXPECT_EQ(functions_.all[1]->handler.last_offset, ~0ull);
    EXPECT_EQ(memory_.read(base() + 3 * kVfBarBytes, 4), 0xFFFF'FFFFu); // not enabled
    write(kSriovControlOffset, 2, 1);                                   // without memory space
    EXPECT_EQ(memory_.read(base(), 4), 0xFFFF'FFFFu);
}

TEST_F(Sriov, ABarsSizeIsThatOfOneFunction) {
    write(kVfBar0Offset, 4, 0xFFFF'FFFF);
    EXPECT_EQ(read(kPhysical, capability_ + kVfBar0Offset, 4) & kBarMemoryMask,
              ~static_cast<std::uint32_t>(kVfBarBytes - 1));
}

TEST_F(Sriov, LargerPagesSpreadTheBars) {
    write(kSystemPageSizeOffset, 4, 0x10); // 64 KiB
    write(kVfBar0Offset, 4, 0xFFFF'FFFF);
    EXPECT_EQ(read(kPhysical, capability_ + kVfBar0Offset, 4) & kBarMemoryMask, 0xFFFF'0000u);
    write(kVfBar0Offset, 4, 0xC800'0000);
    enable(2);
    memory_.write(base() + 0x1'0000 + 8, 4, 1);
    EXPECT_EQ(functions_.all[1]->handler.last_offset, 8u);
}

TEST_F(Sriov, MoreThanThereAreAreNotEnabled) {
    enable(kTotal + 1);
    EXPECT_EQ(read(vf(0), 8, 4), 0xFFFF'FFFFu);
}

TEST_F(Sriov, TheCountIsTakenWhenTheyAreEnabled) {
    enable(1);
    write(kNumVfsOffset, 2, 3);
    EXPECT_EQ(read(vf(1), 8, 4), 0xFFFF'FFFFu);
}

TEST_F(Sriov, DisablingResetsThemAndTakesThemAway) {
    enable(2);
    write(kSriovControlOffset, 2, 0);
    EXPECT_EQ(functions_.count, 0u);
    EXPECT_EQ(functions_.all[0]->resets, 1);
    EXPECT_EQ(read(vf(0), 8, 4), 0xFFFF'FFFFu);
    EXPECT_EQ(physical_.resets, 0);
}

TEST_F(Sriov, ResettingThePhysicalFunctionTakesThemAway) {
    enable(2);
    physical_.bus_reset();
    EXPECT_EQ(functions_.count, 0u);
    EXPECT_EQ(read(vf(0), 8, 4), 0xFFFF'FFFFu);
}

TEST_F(Sriov, ABusResetReachesAllAndLeavesThePhysicalOne) {
    enable(2);
    root_.write_config({0, 0x10, 0}, 0x3E, 2, 0x40);
    EXPECT_EQ(physical_.resets, 1);
    EXPECT_EQ(read(vf(0), 8, 4), 0xFFFF'FFFFu);
    EXPECT_EQ(read(kPhysical, 0, 4), 0x5678'1234u);
}

TEST_F(Sriov, UnpluggingTheCardTakesAllAway) {
    enable(2);
    root_.unplug(port_, 0);
    EXPECT_EQ(functions_.count, 0u);
    EXPECT_EQ(memory_.read(base(), 4), 0xFFFF'FFFFu);
}

TEST_F(Sriov, ARestoredCardHasItsFunctionsEnabled) {
    enable(2);
    const auto saved = physical_.save();
    physical_.bus_reset();
    ASSERT_TRUE(physical_.restore(saved).has_value());
    EXPECT_EQ(functions_.count, 2u);
    memory_.write(base() + kVfBarBytes + 4, 4, 1);
    EXPECT_EQ(functions_.all[1]->handler.last_offset, 4u);
}

} // namespace
} // namespace touka::platform
