#include "platform/interrupt/local_apic_bus.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "platform/interrupt/local_apic.hpp"
#include "platform/interrupt/recording_processor.hpp"
#include "runtime/manual_timers.hpp"
#include "spec/x86/msr.hpp"

namespace touka::platform {
namespace {

using Register = spec::apic::LocalApicRegister;
constexpr std::uint32_t kIcrMsr = 0x830;

class LocalApicBusTest : public testing::Test {
protected:
    static constexpr std::uint32_t kCount = 20;
    LocalApicBusTest() {
        for (std::uint32_t i = 0; i < kCount; ++i) {
            apics.push_back(
                std::make_unique<LocalApic>(LocalApicConfig{.apic_id = i, .bootstrap = i == 0}, bus, timers));
            apics[i]->connect(processors[i], [] { return 0; });
            write(i, Register::SVR, 0x1FF);
        }
    }
    void write(std::uint32_t apic, Register name, std::uint32_t value) {
        apics[apic]->write_page(static_cast<std::uint32_t>(name), value);
    }
    void enter_x2apic() {
        for (auto& apic : apics) {
            const auto base = apic->read_msr(spec::x86::msr::kApicBase);
            ASSERT_TRUE(apic->write_msr(spec::x86::msr::kApicBase, *base | 0x400));
        }
    }
    /// Which APICs have something to deliver; takes and ends it.
    std::vector<std::uint32_t> receivers() {
        std::vector<std::uint32_t> result;
        for (std::uint32_t i = 0; i < kCount; ++i) {
            if (!apics[i]->acknowledge()) continue;
            result.push_back(i);
            if (apics[i]->page())
                write(i, Register::EOI, 0);
            else
                EXPECT_TRUE(apics[i]->write_msr(0x80B, 0));
        }
        return result;
    }
    void ipi(std::uint32_t from, std::uint32_t destination, std::uint32_t low) {
        write(from, Register::ICR_HIGH, destination << 24);
        write(from, Register::ICR_LOW, low);
    }
    using Ids = std::vector<std::uint32_t>;

