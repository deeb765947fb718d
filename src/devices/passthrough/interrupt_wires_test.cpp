#include "devices/passthrough/interrupt_wires.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "devices/passthrough/test_transport.hpp"
#include "platform/recording_wires.hpp"

namespace touka::devices::passthrough {
namespace {

constexpr std::uint32_t kIndex = spec::vfio::VFIO_PCI_MSIX_IRQ_INDEX;
constexpr platform::MsiMessage kOne{0xFEE0'1000, 0x41}, kOther{0xFEE0'2000, 0x42};

class Sink final : public platform::MsiSink {
public:
    explicit Sink(platform::RecordingWires& kernel) : kernel_(kernel) {}
    void send(const platform::MsiMessage&) override {}
    [[nodiscard]] std::unique_ptr<platform::MsiWire> make_wire(int event) override { return kernel_.make_wire(event); }

private:
    platform::RecordingWires& kernel_;
};

class InterruptWiresTest : public testing::Test {
protected:
    void signal(std::uint32_t number) {
        kernel_.signal(transport_.events.at({kIndex, number}));
        for (int i = 0; i < 3; ++i) reactor_.run_and_wait([] {});
    }
    platform::RecordingWires kernel_;
    Sink sink_{kernel_};
    test::TestTransport transport_;
    runtime::Reactor reactor_{"test"};
    std::atomic<int> raised_{0};
    InterruptWires wires_{reactor_, transport_, kIndex, [this](std::uint32_t) { ++raised_; }, &sink_};
};

TEST_F(InterruptWiresTest, ASignalWithoutAMessageIsRaisedHere) {
    ASSERT_TRUE(wires_.connect(0, 2));
    signal(1);
    EXPECT_EQ(raised_, 1);
    EXPECT_EQ(wires_.raised(), 1u);
    EXPECT_TRUE(kernel_.delivered.empty());
}

TEST_F(InterruptWiresTest, AMessageGoesPastThisProcess) {
    wires_.route(1, kOne); // before it is connected
    ASSERT_TRUE(wires_.connect(0, 2));
    wires_.route(0, kOther); // and after
    signal(1);
    signal(0);
    EXPECT_EQ(kernel_.delivered, (std::vector{kOne, kOther}));
    EXPECT_EQ(raised_, 0);
    EXPECT_EQ(wires_.most_carried(), 2u);
    wires_.route(0, kOne); // the guest writes another one
    signal(0);
    EXPECT_EQ(kernel_.delivered.back(), kOne);
    EXPECT_EQ(wires_.most_carried(), 2u);
}

TEST_F(InterruptWiresTest, WhatMayNotBeSentComesHereAgain) {
    wires_.route(0, kOne);
    ASSERT_TRUE(wires_.connect(0, 1));
    wires_.route(0, std::nullopt);
    signal(0);
    EXPECT_EQ(raised_, 1);
    EXPECT_TRUE(kernel_.delivered.empty());
}

TEST_F(InterruptWiresTest, GoesThroughThisProcessWhenTheKernelHasNoRoom) {
    kernel_.full = true;
    wires_.route(0, kOne);
    ASSERT_TRUE(wires_.connect(0, 1));
    signal(0);
    EXPECT_EQ(raised_, 1);
    kernel_.full = false;
    wires_.route(0, kOne);
    signal(0);
    EXPECT_EQ(raised_, 1);
    kernel_.full = true; // the next message cannot be put in its place: the one before must not stay
    wires_.route(0, kOther);
    signal(0);
    EXPECT_EQ(raised_, 2);
    EXPECT_EQ(kernel_.delivered, std::vector{kOne});
}

TEST_F(InterruptWiresTest, NothingIsCarriedForADeviceThatIsDisconnected) {
    wires_.route(0, kOne);
    ASSERT_TRUE(wires_.connect(0, 1));
    ASSERT_EQ(kernel_.carried.size(), 1u);
    wires_.disconnect();
    EXPECT_TRUE(kernel_.carried.empty());
    EXPECT_EQ(transport_.connected(kIndex), 0u);
    ASSERT_TRUE(wires_.connect(0, 1)); // its route stands
    EXPECT_EQ(kernel_.carried.size(), 1u);
    wires_.forget();
    EXPECT_TRUE(kernel_.carried.empty());
}

TEST_F(InterruptWiresTest, EndsWhileAHandlerWaitsForWhoChangesRoutes) {
    // What a table of MSI-X does: its lock is held while it tells of a route, and taken by who raises a vector.
    std::mutex table;
    InterruptWires wires(
        reactor_, transport_, kIndex, [&](std::uint32_t) { const std::scoped_lock lock(table); }, &sink_);
    std::atomic<bool> over{false};
    std::thread guest([&] {
        while (!over) {
            const std::scoped_lock lock(table);
            wires.route(0, std::nullopt);
        }
    });
    for (int i = 0; i < 200; ++i) {
        ASSERT_TRUE(wires.connect(0, 1));
        kernel_.signal(transport_.events.at({kIndex, 0}));
        wires.disconnect();
    }
    over = true;
    guest.join();
}

} // namespace
} // namespace touka::devices::passthrough
