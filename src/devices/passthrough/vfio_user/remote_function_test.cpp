// The whole way: a guest's bus, the front, a connection, and a served function at its end.
#include <gtest/gtest.h>

#include "devices/passthrough/passthrough_function.hpp"
#include "devices/passthrough/vfio_user/test_remote.hpp"
#include "platform/pci/pci_root.hpp"

namespace touka::devices::passthrough {
namespace {

using test::Remote;
using test::TestDevice;

class Sink final : public platform::MsiSink {
public:
    void send(const platform::MsiMessage& message) override {
        const std::scoped_lock lock(mutex_);
        messages_.push_back(message);
        arrived_.notify_all();
    }
    std::vector<platform::MsiMessage> wait_for(std::size_t count) {
        std::unique_lock lock(mutex_);
        arrived_.wait_for(lock, std::chrono::seconds(3), [&] { return messages_.size() >= count; });
        return messages_;
    }

private:
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::vector<platform::MsiMessage> messages_;
};

class Engine final : public memory::DeviceMemoryListener {
public:
    bool add_device_memory(const memory::DeviceMemory& memory) override {
        const std::scoped_lock lock(mutex_);
        mapped_[memory.start.value] = memory.host;
        return true;
    }
    void remove_device_memory(const memory::DeviceMemory& memory) override {
        const std::scoped_lock lock(mutex_);
        mapped_.erase(memory.start.value);
    }
    std::map<std::uint64_t, std::span<std::byte>> mapped() {
        const std::scoped_lock lock(mutex_);
        return mapped_;
    }

private:
    std::mutex mutex_;
    std::map<std::uint64_t, std::span<std::byte>> mapped_;
};

constexpr platform::PciAddress kPlace{0, 4, 0};

class RemoteFunction : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(remote_.device);
        processors_.set_listener(&engine_);
        auto made = PassthroughFunction::create("remote", *remote_.device, sink_, reactor_,
                                                {.processors = &processors_, .rom = {}});
        ASSERT_TRUE(made) << made.error();
        function_ = std::move(*made);
        ASSERT_TRUE(grant_all_memory(*remote_.device, *remote_.ram));
        ASSERT_TRUE(root_.plug(kPlace, *function_));
        locate();
    }
    void TearDown() override { root_.unplug(kPlace); }
    void locate() {
        bar0_ = root_.read_config(kPlace, 0x10, 4) & ~0xFu;
        bar2_ = (root_.read_config(kPlace, 0x18, 4) & ~0xFu) | std::uint64_t{root_.read_config(kPlace, 0x1C, 4)} << 32;
        bar5_ = root_.read_config(kPlace, 0x24, 4) & ~0xFu;
        root_.write_config(kPlace, 4, 2, 0x0006);
    }
    std::uint32_t msix_capability() {
        std::uint32_t at = root_.read_config(kPlace, 0x34, 1);
        while (at != 0 && root_.read_config(kPlace, at, 1) != 0x11) at = root_.read_config(kPlace, at + 1, 1);
        return at;
    }

    Engine engine_;
    Remote remote_;
    memory::DeviceMemoryMap processors_{remote_.ram->ranges()};
    platform::AddressSpace memory_, ports_;
    platform::PciRoot root_{memory_, ports_, {}};
    Sink sink_;
    runtime::Reactor reactor_{"test"};
    std::unique_ptr<PassthroughFunction> function_;
    std::uint64_t bar0_ = 0, bar2_ = 0, bar5_ = 0;
};

