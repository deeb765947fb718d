#include "machine/cards.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "devices/virtio/test_driver.hpp"
#include "spec/pci/config_header.hpp"

namespace touka::machine {
namespace {

class CardsTest : public testing::Test {
protected:
    CardsTest() {
        const int fd = ::mkstemp(path_.data());
        EXPECT_EQ(::ftruncate(fd, 1 << 20), 0);
        ::close(fd);
    }
    ~CardsTest() override { ::unlink(path_.c_str()); }

    [[nodiscard]] std::expected<std::unique_ptr<Cards>, MachineError> make(const MachineConfig& config) {
        return Cards::create(config, {*host_.ram, device_memory_, host_.root, paths_, host_.reactor});
    }
    [[nodiscard]] MachineConfig with_nvme(std::uint32_t virtual_functions) const {
        MachineConfig config;
        NvmeDevice card;
        card.disk.path = path_;
        card.virtual_functions = virtual_functions;
        config.cards.emplace_back(card);
        return config;
    }
    [[nodiscard]] std::uint32_t class_at(const platform::PciAddress& address) {
        return host_.root.read_config(address, spec::pci::offset::kRevisionId, 4) >> 8;
    }

    std::string path_ = "/var/tmp/touka-cards-XXXXXX";
    devices::virtio::test::TestMachine host_;
    memory::DeviceMemoryMap device_memory_{host_.ram->ranges()};
    FunctionPaths paths_{*host_.ram, host_.messages, nullptr};
};

TEST_F(CardsTest, EachHasASlotBehindAPortOfItsOwn) {
    auto config = with_nvme(0);
    const auto cards = make(config);
    ASSERT_TRUE(cards.has_value()) << cards.error().text;
    EXPECT_EQ(class_at({0, 0x10, 0}), spec::pci::class_code::kPciBridge);
    EXPECT_EQ(class_at({1, 0, 0}), spec::pci::class_code::kNvmExpress);
}

TEST_F(CardsTest, AFreeSlotNeedsTheGuestToTellOfEveryChangeAndACardOfOurOwnDoesNot) {
    auto config = with_nvme(0);
    auto cards = make(config);
    ASSERT_TRUE(cards.has_value());
    EXPECT_FALSE((*cards)->needs_caching_mode());
    cards->reset();
    config.free_slots = 1;
    cards = make(config);
    ASSERT_TRUE(cards.has_value());
    EXPECT_TRUE((*cards)->needs_caching_mode());
}

TEST_F(CardsTest, VirtualFunctionsAreDevicesFromTheStart) {
    const auto cards = make(with_nvme(3));
    ASSERT_TRUE(cards.has_value());
    EXPECT_EQ((*cards)->devices().size(), 1u + 2u + 3u);
}

TEST_F(CardsTest, LeaveTheBusWhenTheyGo) {
    auto cards = make(with_nvme(1));
    ASSERT_TRUE(cards.has_value());
    cards->reset();
    EXPECT_EQ(class_at({0, 0x10, 0}), 0xFF'FFFFu);
    EXPECT_EQ(class_at({1, 0, 0}), 0xFF'FFFFu);
}

TEST_F(CardsTest, AFileThatIsNotThereIsNamed) {
    auto config = with_nvme(0);
    std::get<NvmeDevice>(config.cards[0]).disk.path = "/nowhere/disk.raw";
    const auto cards = make(config);
    ASSERT_FALSE(cards.has_value());
    EXPECT_NE(cards.error().text.find("/nowhere/disk.raw"), std::string::npos);
}

} // namespace
} // namespace touka::machine
