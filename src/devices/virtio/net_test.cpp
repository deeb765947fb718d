#include "devices/virtio/net.hpp"

#include <gtest/gtest.h>

#include "devices/virtio/test_driver.hpp"

namespace touka::devices::virtio {
namespace {

using namespace spec::virtio;
using test::TestDriver;
using test::TestMachine;

class TestPort final : public network::FramePort {
public:
    bool send(std::span<const iovec> header_and_frame) override {
        std::vector<std::byte> frame;
        for (const iovec& part : header_and_frame) {
            const auto* bytes = static_cast<const std::byte*>(part.iov_base);
            frame.insert(frame.end(), bytes, bytes + part.iov_len);
        }
        sent.push_back(std::move(frame));
        return true;
    }
    void set_receiver(std::function<bool(std::span<const std::byte>)> on_frame) override {
        receiver = std::move(on_frame);
    }
    void resume() override {
        ++resumes;
        if (!kept.empty() && receiver(kept)) kept.clear();
    }
    [[nodiscard]] std::uint64_t offload_features() const override { return features; }
    void set_offloads(std::uint64_t chosen) override { offloads = chosen; }

    /// On the reactor: a frame arrives from the host.
    bool arrive(std::vector<std::byte> frame) {
        if (receiver(frame)) return true;
        kept = std::move(frame);
        return false;
    }

    std::function<bool(std::span<const std::byte>)> receiver;
    std::vector<std::vector<std::byte>> sent;
    std::vector<std::byte> kept;
    std::uint64_t features = VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 | feature(63);
    std::uint64_t offloads = ~std::uint64_t{0};
    int resumes = 0;
};

constexpr MacAddress kMac{0x52, 0x54, 0, 1, 2, 3};

class VirtioNet : public testing::Test {
protected:
    void bring_up(std::uint64_t features) {
        function_.emplace("virtio-net@00:03.0", std::make_unique<Net>(port_, kMac), machine_.context());
        driver_.emplace(machine_, *function_);
        queues_ = driver_->bring_up(features, 2, 16);
        buffer_ = driver_->allocate(256 << 10);
    }
    void TearDown() override {
        driver_.reset();
        function_.reset();
    }
    void transmit(const NetworkHeader& header, std::uint32_t frame_bytes) {
        driver_->store(buffer_, header);
        driver_->send(queues_[kTransmitQueue], {{buffer_, 12, false}, {buffer_ + 64, frame_bytes, false}});
    }
    bool arrive(std::size_t frame_bytes) {
        std::vector<std::byte> frame(12 + frame_bytes);
        for (std::size_t i = 12; i < frame.size(); ++i) frame[i] = static_cast<std::byte>(i);
        bool taken = false;
        machine_.reactor.run_and_wait([&] { taken = port_.arrive(std::move(frame)); });
        return taken;
    }
    void post(std::uint64_t offset, std::uint32_t length) {
        driver_->send(queues_[kReceiveQueue], {{buffer_ + offset, length, true}});
    }
    [[nodiscard]] Net& net() { return static_cast<Net&>(function_->device()); }

