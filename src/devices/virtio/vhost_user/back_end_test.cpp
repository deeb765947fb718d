#include "devices/virtio/vhost_user/back_end.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "devices/virtio/scsi.hpp"
#include "devices/virtio/test_unit.hpp"
#include "devices/virtio/vhost_user/listener.hpp"
#include "devices/virtio/vhost_user/test_front_end.hpp"

namespace touka::devices::virtio {
namespace {

using namespace spec::virtio;
using test::SharedRam;
using test::TestFrontEnd;
using test::TestUnit;
using enum VhostUserRequest;

constexpr std::uint64_t kRequest = 0x100, kResponse = 0x1000, kData = 0x4000;
constexpr unsigned kRequestQueue = 2;

class VhostUser : public testing::Test {
protected:
    std::unique_ptr<VirtioDevice> make_device() {
        auto scsi = std::make_unique<Scsi>(ScsiConfiguration{{spec::scsi::ProtocolIdentifier::kFibreChannel, "1"}, 1});
        scsi->attach(0, target_, static_cast<scsi::RelativeTargetPort>(++ports_),
                     {{scsi::Lun::from_number(0), &unit_}});
        return scsi;
    }
    void connect() {
        auto [ours, theirs] = TestFrontEnd::connection();
        front_end_.emplace(ram_, std::move(ours));
        reactor_.run_and_wait([&, socket = std::make_shared<runtime::UniqueFd>(std::move(theirs))] {
            back_end_ = std::make_unique<VhostUserBackEnd>(reactor_, std::move(*socket), make_device(),
                                                           [this] { back_end_.reset(); });
        });
    }
    void bring_up(std::uint64_t features = VIRTIO_SCSI_F_HOTPLUG) {
        connect();
        front_end_->negotiate(features);
        ASSERT_TRUE(front_end_->share_memory());
        front_end_->place(ring_, kRequestQueue);
        ASSERT_TRUE(front_end_->start(ring_));
    }
    void TearDown() override {
        on_reactor([this] {
            unit_.held = false;
            unit_.complete_all();
        });
        front_end_.reset();
        EXPECT_TRUE(gone());
    }
    void on_reactor(const std::function<void()>& work) { reactor_.run_and_wait(work); }
    /// The back-end ends when nothing is in flight.
    bool gone() {
        for (int i = 0; i < 1000; ++i) {
            bool there = false;
            on_reactor([&] { there = back_end_ != nullptr; });
            if (!there) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return false;
    }
    void submit() {
        ScsiCommandHeader header{};
        header.lun[0] = 1;
        header.lun[2] = 0x40;
        header.id = 7;
        ram_.store(kRequest, header);
        ram_.store(kResponse + 11, std::uint8_t{0xEE});
        front_end_->submit(ring_, {{kRequest, 51, false}, {kResponse, 108, true}, {kData, 512, true}});
    }
    [[nodiscard]] std::uint8_t response() { return ram_.load<ScsiCommandResponse>(kResponse).response; }
    std::size_t held() {
        std::size_t count = 0;
        for (int i = 0; i < 200 && count == 0; ++i) {
            on_reactor([&] { count = unit_.waiting.size(); });
            if (count == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return count;
    }

    SharedRam ram_;
    TestUnit unit_;
    scsi::Target target_;
    int ports_ = 0;
    runtime::Reactor reactor_{"vhost-user"};
    std::optional<TestFrontEnd> front_end_;
    TestFrontEnd::Ring ring_;
    std::unique_ptr<VhostUserBackEnd> back_end_;
};

TEST_F(VhostUser, OffersTheDevicesFeaturesAndSaysHowManyQueuesItHas) {
    connect();
    const auto features = front_end_->ask(kGetFeatures, std::uint64_t{0})->as<std::uint64_t>();
    EXPECT_TRUE(*features & VIRTIO_SCSI_F_HOTPLUG);
    EXPECT_TRUE(*features & VIRTIO_F_VERSION_1);
    EXPECT_TRUE(*features & VHOST_USER_F_PROTOCOL_FEATURES);
    EXPECT_EQ(front_end_->ask(kGetQueueNum, std::uint64_t{0})->as<std::uint64_t>(), 3u);
}

TEST_F(VhostUser, ServesACommandInTheGuestsMemoryAndCalls) {
    bring_up();
    const auto execute = [](scsi::Task& task) {
        const auto memory = task.data_in(512);
        EXPECT_EQ(memory.size(), 1u);
        std::memset(memory[0].iov_base, 0x5A, 512);
        task.data_in_bytes = task.transfer_bytes = 512;
        task.complete();
    };
    on_reactor([&] { unit_.execute = execute; });
    submit();
    ASSERT_TRUE(front_end_->wait_used(ring_, 1));
    EXPECT_EQ(response(), VIRTIO_SCSI_S_OK);
    EXPECT_EQ(ram_.load<std::uint8_t>(kData + 511), 0x5A);
    EXPECT_EQ(front_end_->used_index(ring_), 1);
}

TEST_F(VhostUser, ConfigurationIsReadAndItsTwoWritableFieldsWritten) {
    bring_up();
    struct {
        VhostUserConfigHeader header{0, sizeof(ScsiConfig), 0};
        ScsiConfig config{};
    } access;
    auto answer = front_end_->ask(kGetConfig, access);
    ASSERT_EQ(answer->payload.size(), sizeof access);
    std::memcpy(&access, answer->payload.data(), sizeof access);
    EXPECT_EQ(access.config.num_queues, 1u);
    access.config.sense_size = 18;
    access.config.num_queues = 5;
    EXPECT_TRUE(front_end_->tell(kSetConfig, access));
    answer = front_end_->ask(kGetConfig, access);
    std::memcpy(&access, answer->payload.data(), sizeof access);
    EXPECT_EQ(access.config.sense_size, 18u);
    EXPECT_EQ(access.config.num_queues, 1u);
}

TEST_F(VhostUser, AStoppedRingSaysHowFarItGotOnceNothingIsInFlight) {
    bring_up();
    on_reactor([this] { unit_.held = true; });
    submit();
    ASSERT_EQ(held(), 1u);
    front_end_->send(kGetVringBase, VhostUserVringState{kRequestQueue, 0});
    on_reactor([] {});
    EXPECT_EQ(response(), 0xEE);
    on_reactor([this] { unit_.complete_all(); });
    const auto base = front_end_->receive()->as<VhostUserVringState>();
    EXPECT_EQ(base->num, 1u);
    EXPECT_EQ(response(), VIRTIO_SCSI_S_OK); // complete before the answer
    on_reactor([this] { unit_.held = false; });
    submit();
    on_reactor([] {});
    EXPECT_EQ(front_end_->used_index(ring_), 1); // it is stopped
    ASSERT_TRUE(front_end_->start(ring_, static_cast<std::uint16_t>(base->num)));
    ASSERT_TRUE(front_end_->wait_used(ring_, 2));
}

TEST_F(VhostUser, WhatWasInFlightInOneProcessIsDoneByTheNext) {
    connect();
    front_end_->negotiate(0);
    ASSERT_TRUE(front_end_->share_memory());
    VhostUserInflight shape{0, 0, 3, TestFrontEnd::kQueueSize, 0};
    auto buffer = front_end_->ask(kGetInflightFd, shape);
    ASSERT_EQ(buffer->descriptors.size(), 1u);
    shape = *buffer->as<VhostUserInflight>();
    ASSERT_TRUE(front_end_->tell(kSetInflightFd, shape, {buffer->descriptors[0].get()}));
    front_end_->place(ring_, kRequestQueue);
    ASSERT_TRUE(front_end_->start(ring_));
    submit();
    ASSERT_TRUE(front_end_->wait_used(ring_, 1)); // one that is over is not done again
    on_reactor([this] { unit_.held = true; });
    submit();
    submit();
    while (held() < 2) std::this_thread::yield();

    // Another back-end with the same memory stands for the process after a crash; the first one takes nothing more.
    front_end_->send(kSetVringEnable, VhostUserVringState{kRequestQueue, 0});
    for (int i = 0; i < 3; ++i) on_reactor([] {}); // it has seen that, and waits for what is in flight
    auto [ours, theirs] = TestFrontEnd::connection();
    TestFrontEnd again(ram_, std::move(ours));
    std::unique_ptr<VhostUserBackEnd> second;
    on_reactor([&] {
        unit_.held = false;
        second =
            std::make_unique<VhostUserBackEnd>(reactor_, std::move(theirs), make_device(), [&] { second.reset(); });
    });
    again.negotiate(0);
    ASSERT_TRUE(again.share_memory());
    ASSERT_TRUE(again.tell(kSetInflightFd, shape, {buffer->descriptors[0].get()}));
    TestFrontEnd::Ring same_ring; // with a doorbell that the first one does not hear
    again.place(same_ring, kRequestQueue);
    same_ring.next_descriptor = ring_.next_descriptor;
    same_ring.avail_index = ring_.avail_index;
    ASSERT_TRUE(again.start(same_ring, 1)); // a front-end whose back-end died knows the used index alone
    ASSERT_TRUE(again.wait_used(same_ring, 3));
    EXPECT_EQ(response(), VIRTIO_SCSI_S_OK);
    again.submit(same_ring, {{kRequest, 51, false}, {kResponse, 108, true}, {kData, 512, true}});
    ASSERT_TRUE(again.wait_used(same_ring, 4));
    on_reactor([&] { second->close(); });
    for (bool there = true; there;) on_reactor([&] { there = second != nullptr; });
    // The first one knows nothing of this: it must not touch the ring any more.
    on_reactor([&] { back_end_->close(); });
    on_reactor([this] { unit_.abort_all(); });
}

TEST_F(VhostUser, AFrontEndThatGoesAwayHasItsCommandsAborted) {
    bring_up();
    on_reactor([this] { unit_.held = true; });
    submit();
    ASSERT_EQ(held(), 1u);
    front_end_.reset();
    EXPECT_TRUE(gone());
    EXPECT_TRUE(unit_.waiting.empty());
    EXPECT_EQ(unit_.attached, 0);
}

TEST_F(VhostUser, ADeviceResetAbortsAndLeavesTheRingsStopped) {
    bring_up();
    on_reactor([this] { unit_.held = true; });
    submit();
    ASSERT_EQ(held(), 1u);
    EXPECT_TRUE(front_end_->tell(kResetDevice, std::uint64_t{0}));
    EXPECT_TRUE(unit_.waiting.empty());
    EXPECT_EQ(response(), VIRTIO_SCSI_S_RESET);
    on_reactor([this] { unit_.held = false; });
    ASSERT_TRUE(front_end_->start(ring_, 1));
    submit();
    ASSERT_TRUE(front_end_->wait_used(ring_, 2));
}

TEST_F(VhostUser, PagesThatWereWrittenAreInTheLog) {
    bring_up();
    auto log = SharedMapping::create("log", 4096).value();
    EXPECT_TRUE(front_end_->tell(kSetLogBase, VhostUserLog{4096, 0}, {log.first.get()}));
    front_end_->negotiate(VIRTIO_SCSI_F_HOTPLUG | VHOST_F_LOG_ALL);
    submit();
    ASSERT_TRUE(front_end_->wait_used(ring_, 1));
    const auto marked = [&](std::uint64_t address) {
        const std::uint64_t page = address / 4096;
        return (std::to_integer<unsigned>(log.second.bytes()[page / 8]) >> page % 8 & 1) != 0;
    };
    EXPECT_TRUE(marked(kResponse));
    EXPECT_TRUE(marked(ring_.used));
    EXPECT_FALSE(marked(kData)); // nothing came in
}

TEST_F(VhostUser, AChainOutsideTheSharedMemoryFailsTheDeviceAndNothingElse) {
    bring_up();
    front_end_->submit(ring_, {{SharedRam::kBytes - 8, 51, false}, {kResponse, 108, true}});
    for (int i = 0; i < 200; ++i) {
        bool failed = false;
        on_reactor([&] { failed = back_end_->last_failure() == QueueError::kBufferOutsideMemory; });
        if (failed) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_EQ(back_end_->last_failure(), QueueError::kBufferOutsideMemory);
    EXPECT_TRUE(front_end_->ask(kGetQueueNum, std::uint64_t{0}).has_value());
}

class VhostUserHostility : public VhostUser, public testing::WithParamInterface<int> {};

TEST_P(VhostUserHostility, EndsTheConnection) {
    connect();
    front_end_->negotiate(0);
    const runtime::UniqueFd no_memory(::open("/proc/self/comm", O_RDWR | O_CLOEXEC));
    struct {
        VhostUserMemoryHeader header{1, 0};
        VhostUserMemoryRegion region{0, 1 << 20, 0x1000'0000, 0};
    } table;
    const int ram = ram_.file.first.get();
    switch (GetParam()) {
        case 0: front_end_->send(kSetMemTable, table, {no_memory.get()}); break;
        case 1:
            table.region.size = 2 << 20; // more than the file has
            front_end_->send(kSetMemTable, table, {ram});
            break;
        case 2: front_end_->send(kSetMemTable, table); break;
        case 3:
            table.header.region_count = 9;
            front_end_->send(kSetMemTable, table, {ram});
            break;
        case 4:
            table.region.guest_address = ~std::uint64_t{0} - 100;
            front_end_->send(kSetMemTable, table, {ram});
            break;
        case 5: front_end_->send(kSetVringKick, std::uint64_t{2}, {ram}); break; // no eventfd
        case 6: front_end_->send(kSetVringNum, VhostUserVringState{3, 16}); break;
        case 7: front_end_->send(kSetVringNum, VhostUserVringState{2, 2u * ScsiRequestQueue::kSize}); break;
        case 8: front_end_->send(kSetVringAddr, std::uint64_t{2}); break;
        case 9: front_end_->send(kSetFeatures, ~std::uint64_t{0}); break;
        case 10: front_end_->send(kGetConfig, VhostUserConfigHeader{0, 256, 0}); break;
        case 11: front_end_->send(kSetInflightFd, VhostUserInflight{64, 0, 3, 256, 0}, {ram}); break;
        case 12: front_end_->send(kGetVringBase, VhostUserVringState{~0u, 0}); break;
        default: front_end_->send(kSetLogBase, VhostUserLog{~std::uint64_t{0}, 8}, {ram}); break;
    }
    EXPECT_TRUE(front_end_->ended());
    EXPECT_TRUE(gone());
}

INSTANTIATE_TEST_SUITE_P(Messages, VhostUserHostility, testing::Range(0, 14));

TEST_F(VhostUser, MessagesThatCannotBeFramedEndTheConnectionAndUnknownOnesAreRefused) {
    connect();
    front_end_->negotiate(0);
    const auto answer = front_end_->ask(static_cast<VhostUserRequest>(99), std::uint64_t{0});
    EXPECT_EQ(answer->as<std::uint64_t>(), 1u);
    auto [ours, theirs] = TestFrontEnd::connection();
    MessageChannel channel(std::move(theirs));
    const VhostUserHeader huge{1, 1, 1 << 20};
    (void)!::write(ours.get(), &huge, sizeof huge);
    EXPECT_EQ(channel.receive().error(), ChannelError::kMalformed);
}

TEST_F(VhostUser, AListenerHasOneFrontEndAtATimeAndANewDeviceForEach) {
    const std::string path = std::filesystem::temp_directory_path() / ("touka-vu-" + std::to_string(::getpid()));
    std::unique_ptr<VhostUserListener> listener;
    int made = 0;
    on_reactor([&] {
        listener = VhostUserListener::listen(reactor_, path, [&] {
                       ++made;
                       return make_device();
                   }).value();
    });
    const auto dial = [&] {
        runtime::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, path.size());
        EXPECT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        return std::make_unique<TestFrontEnd>(ram_, std::move(socket));
    };
    auto first = dial();
    EXPECT_TRUE(first->ask(kGetFeatures, std::uint64_t{0}).has_value());
    EXPECT_TRUE(dial()->ended());
    EXPECT_NE(VhostUserListener::listen(reactor_, path, [&] { return make_device(); }).error().find("another process"),
              std::string::npos);
    EXPECT_EQ(made, 1);
    first.reset();
    for (bool connected = true; connected;) on_reactor([&] { connected = listener->connected(); });
    first = dial();
    EXPECT_TRUE(first->ask(kGetFeatures, std::uint64_t{0}).has_value());
    EXPECT_EQ(made, 2);
    first.reset();
    for (bool connected = true; connected;) on_reactor([&] { connected = listener->connected(); });
    on_reactor([&] { listener.reset(); });
    EXPECT_FALSE(std::filesystem::exists(path));
    EXPECT_NE(
        VhostUserListener::listen(reactor_, "/nonexistent/x", [&] { return make_device(); }).error().find("No such"),
        std::string::npos);
}

} // namespace
} // namespace touka::devices::virtio
