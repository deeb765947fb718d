#include "devices/virtio/virtio_pci_function.hpp"

#include <gtest/gtest.h>

#include "devices/virtio/entropy.hpp"
#include "devices/virtio/test_driver.hpp"
#include "spec/pci/express.hpp"

namespace touka::devices::virtio {
namespace {

using namespace spec::virtio;
using test::TestDriver;
using test::TestMachine;
using Register = CommonRegister;

class VirtioPci : public testing::Test {
protected:
    void SetUp() override { create(machine_.context()); }
    void TearDown() override {
        driver_.reset();
        function_.reset();
    }
    void create(const VirtioPciContext& context) {
        function_.emplace("virtio-rng@00:03.0", std::make_unique<Entropy>([](std::span<std::byte> bytes) {
                              std::ranges::fill(bytes, std::byte{0x5A});
                              return true;
                          }),
                          context);
        driver_.emplace(machine_, *function_);
    }
    /// One request that the device can answer. @return whether it did.
    bool works(TestDriver::Queue& queue) {
        const std::uint64_t buffer = driver_->allocate(64);
        driver_->send(queue, {{buffer, 64, true}});
        if (!driver_->has_used(queue)) return false;
        return driver_->take_used(queue).len == 64 && driver_->load<std::uint8_t>(buffer + 63) == 0x5A;
    }
    static std::vector<platform::MsiMessage> message(unsigned vector) {
        return {{TestDriver::kMessageAddress, TestDriver::kFirstMessage + vector}};
    }