TEST_F(RemoteFunction, LooksLikeTheServedFunction) {
    EXPECT_EQ(root_.read_config(kPlace, 0, 4), 0x5678'1234u);
    EXPECT_EQ(root_.read_config(kPlace, 0x2C, 4), 0xBBBB'AAAAu);
    EXPECT_EQ(root_.read_config(kPlace, 0x18, 4) & 0xF, 0xCu); // 64-bit, prefetchable
    EXPECT_TRUE(remote_.server.device.bus_master_enabled());   // the device hears what the guest allows
    memory_.write(bar0_ + TestDevice::kBuffer, 4, 0x0102'0304);
    EXPECT_EQ(memory_.read(bar0_ + TestDevice::kBuffer, 4), 0x0102'0304u);
    memory_.write(bar2_ + TestDevice::kSharedAt, 8, 0x1111'2222'3333'4444);
    EXPECT_EQ(memory_.read(bar2_ + TestDevice::kSharedAt, 8), 0x1111'2222'3333'4444u);
    memory_.write(bar2_ + 0x10, 4, 7);
    EXPECT_EQ(memory_.read(bar2_ + 0x10, 4), 7u);
}

TEST_F(RemoteFunction, DoesItsDmaAndInterruptsByMessage) {
    memory_.write(bar5_ + 16 * 2, 8, 0xFEE0'3000);
    memory_.write(bar5_ + 16 * 2 + 8, 4, 0x44);
    memory_.write(bar5_ + 16 * 2 + 12, 4, 0);
    root_.write_config(kPlace, msix_capability() + 2, 2, 0x8000);
    memory_.write(bar0_ + TestDevice::kBuffer, 1, 0x5C);
    memory_.write(bar0_ + TestDevice::kAddress, 8, 0x4000);
    memory_.write(bar0_ + TestDevice::kLength, 4, 1);
    memory_.write(bar0_ + TestDevice::kGo, 4, TestDevice::kStore);
    memory_.write(bar0_ + TestDevice::kGo, 4, TestDevice::kVector + 2);
    const auto messages = sink_.wait_for(1);
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0], (platform::MsiMessage{0xFEE0'3000, 0x44}));
    EXPECT_EQ(*remote_.at(0x4000), std::byte{0x5C});
}

TEST_F(RemoteFunction, SurvivesItsServer) {
    memory_.write(bar0_ + TestDevice::kBuffer, 1, 0x5C);
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<bool> presence;
    function_->set_presence_handler([&](bool there) {
        const std::scoped_lock lock(mutex);
        presence.push_back(there);
        changed.notify_all();
    });
    const auto wait = [&](std::size_t count) {
        std::unique_lock lock(mutex);
        changed.wait_for(lock, std::chrono::seconds(5), [&] { return presence.size() >= count; });
    };
    remote_.down = true;
    remote_.server.reactor.run_and_wait([&] { remote_.server.server->close(); });
    wait(1);
    EXPECT_EQ(root_.read_config(kPlace, 0, 4), 0xFFFF'FFFFu);
    EXPECT_EQ(memory_.read(bar0_ + TestDevice::kBuffer, 4), 0xFFFF'FFFFu);
    remote_.down = false;
    wait(2);
    EXPECT_EQ(presence, (std::vector<bool>{false, true}));
    EXPECT_EQ(root_.read_config(kPlace, 0, 4), 0x5678'1234u);
    EXPECT_EQ(root_.read_config(kPlace, 4, 2), 0u);
    locate();
    EXPECT_EQ(memory_.read(bar0_ + TestDevice::kBuffer, 1), 0u); // as after power-on
    memory_.write(bar0_ + TestDevice::kAddress, 8, 0x4000);
    memory_.write(bar0_ + TestDevice::kLength, 4, 1);
    *remote_.at(0x4000) = std::byte{0x3D};
    memory_.write(bar0_ + TestDevice::kGo, 4, TestDevice::kFetch);
    EXPECT_EQ(memory_.read(bar0_ + TestDevice::kBuffer, 1), 0x3Du); // with its memory
    function_->set_presence_handler({});
}

TEST_F(RemoteFunction, ItsSharedAreasAreTheProcessorsUntilTheServerGoes) {
    EXPECT_TRUE(engine_.mapped().empty()) << "INTx is in use";
    root_.write_config(kPlace, msix_capability() + 2, 2, 0x8000);
    auto mapped = engine_.mapped();
    ASSERT_EQ(mapped.size(), 1u);
    const auto [at, bytes] = *mapped.begin();
    EXPECT_EQ(at, bar2_ + TestDevice::kSharedAt);
    ASSERT_EQ(bytes.size(), TestDevice::kSharedBytes);
    bytes[8] = std::byte{0x42}; // what a guest stores, the server has
    EXPECT_EQ(remote_.server.device.shared.second.bytes()[TestDevice::kSharedAt + 8], std::byte{0x42});

    std::atomic<int> lost{0};
    function_->set_presence_handler([&](bool there) { lost += there ? 0 : 1; });
    remote_.down = true;
    remote_.server.reactor.run_and_wait([&] { remote_.server.server->close(); });
    for (int i = 0; i < 5000 && lost == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ASSERT_EQ(lost, 1);
    EXPECT_TRUE(engine_.mapped().empty());
    EXPECT_EQ(memory_.read(at + 8, 1), 0xFFu);
    function_->set_presence_handler({});
}

TEST_F(RemoteFunction, MovesWithWhatTheServerHas) {
    memory_.write(bar0_ + TestDevice::kBuffer, 1, 0x5C);
    function_->pause();
    const auto record = function_->save();
    function_->reset();
    EXPECT_EQ(remote_.server.device.buffer[0], 0);
    function_->pause();
    ASSERT_TRUE(function_->restore(record));
    function_->resume();
    EXPECT_EQ(memory_.read(bar0_ + TestDevice::kBuffer, 1), 0x5Cu);
}

} // namespace
} // namespace touka::devices::passthrough
