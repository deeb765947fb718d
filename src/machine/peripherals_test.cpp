#include "machine/peripherals.hpp"

#include <gtest/gtest.h>

#include "devices/virtio/test_driver.hpp"
#include "spec/pci/config_header.hpp"

namespace touka::machine {
namespace {

class NoConsole final : public runtime::ByteStream {
public:
    void write(std::span<const std::byte>) override {}
    void set_receiver(std::function<std::size_t(std::span<const std::byte>)>) override {}
    void resume_input() override {}
};

class PeripheralsTest : public testing::Test {
protected:
    [[nodiscard]] std::unique_ptr<Peripherals> make(const MachineConfig& config) {
        auto made =
            Peripherals::create(config, {*host_.ram, host_.root, paths_, host_.doorbells, host_.reactor, console_});
        return made ? std::move(*made) : nullptr;
    }
    [[nodiscard]] std::uint32_t vendor(std::uint8_t device) {
        return host_.root.read_config({.device = device}, spec::pci::offset::kVendorId, 2);
    }

    devices::virtio::test::TestMachine host_;
    FunctionPaths paths_{*host_.ram, host_.messages, nullptr};
    NoConsole console_;
};

TEST_F(PeripheralsTest, LeaveTheBusWhenTheyGo) {
    MachineConfig config;
    config.entropy = config.balloon = true;
    auto peripherals = make(config);
    ASSERT_NE(peripherals, nullptr);
    EXPECT_EQ(vendor(1), spec::virtio::kPciVendor);
    EXPECT_EQ(vendor(2), spec::virtio::kPciVendor);
    peripherals.reset();
    EXPECT_EQ(vendor(1), 0xFFFFu);
    EXPECT_EQ(vendor(2), 0xFFFFu);
}

} // namespace
} // namespace touka::machine