    TestMachine machine_;
    std::optional<VirtioPciFunction> function_;
    std::optional<TestDriver> driver_;
};

TEST_F(VirtioPci, IdentifiesItselfAsAModernDevice) {
    EXPECT_EQ(driver_->config_read(0, 4), 0x1044'1AF4u);
    EXPECT_EQ(driver_->config_read(8, 1), 1u);
    driver_->enable();
    EXPECT_EQ(driver_->device_features(), VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX);
    EXPECT_EQ(driver_->read(Register::num_queues, 2), 1u);
}

TEST_F(VirtioPci, BehindAnIommuOnlyADriverThatKnowsIsAccepted) {
    TearDown();
    VirtioPciContext context = machine_.context();
    context.access_platform = true;
    create(context);
    driver_->enable();
    EXPECT_EQ(driver_->device_features() & VIRTIO_F_ACCESS_PLATFORM, VIRTIO_F_ACCESS_PLATFORM);
    EXPECT_FALSE(driver_->negotiate(VIRTIO_F_VERSION_1));
    EXPECT_TRUE(driver_->negotiate(VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM));
    auto queues = driver_->bring_up(VIRTIO_F_ACCESS_PLATFORM, 1, 8);
    EXPECT_TRUE(works(queues[0]));
}

TEST_F(VirtioPci, DescribesItsStructuresInVendorCapabilities) {
    std::vector<unsigned> types;
    for (std::uint32_t at = driver_->config_read(0x34, 1); at != 0; at = driver_->config_read(at + 1, 1)) {
        if (driver_->config_read(at, 1) != 9) continue;
        const std::uint32_t type = driver_->config_read(at + 3, 1);
        types.push_back(type);
        if (type == 1) {
            EXPECT_EQ(driver_->config_read(at + 8, 4), VirtioPciFunction::kCommonOffset);
        }
        if (type == 2) {
            EXPECT_EQ(driver_->config_read(at + 16, 4), 4u);
        }
        if (type == 4) {
            EXPECT_EQ(driver_->config_read(at + 8, 4), VirtioPciFunction::kDeviceOffset);
        }
    }
    EXPECT_EQ(types, (std::vector{1u, 3u, 4u, 2u, 5u}));
}

TEST_F(VirtioPci, AcceptsOnlyFeaturesThatItOfferedAndInsistsOnVersion1) {
    driver_->enable();
    EXPECT_FALSE(driver_->negotiate(0));
    EXPECT_FALSE(driver_->negotiate(VIRTIO_F_VERSION_1 | feature(33)));
    EXPECT_TRUE(driver_->negotiate(VIRTIO_F_VERSION_1));
    driver_->write(Register::driver_feature_select, 4, 0);
    driver_->write(Register::driver_feature, 4, 0xFFFF'FFFF); // too late
    EXPECT_EQ(driver_->read(Register::driver_feature, 4), 0u);
}

TEST_F(VirtioPci, IsNotReadyBeforeFeaturesAreAgreedOn) {
    driver_->enable();
    driver_->write(Register::device_status, 1, 0);
    driver_->add_status(device_status::ACKNOWLEDGE | device_status::DRIVER | device_status::DRIVER_OK);
    EXPECT_EQ(driver_->status(), device_status::ACKNOWLEDGE | device_status::DRIVER);
}

TEST_F(VirtioPci, ReadsBackQueueRegistersInHalvesAndInOne) {
    driver_->enable();
    driver_->write(Register::queue_select, 2, 0);
    EXPECT_EQ(driver_->read(Register::queue_size, 2), Entropy::kQueueSize);
    machine_.memory.write(driver_->base() + 0x20, 4, 0x1000);
    machine_.memory.write(driver_->base() + 0x24, 4, 0x2);
    EXPECT_EQ(driver_->read(Register::queue_desc, 8), 0x2'0000'1000u);
    driver_->write(Register::queue_msix_vector, 2, 7); // there are two
    EXPECT_EQ(driver_->read(Register::queue_msix_vector, 2), VIRTIO_MSI_NO_VECTOR);
    driver_->write(Register::queue_select, 2, 1); // there is one
    EXPECT_EQ(driver_->read(Register::queue_size, 2), 0u);
    driver_->write(Register::queue_enable, 2, 1);
    EXPECT_EQ(driver_->read(Register::queue_enable, 2), 0u);
}

TEST_F(VirtioPci, AnswersARequestWithTheQueuesOwnMessage) {
    auto queues = driver_->bring_up(0, 1, 8);
    EXPECT_TRUE(works(queues[0]));
    EXPECT_EQ(machine_.messages.take(), message(1));
    EXPECT_FALSE(machine_.line.asserted());
}

TEST_F(VirtioPci, WithoutMsixRaisesThePinUntilTheIsrIsRead) {
    driver_->enable(false);
    (void)driver_->negotiate(VIRTIO_F_VERSION_1);
    auto queue = driver_->add_queue(0, 8);
    driver_->driver_ok();
    EXPECT_TRUE(works(queue));
    EXPECT_TRUE(machine_.line.asserted());
    EXPECT_EQ(machine_.memory.read(driver_->base() + VirtioPciFunction::kIsrOffset, 1), isr::kQueue);
    EXPECT_FALSE(machine_.line.asserted());
    EXPECT_EQ(machine_.memory.read(driver_->base() + VirtioPciFunction::kIsrOffset, 1), 0u);
    EXPECT_TRUE(machine_.messages.take().empty());
}

TEST_F(VirtioPci, ABrokenQueueAsksForAResetWithAConfigurationInterruptAndWorksAfterIt) {
    auto queues = driver_->bring_up(0, 1, 8);
    driver_->make_available(queues[0], 99);
    driver_->kick(queues[0]);
    EXPECT_TRUE(driver_->needs_reset());
    EXPECT_EQ(machine_.messages.take(), message(0));
    EXPECT_EQ(function_->last_failure(), QueueError::kDescriptorOutOfTable);
    EXPECT_FALSE(works(queues[0]));
    queues = driver_->bring_up(0, 1, 8);
    EXPECT_FALSE(driver_->needs_reset());
    EXPECT_TRUE(works(queues[0]));
    EXPECT_EQ(function_->failure_count(), 1u);
}

TEST_F(VirtioPci, EveryHostileQueueSetupNeedsAResetAndNothingElse) {
    struct Hostile {
        std::uint16_t size;
        std::uint64_t descriptors, avail, used;
    };
    const std::uint64_t top = TestMachine::kRamBytes;
    for (const Hostile& hostile : {Hostile{0, 0x1000, 0x2000, 0x3000}, Hostile{7, 0x1000, 0x2000, 0x3000},
                                   Hostile{32768, 0x1000, 0x2000, 0x3000}, Hostile{8, top, 0x2000, 0x3000},
                                   Hostile{8, 0x1000, top - 2, 0x3000}, Hostile{8, 0x1000, 0x2000, top - 4},
                                   Hostile{8, ~0ull - 15, 0x2000, 0x3000}, Hostile{8, 0x1000, 0x2001, 0x3000}}) {
        driver_->enable();
        (void)driver_->negotiate(VIRTIO_F_VERSION_1);
        driver_->program({.index = 0,
                          .size = hostile.size,
                          .descriptors = hostile.descriptors,
                          .avail = hostile.avail,
                          .used = hostile.used});
        driver_->driver_ok();
        EXPECT_TRUE(driver_->needs_reset());
    }
    auto queues = driver_->bring_up(0, 1, 8);
    EXPECT_TRUE(works(queues[0]));
}

TEST_F(VirtioPci, DoesNotTouchQueuesWithoutBusMastering) {
    auto queues = driver_->bring_up(0, 1, 8);
    driver_->config_write(spec::pci::offset::kCommand, 2, 0x2);
    EXPECT_FALSE(works(queues[0]));
    driver_->config_write(spec::pci::offset::kCommand, 2, 0x6);
    machine_.flush();
    EXPECT_TRUE(driver_->has_used(queues[0]));
}

TEST_F(VirtioPci, ResetForgetsQueuesAndFeatures) {
    auto queues = driver_->bring_up(VIRTIO_F_EVENT_IDX, 1, 8);
    driver_->write(Register::device_status, 1, 0);
    EXPECT_EQ(driver_->status(), 0);
    EXPECT_EQ(driver_->read(Register::queue_enable, 2), 0u);
    EXPECT_EQ(driver_->read(Register::driver_feature, 4), 0u);
    EXPECT_FALSE(works(queues[0]));
}

TEST_F(VirtioPci, FunctionLevelResetResetsTheDeviceToo) {
    (void)driver_->bring_up(0, 1, 8);
    const std::uint32_t express = driver_->find_capability(spec::pci::CapabilityId::kPciExpress);
    driver_->config_write(express + 8, 2, spec::pci::kInitiateFunctionLevelReset);
    driver_->config_write(spec::pci::offset::kCommand, 2, 0x6);
    EXPECT_EQ(driver_->status(), 0);
}

TEST_F(VirtioPci, TheConfigurationWindowReachesTheRegistersWithoutABar) {
    std::uint32_t window = driver_->config_read(0x34, 1);
    while (driver_->config_read(window, 1) != 9 || driver_->config_read(window + 3, 1) != 5) {
        window = driver_->config_read(window + 1, 1);
    }
    driver_->config_write(window + 4, 1, 0);
    driver_->config_write(window + 8, 4, std::to_underlying(Register::device_status));
    driver_->config_write(window + 12, 4, 1);
    driver_->config_write(window + 16, 1, device_status::ACKNOWLEDGE);
    EXPECT_EQ(driver_->config_read(window + 16, 1), device_status::ACKNOWLEDGE);
    driver_->config_write(window + 8, 4, 0xFFFF'FFFF); // far outside: nothing happens
    driver_->config_write(window + 12, 4, 4);
    driver_->config_write(window + 16, 4, 1);
    driver_->config_write(window + 8, 4, std::to_underlying(Register::num_queues));
    driver_->config_write(window + 12, 4, 2);
    EXPECT_EQ(driver_->config_read(window + 16, 2), 1u);
}

TEST_F(VirtioPci, RegistersDoorbellsWhereTheBarIsAndTakesThemBack) {
    class Recorder final : public cpu::DoorbellRegistry {
    public:
        bool attach_doorbell(const cpu::Doorbell& doorbell) override {
            attached.push_back(doorbell);
            return true;
        }
        void detach_doorbell(const cpu::Doorbell& doorbell) override {
            std::erase_if(attached, [&](const cpu::Doorbell& each) { return each.address == doorbell.address; });
        }
        std::vector<cpu::Doorbell> attached;
    } recorder;
    TearDown();
    VirtioPciContext context = machine_.context();
    create({context.reactor, context.dma, context.msi, recorder});
    auto queues = driver_->bring_up(0, 1, 8);
    ASSERT_EQ(recorder.attached.size(), 1u);
    EXPECT_EQ(recorder.attached[0].address, driver_->base() + VirtioPciFunction::kNotifyOffset);
    const std::uint64_t buffer = driver_->allocate(64);
    driver_->make_available(queues[0], driver_->add_chain(queues[0], {{buffer, 64, true}}));
    recorder.attached[0].notification->signal(); // as the kernel does
    machine_.flush();
    EXPECT_TRUE(driver_->has_used(queues[0]));
    driver_->config_write(spec::pci::offset::kCommand, 2, 0);
    EXPECT_TRUE(recorder.attached.empty());
}

TEST_F(VirtioPci, MachineResetBringsThePowerOnState) {
    (void)driver_->bring_up(0, 1, 8);
    function_->pause();
    function_->reset();
    EXPECT_EQ(driver_->config_read(spec::pci::offset::kCommand, 2), 0u);
    function_->resume();
    auto queues = driver_->bring_up(0, 1, 8);
    EXPECT_TRUE(works(queues[0]));
}

TEST_F(VirtioPci, AStateThatNeedsAResetIsRestoredAsSuch) {
    auto queues = driver_->bring_up(0, 1, 8);
    driver_->make_available(queues[0], 99);
    driver_->kick(queues[0]);
    function_->pause();
    const migration::Record record = function_->save();
    function_->reset();
    ASSERT_TRUE(function_->restore(record).has_value());
    function_->resume();
    EXPECT_TRUE(driver_->needs_reset());
    queues = driver_->bring_up(0, 1, 8);
    EXPECT_TRUE(works(queues[0]));
}

} // namespace
} // namespace touka::devices::virtio
