#include "devices/nvme/nvme_card.hpp"

#include <gtest/gtest.h>

#include "devices/nvme/test_driver.hpp"
#include "platform/pci/pci_root.hpp"
#include "spec/nvme/virtualization.hpp"
#include "spec/pci/extended_capability.hpp"

namespace touka::devices::nvme::test {
namespace {

constexpr std::uint64_t kVolumeBytes = 1 << 20;
constexpr std::uint16_t kVirtual = 2;

/// A card in a slot, and software that looks at its configuration space.
class NvmeCardTest : public testing::Test {
protected:
    NvmeCardTest() {
        EXPECT_TRUE(root_.plug_port({0, 0x10, 0}, port_).has_value());
        EXPECT_TRUE(root_.plug(port_, 0, card_.physical()).has_value());
        for (platform::Device* device : card_.devices()) device->start();
    }
    ~NvmeCardTest() override {
        for (platform::Device* device : card_.devices()) device->pause();
        root_.unplug(port_, 0);
    }

    [[nodiscard]] NvmeCardConfiguration configuration() {
        NvmeCardConfiguration result;
        result.name = "nvme@1";
        result.subsystem = {.nqn = "nqn.2014-08.org.example:card", .serial = "SN2", .namespace_limit = 1};
        result.namespaces.push_back(namespace_on(volume_));
        result.virtual_functions = kVirtual;
        return result;
    }
    [[nodiscard]] std::uint32_t sriov() {
        using namespace spec::pci;
        for (std::uint32_t at = kFirstExtendedCapability; at != 0;) {
            const ExtendedCapabilityHeader header{root_.read_config({1, 0, 0}, at, 4)};
            if (header.get(extended_capability_header::ID) ==
                std::to_underlying(ExtendedCapabilityId::kSingleRootIoVirtualization)) {
                return at;
            }
            at = header.get(extended_capability_header::NEXT);
        }
        return 0;
    }
    void enable(std::uint16_t count) {
        root_.write_config({1, 0, 0}, sriov() + spec::pci::kNumVfsOffset, 2, count);
        root_.write_config({1, 0, 0}, sriov() + spec::pci::kSriovControlOffset, 2, count == 0 ? 0 : 9);
    }
    [[nodiscard]] VirtualResources::Answer manage(std::uint8_t action, std::uint8_t type, std::uint16_t id,
                                                  std::uint16_t count) {
        return card_.subsystem().manage(NvmeCard::kPrimaryController, action, type, id, count);
    }
    void bring_online(std::uint16_t id) {
        using namespace spec::nvme;
        EXPECT_EQ(manage(kSecondaryAssign, kQueueResources, id, 3).status, Status::kSuccess);
        EXPECT_EQ(manage(kSecondaryAssign, kInterruptResources, id, 3).status, Status::kSuccess);
        EXPECT_EQ(manage(kSecondaryOnline, 0, id, 0).status, Status::kSuccess);
    }

    platform::AddressSpace memory_, ports_;
    TestMachine machine_;
    storage::MemoryVolume volume_{kVolumeBytes};
    platform::RootPort port_{"root-port@00:10.0", 1, machine_.context().msi, [] {}};
    NvmeCard card_{configuration(), [this](std::uint16_t) { return machine_.context(); }};
    platform::PciRoot root_{memory_, ports_, platform::PciRootConfig{}};
};

TEST_F(NvmeCardTest, OffersItsVirtualFunctions) {
    ASSERT_NE(sriov(), 0u);
    EXPECT_EQ(root_.read_config({1, 0, 0}, sriov() + spec::pci::kTotalVfsOffset, 2), kVirtual);
    EXPECT_EQ(root_.read_config({1, 0, 0}, sriov() + spec::pci::kVfDeviceIdOffset, 2), kVirtualDeviceId);
    enable(kVirtual);
    EXPECT_EQ(root_.read_config({1, 0, 2}, 8, 4) >> 8, spec::pci::class_code::kNvmExpress);
}

TEST_F(NvmeCardTest, AControllerGoesOfflineWithItsFunction) {
    enable(kVirtual);
    bring_online(1);
    bring_online(2);
    EXPECT_TRUE(card_.subsystem().online(2));
    enable(0);
    EXPECT_FALSE(card_.subsystem().online(1));
    EXPECT_FALSE(card_.subsystem().online(2));
}

TEST_F(NvmeCardTest, AResetOfThePhysicalFunctionTakesTheControllersOffline) {
    enable(kVirtual);
    bring_online(1);
    card_.physical().bus_reset();
    EXPECT_FALSE(card_.subsystem().online(1));
}

TEST_F(NvmeCardTest, PoolsHoldAFullSetForEachVirtualFunction) {
    using namespace spec::nvme;
    enable(kVirtual);
    for (std::uint16_t id = 1; id <= kVirtual; ++id) {
        EXPECT_EQ(manage(kSecondaryAssign, kQueueResources, id, NvmeCard::kQueuesPerFunction).status, Status::kSuccess);
    }
    EXPECT_EQ(manage(kSecondaryAssign, kQueueResources, 1, NvmeCard::kQueuesPerFunction + 1).status,
              Status::kInvalidResourceCount);
}

} // namespace
} // namespace touka::devices::nvme::test