    runtime::ManualTimers timers;
    LocalApicBus bus;
    std::array<RecordingProcessor, kCount> processors;
    std::vector<std::unique_ptr<LocalApic>> apics;
};

TEST_F(LocalApicBusTest, APhysicalDestinationIsOneApicAndFFhAllOfThem) {
    ipi(0, 3, 0x41);
    EXPECT_EQ(receivers(), Ids{3});
    ipi(0, 0xFF, 0x41);
    EXPECT_EQ(receivers().size(), kCount);
    ipi(0, 200, 0x41);
    EXPECT_EQ(receivers(), Ids{});
}

TEST_F(LocalApicBusTest, ShorthandsIgnoreTheDestination) {
    ipi(2, 7, 0x4'0041);
    EXPECT_EQ(receivers(), Ids{2});
    ipi(2, 7, 0x8'0041);
    EXPECT_EQ(receivers().size(), kCount);
    ipi(2, 7, 0xC'0041);
    const auto others = receivers();
    EXPECT_EQ(others.size(), kCount - 1);
    EXPECT_EQ(std::count(others.begin(), others.end(), 2u), 0);
}

TEST_F(LocalApicBusTest, TheFlatModelMatchesAnyCommonBit) {
    for (std::uint32_t i = 0; i < 8; ++i) write(i, Register::LDR, 1u << (24 + i));
    ipi(0, 0b0010'0110, 0x841);
    EXPECT_EQ(receivers(), (Ids{1, 2, 5}));
}

TEST_F(LocalApicBusTest, TheClusterModelMatchesClusterAndBitAndFhIsEveryCluster) {
    for (std::uint32_t i = 0; i < 8; ++i) {
        write(i, Register::DFR, 0x0FFF'FFFF);
        write(i, Register::LDR, ((i / 4) << 4 | 1u << (i % 4)) << 24);
    }
    ipi(0, 0x1'6 & 0xFF, 0x841); // cluster 1, members 1 and 2
    EXPECT_EQ(receivers(), (Ids{5, 6}));
    ipi(0, 0xF1, 0x841);
    EXPECT_EQ(receivers(), (Ids{0, 4}));
}

TEST_F(LocalApicBusTest, X2apicLogicalIdsNameAClusterOfSixteen) {
    enter_x2apic();
    ASSERT_TRUE(apics[0]->write_msr(kIcrMsr, std::uint64_t{0x0001'0005} << 32 | 0x841));
    EXPECT_EQ(receivers(), (Ids{16, 18}));
    ASSERT_TRUE(apics[0]->write_msr(kIcrMsr, std::uint64_t{19} << 32 | 0x41));
    EXPECT_EQ(receivers(), Ids{19});
    ASSERT_TRUE(apics[0]->write_msr(kIcrMsr, std::uint64_t{0xFFFF'FFFF} << 32 | 0x41));
    EXPECT_EQ(receivers().size(), kCount);
    ASSERT_TRUE(apics[0]->write_msr(kIcrMsr, std::uint64_t{0xFF} << 32 | 0x41));
    EXPECT_EQ(receivers(), Ids{}) << "FFh is an ID like any other there";
}

TEST_F(LocalApicBusTest, LowestPriorityGoesRoundTheApicsThatTakeIt) {
    for (std::uint32_t i = 0; i < 3; ++i) write(i, Register::LDR, 0x0100'0000);
    write(1, Register::SVR, 0xFF); // software-disabled
    Ids order;
    for (int i = 0; i < 4; ++i) {
        ipi(5, 0x01, 0x941);
        const auto took = receivers();
        ASSERT_EQ(took.size(), 1u);
        order.push_back(took[0]);
    }
    EXPECT_EQ(order, (Ids{0, 2, 0, 2}));
}

TEST_F(LocalApicBusTest, NmiInitAndStartUpReachTheProcessor) {
    ipi(0, 4, 0x4400);
    ipi(0, 4, 0xC500); // INIT, level assert
    ipi(0, 4, 0x8500); // INIT, level de-assert: nothing
    ipi(0, 4, 0x4699);
    EXPECT_EQ(processors[4].nmis, 1u);
    EXPECT_EQ(processors[4].inits, 1u);
    EXPECT_EQ(processors[4].startups, std::vector<std::uint8_t>{0x99});
    EXPECT_EQ(processors[0].inits, 0u);
}

TEST_F(LocalApicBusTest, ADisabledApicHearsNothing) {
    ASSERT_TRUE(apics[3]->write_msr(spec::x86::msr::kApicBase, 0xFEE0'0000));
    ipi(0, 3, 0x4400);
    ipi(0, 0xFF, 0x4400);
    EXPECT_EQ(processors[3].nmis, 0u);
    EXPECT_FALSE(bus.deliver({.destination = 3, .vector = 0x41}));
}

TEST_F(LocalApicBusTest, AnMsiNamesDestinationVectorAndTrigger) {
    bus.send({0xFEE0'5000, 0x0041});
    EXPECT_EQ(receivers(), Ids{5});
    bus.send({0xFEEF'F000, 0x0041});
    EXPECT_EQ(receivers().size(), kCount);
    bus.send({0xFEE0'5000, 0xC055});
    EXPECT_NE(apics[5]->read_page(0x1A0) & 1u << 0x15, 0u) << "TMR of 55h";
}

TEST_F(LocalApicBusTest, ALogicalMsiWithRedirectionHintGoesToOne) {
    for (std::uint32_t i = 0; i < 8; ++i) write(i, Register::LDR, 1u << (24 + i));
    bus.send({0xFEE0'6004, 0x0041});
    EXPECT_EQ(receivers(), (Ids{1, 2}));
    bus.send({0xFEE0'600C, 0x0041});
    EXPECT_EQ(receivers().size(), 1u);
}

TEST_F(LocalApicBusTest, ExtendedDestinationBitsReachBeyond255) {
    bus.send({0xFEE0'3020, 0x0041}); // 80h << 1 | 3: no such APIC
    EXPECT_EQ(receivers(), Ids{});
}

TEST_F(LocalApicBusTest, OtherAddressesAndReservedModesAreNoInterrupts) {
    bus.send({0xFED0'5000, 0x0041});
    bus.send({0x1'FEE0'5000, 0x0041});
    bus.send({0xFEE0'5000, 0x0341}); // the reserved mode
    bus.send({0xFEE0'5000, 0x0241}); // SMI
    EXPECT_EQ(receivers(), Ids{});
}

} // namespace
} // namespace touka::platform
