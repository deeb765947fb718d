#include "device_service.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "device_answers.hpp"
#include "devices/passthrough/passthrough_function.hpp"
#include "devices/passthrough/vfio_user/remote_device.hpp"
#include "memory/guest_memory.hpp"
#include "spec/vfio/device.hpp"

namespace touka::device {
namespace {

namespace fs = std::filesystem;
using devices::passthrough::RemoteDevice;

/// A server as a device process sees it: memory, and one device.
struct Server {
    std::unique_ptr<memory::GuestMemory> memory = memory::GuestMemory::create(16 << 20).value();
    memory::IdentityDmaSpace dma{*memory};
    std::unique_ptr<RemoteDevice> device;

    bool attach(const std::string& socket) {
        RemoteDevice::Settings settings;
        settings.name = "test";
        settings.dial = RemoteDevice::dialer(socket);
        settings.retry = std::chrono::milliseconds(20);
        auto made = RemoteDevice::connect(std::move(settings), dma);
        if (!made) return false;
        device = std::move(*made);
        return devices::passthrough::grant_all_memory(*device, *memory).has_value();
    }
    /// The first bytes of the configuration space; nothing while the device is gone.
    [[nodiscard]] std::optional<std::uint32_t> identity() const {
        std::uint32_t value = 0;
        if (!device->read(spec::vfio::VFIO_PCI_CONFIG_REGION_INDEX, 0, std::as_writable_bytes(std::span(&value, 1)))) {
            return std::nullopt;
        }
        return value;
    }
};

class DeviceServiceTest : public testing::Test {
protected:
    DeviceServiceTest() {
        std::string name = (fs::temp_directory_path() / "touka-device-XXXXXX").string();
        folder_ = ::mkdtemp(name.data());
        std::ofstream(folder_ / "disk.raw") << "";
        fs::resize_file(folder_ / "disk.raw", 1 << 20);
        DeviceConfig device{.name = "fast", .serial = "S1", .namespaces = {}, .functions = {}};
        device.namespaces.push_back({.path = (folder_ / "disk.raw").string()});
        for (int i = 0; i < 3; ++i) device.functions.push_back({.socket = socket(i)});
        config_.devices.push_back(device);
    }
    ~DeviceServiceTest() override {
        service_.reset();
        fs::remove_all(folder_);
    }
    void start() {
        auto started = DeviceService::start(config_);
        ASSERT_TRUE(started.has_value()) << started.error();
        service_ = std::move(*started);
    }
    [[nodiscard]] std::string socket(int number) const { return (folder_ / std::to_string(number)).string(); }
    [[nodiscard]] nlohmann::json ask(const std::string& line) {
        return nlohmann::json::parse(answer_control(line, *service_));
    }

    fs::path folder_;
    ServiceConfig config_;
    std::unique_ptr<DeviceService> service_;
};

TEST_F(DeviceServiceTest, EachFunctionIsADeviceOfItsOwn) {
    start();
    Server first, second;
    ASSERT_TRUE(first.attach(socket(0)));
    ASSERT_TRUE(second.attach(socket(1)));
    EXPECT_EQ(first.identity(), devices::nvme::kVendorId | std::uint32_t{devices::nvme::kDeviceId} << 16);
    EXPECT_EQ(second.identity(), devices::nvme::kVendorId | std::uint32_t{devices::nvme::kVirtualDeviceId} << 16);
    const auto report = service_->report();
    EXPECT_TRUE(report[0].connected);
    EXPECT_TRUE(report[1].connected);
    EXPECT_FALSE(report[2].connected);
    EXPECT_GT(report[0].grants, 0u);
}

TEST_F(DeviceServiceTest, WhoLosesAFunctionLosesItAloneAndItsMemoryIsLetGo) {
    start();
    Server first, second;
    ASSERT_TRUE(first.attach(socket(0)));
    ASSERT_TRUE(second.attach(socket(1)));
    ASSERT_TRUE(service_->take_away("fast", 1).has_value());
    EXPECT_EQ(second.identity(), std::nullopt);
    EXPECT_TRUE(first.identity().has_value());
    EXPECT_EQ(service_->report()[1].grants, 0u);
    EXPECT_EQ(service_->report()[1].socket, "");
    Server third;
    EXPECT_FALSE(third.attach(socket(1)));
}

TEST_F(DeviceServiceTest, AFunctionIsHandedOverToAnotherServer) {
    start();
    Server first, second;
    ASSERT_TRUE(first.attach(socket(1)));
    const std::string other = (folder_ / "other").string();
    EXPECT_EQ(ask(R"({"command": "hand-over", "device": "fast", "function": 1, "socket": ")" + other + "\"}"),
              nlohmann::json({{"ok", true}}));
    ASSERT_TRUE(second.attach(other));
    EXPECT_TRUE(second.identity().has_value());
    EXPECT_EQ(first.identity(), std::nullopt);
}

TEST_F(DeviceServiceTest, TheManagersViewNamesEveryFunction) {
    start();
    Server server;
    ASSERT_TRUE(server.attach(socket(2)));
    const auto listing = ask(R"({"command": "ls"})").at("functions");
    ASSERT_EQ(listing.size(), 3u);
    EXPECT_EQ(listing[2].at("socket"), socket(2));
    EXPECT_TRUE(listing[2].at("connected").get<bool>());
    EXPECT_EQ(listing[2].at("faults"), 0);
}

TEST_F(DeviceServiceTest, WrongQuestionsAreAnsweredWithWhatIsWrong) {
    start();
    for (const char* line :
         {"", "[]", R"({"command": "format"})", R"({"command": "take-away", "device": "slow", "function": 0})",
          R"({"command": "take-away", "device": "fast", "function": 3})",
          R"({"command": "take-away", "device": "fast", "function": -1})",
          R"({"command": "hand-over", "device": "fast", "function": 1})"}) {
        EXPECT_TRUE(ask(line).contains("error")) << line;
    }
}

TEST_F(DeviceServiceTest, APolledFunctionSharesItsDoorbellsWithOneClientAndOtherOnesWithTheNext) {
    config_.poll = true;
    start();
    const auto doorbells = [](Server& server) {
        const auto layout = server.device->layout();
        return layout ? layout->regions[0].mapped(0x1000, 8) : std::span<std::byte>();
    };
    auto first = std::make_unique<Server>();
    ASSERT_TRUE(first->attach(socket(1)));
    const auto kept = first->device->layout(); // a client that has gone, and did not let go
    const auto old = doorbells(*first);
    ASSERT_EQ(old.size(), 8u);
    EXPECT_TRUE(kept->regions[0].mapped(0x0, 8).empty()) << "registers are reached by messages";
    first.reset();
    Server next;
    ASSERT_TRUE(next.attach(socket(1)));
    ASSERT_EQ(doorbells(next).size(), 8u);
    old[0] = std::byte{7};
    EXPECT_EQ(doorbells(next)[0], std::byte{0});
}

TEST_F(DeviceServiceTest, WithoutPollingNothingIsShared) {
    start();
    Server server;
    ASSERT_TRUE(server.attach(socket(1)));
    EXPECT_TRUE(server.device->layout()->regions[0].areas.empty());
}

TEST_F(DeviceServiceTest, AFileThatIsNotThereIsNamed) {
    config_.devices[0].namespaces[0].path = "/nowhere/disk.raw";
    const auto started = DeviceService::start(config_);
    ASSERT_FALSE(started.has_value());
    EXPECT_NE(started.error().find("/nowhere/disk.raw"), std::string::npos);
}

} // namespace
} // namespace touka::device