    TestMachine machine_;
    TestPort port_;
    std::optional<VirtioPciFunction> function_;
    std::optional<TestDriver> driver_;
    std::vector<TestDriver::Queue> queues_;
    std::uint64_t buffer_ = 0;
};

TEST_F(VirtioNet, OffersWhatThePortUnderstandsAndTellsItWhatWasChosen) {
    bring_up(VIRTIO_NET_F_CSUM);
    EXPECT_EQ(driver_->device_features() & 0xFFFF'FFFF & ~(VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX),
              VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS |
                  VIRTIO_NET_F_MRG_RXBUF);
    EXPECT_EQ(port_.offloads, VIRTIO_NET_F_CSUM);
    const std::uint64_t config = driver_->base() + VirtioPciFunction::kDeviceOffset;
    EXPECT_EQ(machine_.memory.read(config, 8), 0x0001'0302'0100'5452u);
    driver_->write(TestDriver::Register::device_status, 1, 0);
    EXPECT_EQ(port_.offloads, 0u);
}

TEST_F(VirtioNet, SendsHeaderAndFrameToThePort) {
    bring_up(VIRTIO_NET_F_CSUM);
    driver_->store(buffer_ + 64, std::uint64_t{0x1122334455667788});
    transmit({.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16}, 60);
    ASSERT_EQ(port_.sent.size(), 1u);
    EXPECT_EQ(port_.sent[0].size(), 72u);
    EXPECT_EQ(port_.sent[0][0], std::byte{VIRTIO_NET_HDR_F_NEEDS_CSUM});
    EXPECT_EQ(port_.sent[0][12], std::byte{0x88});
    EXPECT_TRUE(driver_->has_used(queues_[kTransmitQueue]));
}

TEST_F(VirtioNet, DropsFramesThatClaimOffloadsNotNegotiatedOrHaveImpossibleLengths) {
    bring_up(0);
    transmit({.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM}, 60);
    transmit({.gso_type = VIRTIO_NET_HDR_GSO_TCPV4}, 60);
    transmit({.gso_type = 0x7F}, 60);
    transmit({}, 13);
    transmit({}, kLargestFrameBytes + 1);
    driver_->send(queues_[kTransmitQueue], {{buffer_, 11, false}});
    EXPECT_TRUE(port_.sent.empty());
    EXPECT_EQ(driver_->used_index(queues_[kTransmitQueue]), 6);
    transmit({}, 14);
    EXPECT_EQ(port_.sent.size(), 1u);
}

TEST_F(VirtioNet, ReceivesIntoOneBufferAndSaysSoInTheHeader) {
    bring_up(0);
    post(0, 2048);
    EXPECT_TRUE(arrive(100));
    EXPECT_EQ(driver_->take_used(queues_[kReceiveQueue]).len, 112u);
    EXPECT_EQ(driver_->load<std::uint16_t>(buffer_ + 10), 1);
    EXPECT_EQ(driver_->load<std::uint8_t>(buffer_ + 111), 111);
}

TEST_F(VirtioNet, MergesBuffersForALongFrame) {
    bring_up(VIRTIO_NET_F_MRG_RXBUF);
    for (std::uint64_t i = 0; i < 3; ++i) post(i * 4096, 100);
    EXPECT_TRUE(arrive(200));
    EXPECT_EQ(driver_->load<std::uint16_t>(buffer_ + 10), 3);
    EXPECT_EQ(driver_->take_used(queues_[kReceiveQueue]).len, 100u);
    EXPECT_EQ(driver_->take_used(queues_[kReceiveQueue]).len, 100u);
    EXPECT_EQ(driver_->take_used(queues_[kReceiveQueue]).len, 12u);
    EXPECT_EQ(driver_->load<std::uint8_t>(buffer_ + 8192 + 11), 211);
}

TEST_F(VirtioNet, KeepsAFrameOutsideUntilTheDriverHasGivenEnoughBuffers) {
    bring_up(VIRTIO_NET_F_MRG_RXBUF | VIRTIO_F_EVENT_IDX);
    post(0, 100);
    EXPECT_FALSE(arrive(150));
    EXPECT_FALSE(driver_->has_used(queues_[kReceiveQueue]));
    // The driver is asked to ring at the next buffer, not at the one that is there already.
    const auto& queue = queues_[kReceiveQueue];
    EXPECT_EQ(driver_->load<std::uint16_t>(queue.used + 4 + 8ull * queue.size), 1);
    post(4096, 100);
    EXPECT_EQ(driver_->used_index(queue), 2);
    EXPECT_TRUE(port_.kept.empty());
}

TEST_F(VirtioNet, DropsAFrameThatNoBufferCanHold) {
    bring_up(0);
    post(0, 64);
    EXPECT_TRUE(arrive(1000));
    EXPECT_FALSE(driver_->has_used(queues_[kReceiveQueue]));
    EXPECT_TRUE(arrive(20));
    EXPECT_TRUE(driver_->has_used(queues_[kReceiveQueue]));
}

TEST_F(VirtioNet, APulledCableDropsBothWaysAndInterrupts) {
    bring_up(VIRTIO_NET_F_STATUS);
    post(0, 2048);
    (void)machine_.messages.take();
    net().set_link(false);
    EXPECT_EQ(machine_.messages.take().size(), 1u);
    EXPECT_EQ(machine_.memory.read(driver_->base() + VirtioPciFunction::kDeviceOffset + 6, 2), 0u);
    EXPECT_TRUE(arrive(60));
    transmit({}, 60);
    EXPECT_TRUE(port_.sent.empty());
    EXPECT_FALSE(driver_->has_used(queues_[kReceiveQueue]));
}

TEST_F(VirtioNet, ABrokenReceiveQueueIsFoundByAFrameAndLeavesTheMachineAlive) {
    bring_up(0);
    driver_->make_available(queues_[kReceiveQueue], 77);
    EXPECT_FALSE(arrive(60));
    EXPECT_TRUE(driver_->needs_reset());
    EXPECT_FALSE(arrive(60));
}

TEST_F(VirtioNet, WhilePausedThePortKeepsFramesAndGetsGoingAfterwards) {
    bring_up(0);
    post(0, 2048);
    function_->pause();
    EXPECT_FALSE(arrive(60));
    function_->resume();
    machine_.flush();
    EXPECT_TRUE(driver_->has_used(queues_[kReceiveQueue]));
}

TEST_F(VirtioNet, TheAddressAndTheLinkMoveWithTheGuest) {
    bring_up(0);
    net().set_link(false);
    function_->pause();
    TestPort other_port;
    VirtioPciFunction other("virtio-net@00:03.0", std::make_unique<Net>(other_port, MacAddress{}), machine_.context());
    const migration::Record record = function_->save();
    ASSERT_TRUE(other.restore(record).has_value());
    EXPECT_EQ(other.save().bytes, record.bytes);
    std::array<std::byte, 8> config{};
    other.device().read_config(0, config);
    EXPECT_EQ(config[0], std::byte{0x52});
    EXPECT_EQ(config[6], std::byte{0});
}

} // namespace
} // namespace touka::devices::virtio
