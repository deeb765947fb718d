// Two servers with functions of one device: what one programs into its function reaches its own memory and no other's.
// (rule T5; docs/isolation.md)
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "device_answers.hpp"
#include "device_service.hpp"
#include "devices/passthrough/vfio_user/remote_device.hpp"
#include "memory/guest_memory.hpp"
#include "spec/nvme/command.hpp"
#include "spec/nvme/registers.hpp"
#include "spec/pci/config_header.hpp"
#include "spec/vfio/device.hpp"

namespace touka::device {
namespace {

namespace fs = std::filesystem;
using devices::passthrough::RemoteDevice;
using memory::Iova;

constexpr std::uint64_t kRamBytes = 4 << 20;
constexpr std::uint64_t kSubmission = 0x1000, kCompletion = 0x2000, kData = 0x3000; // in each server's memory
constexpr std::uint32_t kEntries = 8;
constexpr int kDataTransferError = 4;
constexpr std::byte kMark{0x5A};

/// A server with memory that it grants from `start` on, and a driver of the admin queue.
class Server {
public:
    Server(const std::string& socket, std::uint64_t start) : start_(start) {
        RemoteDevice::Settings settings;
        settings.name = "test";
        settings.dial = RemoteDevice::dialer(socket);
        auto made = RemoteDevice::connect(std::move(settings), dma_);
        if (!made) return;
        device_ = std::move(*made);
        std::ranges::fill(ram_bytes(kData), kMark);
        if (!device_->map_dma({.start = Iova{start}, .length_bytes = kRamBytes, .file = memory_->fd()}))
            device_.reset();
    }
    /// @return whether the controller is ready.
    bool bring_up() {
        using namespace spec::nvme;
        if (!device_) return false;
        store(spec::vfio::VFIO_PCI_CONFIG_REGION_INDEX, spec::pci::offset::kCommand, std::uint16_t{6});
        store(0, offset::AQA, (kEntries - 1) | (kEntries - 1) << 16);
        store(0, offset::ASQ, start_ + kSubmission);
        store(0, offset::ACQ, start_ + kCompletion);
        store(0, offset::CC, std::uint32_t{0x0046'0001});
        for (int i = 0; i < 500; ++i) {
            if ((load<std::uint32_t>(offset::CSTS) & 1) != 0) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        return false;
    }
    /// Identify Controller into that address. @return its status, -1: none came.
    int identify(std::uint64_t iova) {
        using namespace spec::nvme;
        SubmissionEntry command{};
        command.opcode = std::to_underlying(AdminOpcode::kIdentify);
        command.cid = static_cast<std::uint16_t>(tail_);
        command.prp1 = iova;
        command.cdw10 = 1;
        std::memcpy(ram_bytes(kSubmission + sizeof command * tail_).data(), &command, sizeof command);
        const std::uint64_t place = kCompletion + sizeof(CompletionEntry) * tail_;
        store(0, kDoorbells, ++tail_);
        const std::atomic_ref last(*reinterpret_cast<std::uint32_t*>(memory_->base() + place + 12));
        for (int i = 0; i < 500; ++i) {
            if (const std::uint32_t word = last.load(); (word >> 16 & 1) != 0)
                return static_cast<int>(word >> 17 & 0x7FF);
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        return -1;
    }
    /// Nobody wrote where data go.
    [[nodiscard]] bool untouched() const {
        return std::ranges::all_of(ram_bytes(kData), [](std::byte each) { return each == kMark; });
    }
    /// CNTLID of the identify data. (NVM Express Base 2.0 figure 275: bytes 79:78)
    [[nodiscard]] int controller() const {
        std::uint16_t id = 0;
        std::memcpy(&id, ram_bytes(kData + 78).data(), sizeof id);
        return id;
    }

private:
    [[nodiscard]] std::span<std::byte> ram_bytes(std::uint64_t address) const {
        return {memory_->base() + address, 4096 - address % 4096};
    }
    template <class T>
    void store(std::uint32_t region, std::uint64_t at, const T& value) {
        EXPECT_TRUE(device_->write(region, at, std::as_bytes(std::span(&value, 1))));
    }
    template <class T>
    [[nodiscard]] T load(std::uint64_t at) {
        T value{};
        EXPECT_TRUE(device_->read(0, at, std::as_writable_bytes(std::span(&value, 1))));
        return value;
    }

    std::unique_ptr<memory::GuestMemory> memory_ = memory::GuestMemory::create(kRamBytes).value();
    memory::IdentityDmaSpace dma_{*memory_};
    std::uint64_t start_;
    std::unique_ptr<RemoteDevice> device_;
    std::uint32_t tail_ = 0;
};

class TwoServers : public testing::Test {
protected:
    TwoServers() {
        std::string name = (fs::temp_directory_path() / "touka-isolation-XXXXXX").string();
        folder_ = ::mkdtemp(name.data());
        std::ofstream(folder_ / "disk.raw") << "";
        fs::resize_file(folder_ / "disk.raw", 1 << 20);
        DeviceConfig device{.name = "fast", .serial = "S1", .namespaces = {}, .functions = {}};
        device.namespaces.push_back({.path = (folder_ / "disk.raw").string()});
        for (int i = 0; i < 2; ++i) device.functions.push_back({.socket = socket(i)});
        ServiceConfig config;
        config.devices.push_back(device);
        service_ = DeviceService::start(config).value();
    }
    ~TwoServers() override {
        service_.reset();
        fs::remove_all(folder_);
    }
    [[nodiscard]] std::string socket(int number) const { return (folder_ / std::to_string(number)).string(); }

    fs::path folder_;
    std::unique_ptr<DeviceService> service_;
};

TEST_F(TwoServers, WhatOnlyTheOtherGrantedIsOutOfReachAndRecorded) {
    constexpr std::uint64_t kOthers = 0x4000'0000;
    Server first(socket(0), 0), second(socket(1), kOthers);
    ASSERT_TRUE(first.bring_up() && second.bring_up());
    EXPECT_EQ(first.identify(kOthers + kData), kDataTransferError);
    EXPECT_EQ(first.identify(kRamBytes), kDataTransferError) << "the first byte behind its own";
    EXPECT_TRUE(first.untouched());
    EXPECT_TRUE(second.untouched());
    EXPECT_EQ(second.identify(kOthers + kData), 0) << "the other is not disturbed";

    const auto functions = nlohmann::json::parse(answer_control(R"({"command": "ls"})", *service_)).at("functions");
    EXPECT_EQ(functions[0].at("faults"), 2);
    EXPECT_EQ(functions[0].at("last-fault"), nlohmann::json({{"address", kRamBytes}, {"access", "write"}}));
    EXPECT_EQ(functions[1].at("faults"), 0);
    EXPECT_FALSE(functions[1].contains("last-fault"));
}

TEST_F(TwoServers, TheSameAddressIsEachOnesOwnMemory) {
    Server first(socket(0), 0), second(socket(1), 0);
    ASSERT_TRUE(first.bring_up() && second.bring_up());
    EXPECT_EQ(first.identify(kData), 0);
    EXPECT_EQ(first.controller(), 0);
    EXPECT_TRUE(second.untouched());
    EXPECT_EQ(second.identify(kData), 0);
    EXPECT_EQ(second.controller(), 1);
    EXPECT_EQ(first.controller(), 0);
}

} // namespace
} // namespace touka::device
