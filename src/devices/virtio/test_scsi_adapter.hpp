// An adapter with scripted units behind it, and a driver in front, for tests.
#pragma once

#include "devices/virtio/scsi.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "devices/virtio/test_driver.hpp"
#include "devices/virtio/test_unit.hpp"
#include "runtime/manual_timers.hpp"
#include "scsi/disk/disk_unit.hpp"
#include "spec/scsi/operation.hpp"
#include "storage/memory_volume.hpp"

namespace touka::devices::virtio::test {

using namespace spec::virtio;
using scsi::Lun;
using scsi::Status;
using scsi::Task;
using scsi::TaskManagementFunction;
using testing::ElementsAre;

constexpr std::uint8_t kTestUnitReady = spec::scsi::operation::kTestUnitReady;
constexpr std::uint64_t kHotplug = VIRTIO_SCSI_F_HOTPLUG | VIRTIO_SCSI_F_CHANGE;
constexpr std::uint32_t kResponseBytes = sizeof(ScsiCommandResponse) + kScsiDefaultSenseBytes;

inline const scsi::InitiatorPort kInitiator{spec::scsi::ProtocolIdentifier::kFibreChannel, "2100000e1e123456"};

using LunBytes = std::array<std::uint8_t, 8>;
/// As Linux writes it: flat space addressing throughout.
constexpr LunBytes lun_bytes(std::uint8_t target, std::uint16_t lun) {
    return {1, target, static_cast<std::uint8_t>(0x40 | lun >> 8), static_cast<std::uint8_t>(lun)};
}

class VirtioScsi : public testing::Test {
protected:
    void bring_up(std::uint64_t features = kHotplug, unsigned request_queues = 1,
                  std::uint16_t request_queue_size = 64) {
        auto device = std::make_unique<Scsi>(ScsiConfiguration{kInitiator, static_cast<std::uint16_t>(request_queues)});
        scsi_ = device.get();
        function_.emplace("virtio-scsi@00:03.0", std::move(device), machine_.context());
        on_reactor([this] {
            scsi_->attach(3, target_, 1, {{Lun::from_number(0), &unit_}, {Lun::from_number(300), &other_}});
        });
        driver_.emplace(machine_, *function_);
        queues_ = driver_->bring_up(features, kScsiFirstRequestQueue, 64, request_queues, request_queue_size);
        header_ = driver_->allocate(4096);
        data_ = driver_->allocate(64 << 10);
        response_ = driver_->allocate(4096);
    }
    void TearDown() override {
        driver_.reset();
        function_.reset();
    }
    void on_reactor(const std::function<void()>& work) { machine_.reactor.run_and_wait(work); }

    /// Puts a command into a request queue; its response is at response_.
    void command(const LunBytes& lun, std::vector<std::uint8_t> cdb, std::vector<Segment> out = {},
                 std::vector<Segment> in = {}, std::uint64_t id = 1, unsigned queue = 2) {
        ScsiCommandHeader header{};
        std::ranges::copy(lun, header.lun);
        header.id = id;
        header.task_attr = attribute_;
        driver_->store(header_, header);
        cdb.resize(cdb_bytes_);
        std::memcpy(driver_->at(header_ + sizeof header), cdb.data(), cdb.size());
        std::memset(driver_->at(response_), 0xEE, kResponseBytes + 64);
        std::vector<Segment> chain{{header_, static_cast<std::uint32_t>(sizeof header + cdb.size()), false}};
        chain.insert(chain.end(), out.begin(), out.end());
        chain.push_back({response_, static_cast<std::uint32_t>(sizeof(ScsiCommandResponse) + sense_bytes_), true});
        chain.insert(chain.end(), in.begin(), in.end());
        driver_->send(queues_[queue], chain);
    }
    [[nodiscard]] ScsiCommandResponse response() { return driver_->load<ScsiCommandResponse>(response_); }
    [[nodiscard]] std::uint8_t response_value(const LunBytes& lun, std::vector<std::uint8_t> cdb) {
        command(lun, std::move(cdb));
        return response().response;
    }

    std::uint8_t manage(std::uint32_t subtype, const LunBytes& lun, std::uint64_t id = 0) {
        ScsiTaskManagement request{VIRTIO_SCSI_T_TMF, subtype, {}, id};
        std::ranges::copy(lun, request.lun);
        const std::uint64_t place = driver_->allocate(64);
        answer_ = place + 32;
        driver_->store(place, request);
        driver_->store(answer_, std::uint8_t{0xEE});
        driver_->send(queues_[kScsiControlQueue], {{place, sizeof request, false}, {answer_, 1, true}});
        return driver_->load<std::uint8_t>(answer_);
    }
    std::uint64_t add_event_buffer(std::uint32_t bytes = sizeof(ScsiEvent)) {
        const std::uint64_t place = driver_->allocate(64);
        driver_->send(queues_[kScsiEventQueue], {{place, bytes, true}});
        return place;
    }

    TestUnit unit_, other_;
    scsi::Target target_, second_target_;
    TestMachine machine_;
    Scsi* scsi_ = nullptr;
    std::optional<VirtioPciFunction> function_;
    std::optional<TestDriver> driver_;
    std::vector<TestDriver::Queue> queues_;
    std::uint64_t header_ = 0, data_ = 0, response_ = 0;
    std::uint64_t answer_ = 0; // of the last task management
    std::uint32_t cdb_bytes_ = kScsiDefaultCdbBytes, sense_bytes_ = kScsiDefaultSenseBytes;
    std::uint8_t attribute_ = VIRTIO_SCSI_S_SIMPLE;
};

} // namespace touka::devices::virtio::test
