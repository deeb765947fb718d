#include "devices/virtio/entropy.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "devices/virtio/test_driver.hpp"

namespace touka::devices::virtio {
namespace {

using test::TestDriver;
using test::TestMachine;

TEST(VirtioEntropy, FillsAtMostItsLimitPerRequestFromTheKernel) {
    TestMachine machine;
    VirtioPciFunction function("virtio-rng@00:03.0", std::make_unique<Entropy>(), machine.context());
    TestDriver driver(machine, function);
    auto queues = driver.bring_up(0, 1, 8);
    const std::uint64_t buffer = driver.allocate(64 << 10);
    driver.send(queues[0], {{buffer, 64 << 10, true}});
    EXPECT_EQ(driver.take_used(queues[0]).len, Entropy::kRequestLimitBytes);
    const std::span filled(driver.at(buffer), Entropy::kRequestLimitBytes);
    EXPECT_GT(std::ranges::count_if(filled, [](std::byte byte) { return byte != std::byte{0}; }), 3000);
    EXPECT_EQ(*driver.at(buffer + Entropy::kRequestLimitBytes), std::byte{0});
}

TEST(VirtioEntropy, ReturnsAnEmptyBufferWhenTheSourceHasNothing) {
    TestMachine machine;
    VirtioPciFunction function(
        "virtio-rng@00:03.0", std::make_unique<Entropy>([](std::span<std::byte>) { return false; }), machine.context());
    TestDriver driver(machine, function);
    auto queues = driver.bring_up(0, 1, 8);
    driver.send(queues[0], {{driver.allocate(64), 64, true}});
    EXPECT_EQ(driver.take_used(queues[0]).len, 0u);
}

TEST(VirtioEntropy, HandlesMoreRequestsThanOneTurnHolds) {
    TestMachine machine;
    VirtioPciFunction function("virtio-rng@00:03.0", std::make_unique<Entropy>(), machine.context());
    TestDriver driver(machine, function);
    auto queues = driver.bring_up(0, 1, 64);
    const std::uint64_t buffer = driver.allocate(64);
    for (int i = 0; i < 40; ++i) driver.make_available(queues[0], driver.add_chain(queues[0], {{buffer, 64, true}}));
    driver.kick(queues[0]);
    machine.flush();
    EXPECT_EQ(driver.used_index(queues[0]), 40);
}

TEST(VirtioEntropy, RoundTripsItsState) {
    TestMachine machine;
    VirtioPciFunction function("virtio-rng@00:03.0", std::make_unique<Entropy>(), machine.context());
    TestDriver driver(machine, function);
    auto queues = driver.bring_up(0, 1, 8);
    function.pause();
    const migration::Record record = function.save();
    function.reset();
    EXPECT_NE(function.save().bytes, record.bytes);
    ASSERT_TRUE(function.restore(record).has_value());
    EXPECT_EQ(function.save().bytes, record.bytes);
    function.resume();
    driver.send(queues[0], {{driver.allocate(64), 64, true}});
    EXPECT_TRUE(driver.has_used(queues[0]));
}

} // namespace
} // namespace touka::devices::virtio
