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

namespace touka::devices::virtio {
namespace {

using namespace spec::virtio;
using scsi::Lun;
using scsi::Status;
using scsi::Task;
using scsi::TaskManagementFunction;
using test::Segment;
using test::TestDriver;
using test::TestMachine;
using test::TestUnit;
using testing::ElementsAre;

constexpr std::uint8_t kTestUnitReady = spec::scsi::operation::kTestUnitReady;
constexpr std::uint64_t kHotplug = VIRTIO_SCSI_F_HOTPLUG | VIRTIO_SCSI_F_CHANGE;
constexpr std::uint32_t kResponseBytes = sizeof(ScsiCommandResponse) + kScsiDefaultSenseBytes;

const scsi::InitiatorPort kInitiator{spec::scsi::ProtocolIdentifier::kFibreChannel, "2100000e1e123456"};

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

TEST_F(VirtioScsi, ACommandReachesItsUnitWithCdbTagAndAttributeUnchanged) {
    attribute_ = VIRTIO_SCSI_S_ORDERED;
    bring_up();
    other_.execute = [&](Task& task) {
        EXPECT_EQ(task.cdb.bytes().size(), 32u);
        EXPECT_EQ(task.cdb[0], 0x28);
        EXPECT_EQ(task.cdb[31], 0x77);
        EXPECT_EQ(task.tag, 0xFFFF'8800'1234'5678);
        EXPECT_EQ(task.attribute, scsi::TaskAttribute::kOrdered);
        EXPECT_EQ(task.nexus->name.initiator, kInitiator);
        EXPECT_EQ(task.lun.number(), 300u);
        task.complete();
    };
    std::vector<std::uint8_t> cdb(32);
    cdb[0] = 0x28;
    cdb[31] = 0x77;
    command(lun_bytes(3, 300), cdb, {}, {}, 0xFFFF'8800'1234'5678);
    EXPECT_EQ(response().response, VIRTIO_SCSI_S_OK);
    EXPECT_EQ(response().status, 0);
    EXPECT_EQ(driver_->take_used(queues_[2]).len, kResponseBytes);
    EXPECT_EQ(other_.commits, 1);
    EXPECT_EQ(unit_.commits, 0);
}

TEST_F(VirtioScsi, DataGoesIntoTheGuestsOwnBuffersAndWhatIsMissingIsTheResidual) {
    bring_up();
    unit_.execute = [&](Task& task) {
        EXPECT_EQ(task.data_in_limit_bytes, 1024u);
        const auto memory = task.data_in(600);
        ASSERT_EQ(memory.size(), 2u);
        EXPECT_EQ(memory[0].iov_base, driver_->at(data_));
        EXPECT_EQ(memory[0].iov_len, 512u);
        EXPECT_EQ(memory[1].iov_base, driver_->at(data_ + 8192));
        EXPECT_EQ(memory[1].iov_len, 88u);
        std::memset(memory[1].iov_base, 0xAB, 88);
        task.data_in_bytes = task.transfer_bytes = 600;
        task.complete();
    };
    command(lun_bytes(3, 0), {0x12}, {}, {{data_, 512, true}, {data_ + 8192, 512, true}});
    EXPECT_EQ(response().response, VIRTIO_SCSI_S_OK);
    EXPECT_EQ(response().residual, 424u);
    EXPECT_EQ(driver_->load<std::uint8_t>(data_ + 8192 + 87), 0xAB);
    EXPECT_EQ(driver_->take_used(queues_[2]).len, kResponseBytes + 600);
}

TEST_F(VirtioScsi, DataOutIsWhatFollowsTheCdbInWhateverDescriptors) {
    bring_up();
    driver_->store(data_, std::uint32_t{0xC0FFEE});
    unit_.execute = [&](Task& task) {
        EXPECT_EQ(task.data_out_bytes, 1536u);
        EXPECT_EQ(task.data_out[0].iov_base, driver_->at(data_));
        EXPECT_EQ(task.data_in_limit_bytes, 0u);
        task.transfer_bytes = 512;
        task.complete();
    };
    command(lun_bytes(3, 0), {0x2A}, {{data_, 512, false}, {data_ + 4096, 1024, false}});
    EXPECT_EQ(response().residual, 1024u);
    EXPECT_EQ(driver_->take_used(queues_[2]).len, kResponseBytes);
}

TEST_F(VirtioScsi, ACommandThatWantsMoreThanTheBuffersHoldIsAnOverrunUnlessItFailed) {
    bring_up();
    unit_.execute = [](Task& task) {
        task.transfer_bytes = 1024;
        task.complete();
    };
    command(lun_bytes(3, 0), {0x2A}, {{data_, 512, false}});
    EXPECT_EQ(response().response, VIRTIO_SCSI_S_OVERRUN);
    EXPECT_EQ(response().residual, 0u);
    unit_.execute = [](Task& task) {
        task.transfer_bytes = 1024;
        task.status = Status::kCheckCondition;
        task.complete();
    };
    command(lun_bytes(3, 0), {0x2A}, {{data_, 512, false}});
    EXPECT_EQ(response().response, VIRTIO_SCSI_S_OK);
    EXPECT_EQ(response().status, 2);
}

TEST_F(VirtioScsi, SenseDataArriveUpToTheSizeThatTheDriverSet) {
    bring_up();
    std::array<std::uint8_t, 120> sense{};
    for (std::size_t i = 0; i < sense.size(); ++i) sense[i] = static_cast<std::uint8_t>(i + 1);
    unit_.execute = [&](Task& task) {
        task.status = Status::kCheckCondition;
        task.sense = scsi::SenseData(sense);
        task.complete();
    };
    command(lun_bytes(3, 0), {kTestUnitReady});
    EXPECT_EQ(response().status, 2);
    EXPECT_EQ(response().sense_len, 96u);
    EXPECT_EQ(std::memcmp(driver_->at(response_ + 12), sense.data(), 96), 0);
    EXPECT_EQ(driver_->load<std::uint8_t>(response_ + kResponseBytes), 0xEE);

    const std::uint64_t config = driver_->base() + VirtioPciFunction::kDeviceOffset;
    machine_.memory.write(config + offsetof(ScsiConfig, sense_size), 4, 252);
    machine_.memory.write(config + offsetof(ScsiConfig, cdb_size), 4, 260);
    sense_bytes_ = 252;
    cdb_bytes_ = 260;
    command(lun_bytes(3, 0), {kTestUnitReady});
    EXPECT_EQ(response().sense_len, 120u);
    EXPECT_EQ(driver_->load<std::uint8_t>(response_ + 12 + 119), 120);
    EXPECT_EQ(driver_->load<std::uint8_t>(response_ + 12 + 120), 0); // the rest is cleared
}

TEST_F(VirtioScsi, ConfigurationHasTheDefaultsAndTakesOnlySizesWithinBounds) {
    bring_up(kHotplug, 3);
    const std::uint64_t config = driver_->base() + VirtioPciFunction::kDeviceOffset;
    const auto read = [&](std::size_t offset, unsigned width) { return machine_.memory.read(config + offset, width); };
    EXPECT_EQ(read(offsetof(ScsiConfig, num_queues), 4), 3u);
    EXPECT_EQ(read(offsetof(ScsiConfig, event_info_size), 4), 16u);
    EXPECT_EQ(read(offsetof(ScsiConfig, max_channel), 2), 0u);
    EXPECT_EQ(read(offsetof(ScsiConfig, max_target), 2), 255u);
    EXPECT_EQ(read(offsetof(ScsiConfig, max_lun), 4), 16383u);
    machine_.memory.write(config + offsetof(ScsiConfig, sense_size), 4, 257);
    machine_.memory.write(config + offsetof(ScsiConfig, cdb_size), 4, 261);
    machine_.memory.write(config + offsetof(ScsiConfig, cdb_size), 4, 0);
    machine_.memory.write(config + offsetof(ScsiConfig, num_queues), 4, 9);
    EXPECT_EQ(read(offsetof(ScsiConfig, sense_size), 4), 96u);
    EXPECT_EQ(read(offsetof(ScsiConfig, cdb_size), 4), 32u);
    EXPECT_EQ(read(offsetof(ScsiConfig, num_queues), 4), 3u);
    machine_.memory.write(config + offsetof(ScsiConfig, sense_size), 4, 18);
    EXPECT_EQ(read(offsetof(ScsiConfig, sense_size), 4), 18u);
    driver_->write(TestDriver::Register::device_status, 1, 0);
    EXPECT_EQ(read(offsetof(ScsiConfig, sense_size), 4), 96u);
    EXPECT_FALSE(driver_->device_features() & (VIRTIO_SCSI_F_INOUT | VIRTIO_SCSI_F_T10_PI));
}

TEST_F(VirtioScsi, WhatIsNotThereAnswersBadTargetAndAMissingUnitAnswersThroughItsTarget) {
    bring_up();
    EXPECT_EQ(response_value(lun_bytes(4, 0), {kTestUnitReady}), VIRTIO_SCSI_S_BAD_TARGET);
    EXPECT_EQ(response_value({0, 3}, {kTestUnitReady}), VIRTIO_SCSI_S_BAD_TARGET);
    EXPECT_EQ(response_value(lun_bytes(3, 7), {kTestUnitReady}), VIRTIO_SCSI_S_OK);
    EXPECT_EQ(response().status, 2);
    EXPECT_EQ(driver_->load<std::uint8_t>(response_ + 12 + 12), 0x25); // LOGICAL UNIT NOT SUPPORTED
    // Anything below the first level names no unit, either.
    EXPECT_EQ(response_value({1, 3, 0x40, 0, 0, 1}, {kTestUnitReady}), VIRTIO_SCSI_S_OK);
    EXPECT_EQ(response().status, 2);
}

TEST_F(VirtioScsi, TheReportLunsWellKnownUnitIsFoundWithAndWithoutATarget) {
    bring_up();
    std::vector<std::uint8_t> report_luns{0xA0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0};
    for (const LunBytes& lun : {LunBytes{0xC1, 1}, LunBytes{1, 3, 0xC1, 1}}) {
        command(lun, report_luns, {}, {{data_, 4096, true}});
        EXPECT_EQ(response().status, 0);
        EXPECT_EQ(driver_->load<std::uint8_t>(data_ + 3), 16); // two units
        EXPECT_EQ(response().residual, 4096u - 24);
    }
}

TEST_F(VirtioScsi, TransportAndTargetFailuresHaveResponsesOfTheirOwnAndNoStatus) {
    bring_up();
    unit_.execute = [](Task& task) {
        task.delivery = scsi::Delivery::kTransportFailure;
        task.status = Status::kBusy;
        task.complete();
    };
    command(lun_bytes(3, 0), {0x28}, {}, {{data_, 512, true}});
    EXPECT_EQ(response().response, VIRTIO_SCSI_S_TRANSPORT_FAILURE);
    EXPECT_EQ(response().status, 0);
    EXPECT_EQ(response().residual, 512u);
    unit_.execute = [](Task& task) {
        task.delivery = scsi::Delivery::kTargetFailure;
        task.complete();
    };
    EXPECT_EQ(response_value(lun_bytes(3, 0), {kTestUnitReady}), VIRTIO_SCSI_S_TARGET_FAILURE);
}

TEST_F(VirtioScsi, CommandsWithBothDirectionsOrBadFramingFailAndTheDeviceLives) {
    bring_up();
    command(lun_bytes(3, 0), {0x2A}, {{data_, 512, false}}, {{data_, 512, true}});
    EXPECT_EQ(response().response, VIRTIO_SCSI_S_FAILURE);
    driver_->send(queues_[2],
                  {{header_, 50, false}, {response_, kResponseBytes, true}}); // a byte of the CDB is missing
    EXPECT_EQ(response().response, VIRTIO_SCSI_S_FAILURE);
    driver_->store(response_ + 11, std::uint8_t{0xEE});
    driver_->send(queues_[2], {{header_, 51, false}, {response_, kResponseBytes - 1, true}});
    driver_->send(queues_[2], {{header_, 51, false}});
    EXPECT_EQ(response().response, 0xEE);
    EXPECT_EQ(driver_->used_index(queues_[2]), 4);
    EXPECT_EQ(response_value(lun_bytes(3, 0), {kTestUnitReady}), VIRTIO_SCSI_S_OK);
    EXPECT_FALSE(driver_->needs_reset());
}

TEST_F(VirtioScsi, ACommandOfAsManySegmentsAsAreOfferedArrivesWholeWithoutIndirectTables) {
    bring_up(kHotplug, 1, ScsiRequestQueue::kSize);
    const auto offered = static_cast<std::uint32_t>(
        machine_.memory.read(driver_->base() + VirtioPciFunction::kDeviceOffset + offsetof(ScsiConfig, seg_max), 4));
    EXPECT_EQ(offered, 1024u); // 32 MiB of 32 KiB each
    std::vector<Segment> pieces;
    for (std::uint32_t i = 0; i < offered; ++i) {
        driver_->store(data_ + 32 * i, std::uint64_t{i});
        pieces.push_back({data_ + 32 * i, 8, false});
    }
    std::vector<std::uint64_t> arrived(offered);
    unit_.execute = [&](Task& task) {
        EXPECT_EQ(
            scsi::copy_from(task.data_out, 0, {reinterpret_cast<std::uint8_t*>(arrived.data()), 8ull * arrived.size()}),
            8u * offered);
        task.transfer_bytes = task.data_out_bytes;
        task.complete();
    };
    command(lun_bytes(3, 0), {0x2A}, pieces);
    EXPECT_EQ(response().response, VIRTIO_SCSI_S_OK);
    EXPECT_EQ(response().residual, 0u);
    for (std::uint64_t i = 0; i < offered; ++i) ASSERT_EQ(arrived[i], i);
    for (Segment& piece : pieces) piece.writable = true;
    unit_.execute = [&](Task& task) {
        for (std::uint64_t& word : arrived) ++word;
        const auto bytes = std::span(reinterpret_cast<const std::uint8_t*>(arrived.data()), 8ull * arrived.size());
        EXPECT_EQ(scsi::copy_to(task.data_in(bytes.size()), 0, bytes), bytes.size());
        task.data_in_bytes = task.transfer_bytes = bytes.size();
        task.complete();
    };
    command(lun_bytes(3, 0), {0x28}, {}, pieces);
    for (std::uint32_t i = 0; i < offered; ++i) ASSERT_EQ(driver_->load<std::uint64_t>(data_ + 32 * i), i + 1);
}

TEST_F(VirtioScsi, AQueueIsWorkedOnUntilItIsEmptyHoweverMuchOneTurnTakes) {
    bring_up(kHotplug, 1, ScsiRequestQueue::kSize);
    unit_.held = true;
    constexpr std::uint16_t kMany = 1000;
    const std::uint64_t responses = driver_->allocate(kMany * 128ull);
    command(lun_bytes(3, 7), {kTestUnitReady}); // writes the header
    ScsiCommandHeader header{};
    std::ranges::copy(lun_bytes(3, 0), header.lun);
    driver_->store(header_, header);
    for (std::uint64_t i = 0; i < kMany; ++i) {
        driver_->make_available(
            queues_[2], driver_->add_chain(queues_[2], {{header_, 51, false}, {responses + 128 * i, 108, true}}));
    }
    // Nobody has rung for them, but for a task management function that is about all of them.
    EXPECT_EQ(manage(VIRTIO_SCSI_T_TMF_ABORT_TASK_SET, lun_bytes(3, 0)), VIRTIO_SCSI_S_FUNCTION_COMPLETE);
    EXPECT_EQ(driver_->used_index(queues_[2]), 1 + kMany);
    EXPECT_EQ(driver_->load<std::uint8_t>(responses + 128ull * (kMany - 1) + 11), VIRTIO_SCSI_S_ABORTED);
}

TEST_F(VirtioScsi, AResponseThatIsCutIntoSingleBytesArrivesWhole) {
    bring_up();
    unit_.execute = [](Task& task) {
        task.status = Status::kCheckCondition;
        task.sense =
            scsi::encode(scsi::Sense::unit_attention(scsi::SenseCode::kPowerOnOccurred), scsi::SenseFormat::kFixed);
        task.complete();
    };
    command(lun_bytes(3, 7), {kTestUnitReady}); // writes the header
    ScsiCommandHeader header{};
    std::ranges::copy(lun_bytes(3, 0), header.lun);
    driver_->store(header_, header);
    std::vector<Segment> chain{{header_, 7, false}, {header_ + 7, 44, false}};
    for (std::uint32_t i = 0; i < 30; ++i) chain.push_back({data_ + 2 * i, 1, true});
    chain.push_back({data_ + 100, kResponseBytes - 30, true});
    driver_->send(queues_[2], chain);
    EXPECT_EQ(driver_->load<std::uint8_t>(data_ + 2 * 0), 18);           // sense_len
    EXPECT_EQ(driver_->load<std::uint8_t>(data_ + 2 * 10), 2);           // status
    EXPECT_EQ(driver_->load<std::uint8_t>(data_ + 2 * (12 + 12)), 0x29); // ASC
}

TEST_F(VirtioScsi, EveryTaskManagementFunctionReachesTheUnitAndItsAnswerComesBack) {
    bring_up();
    using enum TaskManagementFunction;
    for (std::uint32_t subtype = 0; subtype <= VIRTIO_SCSI_T_TMF_QUERY_TASK_SET; ++subtype) {
        EXPECT_EQ(manage(subtype, lun_bytes(3, 0), 0x1234), VIRTIO_SCSI_S_FUNCTION_COMPLETE);
    }
    EXPECT_THAT(unit_.functions, ElementsAre(kAbortTask, kAbortTaskSet, kClearAca, kClearTaskSet, kItNexusReset,
                                             kLogicalUnitReset, kQueryTask, kQueryTaskSet));
    EXPECT_EQ(unit_.last_tag, 0x1234u);
    EXPECT_THAT(other_.functions, ElementsAre(kItNexusReset)); // the only one that is about the whole nexus
    using enum scsi::TaskManagementResponse;
    for (const auto& [answer, value] : {std::pair{kSucceeded, VIRTIO_SCSI_S_FUNCTION_SUCCEEDED},
                                        {kRejected, VIRTIO_SCSI_S_FUNCTION_REJECTED},
                                        {kTaskDoesNotExist, VIRTIO_SCSI_S_FUNCTION_COMPLETE}}) {
        unit_.response = answer;
        EXPECT_EQ(manage(VIRTIO_SCSI_T_TMF_QUERY_TASK, lun_bytes(3, 0)), value);
    }
    EXPECT_EQ(manage(VIRTIO_SCSI_T_TMF_QUERY_TASK, lun_bytes(3, 9)), VIRTIO_SCSI_S_INCORRECT_LUN);
    EXPECT_EQ(manage(VIRTIO_SCSI_T_TMF_QUERY_TASK, lun_bytes(2, 0)), VIRTIO_SCSI_S_BAD_TARGET);
    EXPECT_EQ(manage(99, lun_bytes(3, 0)), VIRTIO_SCSI_S_FUNCTION_REJECTED);
}

TEST_F(VirtioScsi, TasksThatTheDriverAbortsAreAbortedAndThoseThatAResetEndsAreReset) {
    bring_up();
    unit_.held = true;
    command(lun_bytes(3, 0), {kTestUnitReady}, {}, {}, 7);
    EXPECT_EQ(response().response, 0xEE);
    EXPECT_EQ(manage(VIRTIO_SCSI_T_TMF_ABORT_TASK, lun_bytes(3, 0), 7), VIRTIO_SCSI_S_FUNCTION_COMPLETE);
    EXPECT_EQ(response().response, VIRTIO_SCSI_S_ABORTED);
    command(lun_bytes(3, 0), {kTestUnitReady}, {}, {}, 8);
    (void)manage(VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, lun_bytes(3, 0));
    EXPECT_EQ(response().response, VIRTIO_SCSI_S_RESET);
    command(lun_bytes(3, 0), {kTestUnitReady}, {}, {}, 9);
    (void)manage(VIRTIO_SCSI_T_TMF_ABORT_TASK, lun_bytes(3, 0),
                 10); // another's tag; the test unit ends it all the same
    EXPECT_EQ(response().response, VIRTIO_SCSI_S_RESET);
}

TEST_F(VirtioScsi, TaskManagementSeesCommandsThatWereSentBeforeItThoughTheirDoorbellWasNot) {
    bring_up();
    unit_.held = true;
    command(lun_bytes(3, 0), {kTestUnitReady}, {}, {}, 7);
    on_reactor([this] { unit_.complete_all(); });
    ASSERT_EQ(response().response, VIRTIO_SCSI_S_OK);
    driver_->store(response_ + 11, std::uint8_t{0xEE});
    const std::uint16_t head =
        driver_->add_chain(queues_[2], {{header_, 51, false}, {response_, kResponseBytes, true}});
    driver_->make_available(queues_[2], head); // and no kick
    EXPECT_EQ(manage(VIRTIO_SCSI_T_TMF_ABORT_TASK_SET, lun_bytes(3, 0)), VIRTIO_SCSI_S_FUNCTION_COMPLETE);
    EXPECT_EQ(response().response, VIRTIO_SCSI_S_ABORTED);
}

TEST_F(VirtioScsi, NotificationQueriesAreAnsweredWithNoEvent) {
    bring_up();
    for (const std::uint32_t type : {VIRTIO_SCSI_T_AN_QUERY, VIRTIO_SCSI_T_AN_SUBSCRIBE}) {
        ScsiNotificationRequest request{type, {}, 0x7E};
        std::ranges::copy(lun_bytes(3, 0), request.lun);
        driver_->store(data_, request);
        driver_->store(data_ + 64, ScsiNotificationResponse{0xEEEE'EEEE, 0xEE});
        driver_->send(queues_[0], {{data_, 16, false}, {data_ + 64, 5, true}});
        EXPECT_EQ(driver_->load<ScsiNotificationResponse>(data_ + 64).event_actual, 0u);
        EXPECT_EQ(driver_->load<ScsiNotificationResponse>(data_ + 64).response, VIRTIO_SCSI_S_OK);
    }
    driver_->store(data_, std::uint32_t{77});
    driver_->send(queues_[0], {{data_, 16, false}, {data_ + 64, 1, true}});
    EXPECT_EQ(driver_->load<std::uint8_t>(data_ + 64), VIRTIO_SCSI_S_FAILURE);
}

TEST_F(VirtioScsi, UnitsThatComeAndGoAreEventsAndNewParametersToo) {
    bring_up();
    const std::uint64_t removed = add_event_buffer(), added = add_event_buffer(), changed = add_event_buffer();
    on_reactor([this] {
        scsi_->remap(3, {{Lun::from_number(0), &unit_}, {Lun::from_number(1), &other_}});
        scsi_->parameters_changed(3, Lun::from_number(1), scsi::SenseCode::kCapacityDataHasChanged);
    });
    const auto first = driver_->load<ScsiEvent>(removed);
    EXPECT_EQ(first.event, VIRTIO_SCSI_T_TRANSPORT_RESET);
    EXPECT_EQ(first.reason, VIRTIO_SCSI_EVT_RESET_REMOVED);
    EXPECT_THAT(first.lun, ElementsAre(1, 3, 0x41, 0x2C, 0, 0, 0, 0));
    EXPECT_EQ(driver_->load<ScsiEvent>(added).reason, VIRTIO_SCSI_EVT_RESET_RESCAN);
    const auto last = driver_->load<ScsiEvent>(changed);
    EXPECT_EQ(last.event, VIRTIO_SCSI_T_PARAM_CHANGE);
    EXPECT_EQ(last.reason, 0x092Au);
    EXPECT_EQ(driver_->take_used(queues_[1]).len, 16u);
}

TEST_F(VirtioScsi, ALostEventIsToldAsSoonAsThereIsABuffer) {
    bring_up();
    on_reactor([this] { scsi_->parameters_changed(3, Lun{}, scsi::SenseCode::kModeParametersChanged); });
    const std::uint64_t buffer = add_event_buffer();
    EXPECT_EQ(driver_->load<ScsiEvent>(buffer).event, VIRTIO_SCSI_T_EVENTS_MISSED | VIRTIO_SCSI_T_NO_EVENT);
    const std::uint64_t next = add_event_buffer();
    EXPECT_EQ(driver_->used_index(queues_[1]), 1);
    on_reactor([this] { scsi_->parameters_changed(3, Lun{}, scsi::SenseCode::kModeParametersChanged); });
    EXPECT_EQ(driver_->load<ScsiEvent>(next).event, VIRTIO_SCSI_T_PARAM_CHANGE);
}

TEST_F(VirtioScsi, ADriverWithEventIndexIsAskedToNotifyOfTheNextBufferOnceAnEventWasLost) {
    bring_up(kHotplug | VIRTIO_F_EVENT_IDX);
    (void)add_event_buffer();
    const std::uint64_t avail_event = queues_[1].used + 4 + 8ull * queues_[1].size;
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(driver_->load<std::uint16_t>(avail_event), 0);
        on_reactor([this] { scsi_->parameters_changed(3, Lun{}, scsi::SenseCode::kModeParametersChanged); });
    }
    EXPECT_EQ(driver_->load<std::uint16_t>(avail_event), 1);
}

TEST_F(VirtioScsi, AnEventPassesByABufferThatIsTooShort) {
    bring_up();
    (void)add_event_buffer(15);
    const std::uint64_t buffer = add_event_buffer();
    on_reactor([this] { scsi_->parameters_changed(3, Lun{}, scsi::SenseCode::kModeParametersChanged); });
    EXPECT_EQ(driver_->take_used(queues_[1]).len, 0u);
    EXPECT_EQ(driver_->load<ScsiEvent>(buffer).event, VIRTIO_SCSI_T_PARAM_CHANGE);
}

TEST_F(VirtioScsi, WithoutTheFeaturesThereAreNoEvents) {
    bring_up(0);
    (void)add_event_buffer();
    on_reactor([this] {
        scsi_->remap(3, {});
        scsi_->parameters_changed(3, Lun{}, scsi::SenseCode::kModeParametersChanged);
    });
    EXPECT_EQ(driver_->used_index(queues_[1]), 0);
}

TEST_F(VirtioScsi, ATargetIsPluggedAndUnpluggedWhileTheDriverRuns) {
    bring_up();
    TestUnit late;
    const std::uint64_t added = add_event_buffer(), removed = add_event_buffer();
    on_reactor([&] { scsi_->attach(9, second_target_, 1, {{Lun::from_number(0), &late}}); });
    EXPECT_EQ(driver_->load<ScsiEvent>(added).reason, VIRTIO_SCSI_EVT_RESET_RESCAN);
    EXPECT_EQ(response_value(lun_bytes(9, 0), {kTestUnitReady}), VIRTIO_SCSI_S_OK);
    late.held = true;
    command(lun_bytes(9, 0), {kTestUnitReady});
    bool gone = false;
    on_reactor([&] { scsi_->detach(9, [&gone] { gone = true; }); });
    EXPECT_TRUE(gone);
    EXPECT_EQ(late.attached, 0);
    EXPECT_EQ(response().response, VIRTIO_SCSI_S_RESET);
    EXPECT_EQ(driver_->load<ScsiEvent>(removed).reason, VIRTIO_SCSI_EVT_RESET_REMOVED);
    EXPECT_EQ(response_value(lun_bytes(9, 0), {kTestUnitReady}), VIRTIO_SCSI_S_BAD_TARGET);
}

TEST_F(VirtioScsi, ADeviceResetIsALossOfTheNexusAndEndsWhatIsInFlight) {
    bring_up();
    unit_.held = true;
    command(lun_bytes(3, 0), {kTestUnitReady});
    driver_->write(TestDriver::Register::device_status, 1, 0);
    EXPECT_EQ(driver_->status(), 0);
    EXPECT_TRUE(unit_.waiting.empty());
    EXPECT_THAT(unit_.functions, ElementsAre(TaskManagementFunction::kItNexusReset));
    driver_->write(TestDriver::Register::device_status, 1, 0); // a driver that begins resets, too
    EXPECT_EQ(unit_.functions.size(), 1u);
}

TEST_F(VirtioScsi, AResetIsNotOverWhileAUnitStillAborts) {
    bring_up();
    unit_.held = unit_.functions_held = true;
    command(lun_bytes(3, 0), {0x28}, {}, {{data_, 512, true}});
    driver_->write(TestDriver::Register::device_status, 1, 0);
    EXPECT_NE(driver_->status(), 0);
    on_reactor([this] { unit_.abort_all(); });
    EXPECT_NE(driver_->status(), 0);
    on_reactor([this] { unit_.waiting_functions.front()(scsi::TaskManagementResponse::kComplete); });
    EXPECT_EQ(driver_->status(), 0);
    EXPECT_FALSE(driver_->has_used(queues_[2]));
}

TEST_F(VirtioScsi, AbortingWhatAVolumeDoesNotAnswerFailsInBoundedTimeAndTheCommandEndsWhenItDoes) {
    runtime::ManualTimers timers;
    storage::MemoryVolume volume(1 << 20);
    volume.bytes[0] = std::byte{0x5A};
    scsi::DiskUnit stuck(volume, {.identity = {.product = "DISK", .revision = "1", .serial = "1"}, .ports = {}});
    stuck.server().limit_aborts(timers);
    bring_up();
    on_reactor([&] { scsi_->attach(9, second_target_, 1, {{Lun::from_number(0), &stuck.unit()}}); });
    command(lun_bytes(9, 0), {kTestUnitReady}); // the unit attention
    on_reactor([&] { volume.held = true; });
    command(lun_bytes(9, 0), {0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, {}, {{data_, 512, true}}, 7);
    const std::uint64_t late_response = std::exchange(response_, driver_->allocate(4096));
    const std::uint64_t late_data = std::exchange(data_, driver_->allocate(4096));
    EXPECT_EQ(manage(VIRTIO_SCSI_T_TMF_ABORT_TASK, lun_bytes(9, 0), 7), 0xEE);
    EXPECT_EQ(response_value(lun_bytes(3, 0), {kTestUnitReady}), VIRTIO_SCSI_S_OK) << "another unit goes on";
    const std::uint16_t used = driver_->used_index(queues_[2]);
    on_reactor([&] { timers.advance(scsi::kAbortLimitNs); });
    EXPECT_EQ(driver_->load<std::uint8_t>(answer_), VIRTIO_SCSI_S_FAILURE);
    EXPECT_EQ(driver_->used_index(queues_[2]), used) << "the host may still write to the guest's memory";
    on_reactor([&] { volume.complete_all(); });
    EXPECT_EQ(driver_->used_index(queues_[2]), used + 1);
    EXPECT_EQ(driver_->load<ScsiCommandResponse>(late_response).response, VIRTIO_SCSI_S_ABORTED);
    EXPECT_EQ(driver_->load<std::uint8_t>(late_data), 0x5A);

    on_reactor([&] { volume.held = true; });
    command(lun_bytes(9, 0), {0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, {}, {{data_, 512, true}}, 8);
    driver_->write(TestDriver::Register::device_status, 1, 0);
    on_reactor([&] { timers.advance(2 * scsi::kAbortLimitNs); });
    EXPECT_NE(driver_->status(), 0) << "a reset is not over before the host is";
    on_reactor([&] { volume.complete_all(); });
    EXPECT_EQ(driver_->status(), 0);
    on_reactor([&] { scsi_->detach(9, [] {}); });
}

TEST_F(VirtioScsi, PauseWaitsForCommandsAndTaskManagement) {
    bring_up();
    unit_.held = unit_.functions_held = true;
    command(lun_bytes(3, 0), {kTestUnitReady});
    EXPECT_EQ(manage(VIRTIO_SCSI_T_TMF_QUERY_TASK, lun_bytes(3, 0)), 0xEE);
    std::thread control([this] { function_->pause(); });
    on_reactor([this] { unit_.complete_all(); });
    on_reactor([this] { unit_.waiting_functions.front()(scsi::TaskManagementResponse::kSucceeded); });
    control.join();
    EXPECT_TRUE(driver_->has_used(queues_[2]));
    EXPECT_TRUE(driver_->has_used(queues_[0]));
    function_->resume();
}

TEST_F(VirtioScsi, GoesOnAfterARestoreWithTheSizesThatTheDriverSetAndTheEventsItMissed) {
    bring_up();
    machine_.memory.write(driver_->base() + VirtioPciFunction::kDeviceOffset + offsetof(ScsiConfig, sense_size), 4, 20);
    on_reactor([this] { scsi_->parameters_changed(3, Lun{}, scsi::SenseCode::kModeParametersChanged); });
    function_->pause();
    const migration::Record record = function_->save();

    auto device = std::make_unique<Scsi>(ScsiConfiguration{kInitiator, 1});
    Scsi* const scsi = device.get();
    VirtioPciFunction other("virtio-scsi@00:03.0", std::move(device), machine_.context());
    on_reactor([&] { scsi->attach(3, second_target_, 1, {{Lun::from_number(0), &unit_}}); });
    machine_.root.unplug(TestDriver::kPlace);
    ASSERT_TRUE(machine_.root.plug(TestDriver::kPlace, other).has_value());
    ASSERT_TRUE(other.restore(record).has_value());
    EXPECT_EQ(other.save().bytes, record.bytes);
    other.resume();
    sense_bytes_ = 20;
    EXPECT_EQ(response_value(lun_bytes(3, 0), {kTestUnitReady}), VIRTIO_SCSI_S_OK);
    const std::uint64_t buffer = add_event_buffer();
    EXPECT_EQ(driver_->load<ScsiEvent>(buffer).event, VIRTIO_SCSI_T_EVENTS_MISSED);
    machine_.root.unplug(TestDriver::kPlace);
}

TEST_F(VirtioScsi, RefusesASavedSizeBeyondItsBounds) {
    Scsi device({kInitiator, 1});
    EXPECT_EQ(device.restore(migration::save_record({}, ScsiState{257, 32, false})).error(),
              migration::RestoreError::kDamaged);
    EXPECT_EQ(device.restore(migration::save_record({}, ScsiState{96, 0, false})).error(),
              migration::RestoreError::kDamaged);
    EXPECT_TRUE(device.restore(migration::save_record({}, ScsiState{256, 260, true})).has_value());
}

TEST_F(VirtioScsi, CommandsOfSeveralQueuesShareAUnitAndComeBackOnTheirOwn) {
    bring_up(kHotplug, 2);
    unit_.held = true;
    command(lun_bytes(3, 0), {kTestUnitReady}, {}, {}, 1, 2);
    command(lun_bytes(3, 0), {kTestUnitReady}, {}, {}, 2, 3);
    on_reactor([this] { unit_.complete_all(); });
    EXPECT_TRUE(driver_->has_used(queues_[2]));
    EXPECT_TRUE(driver_->has_used(queues_[3]));
}

} // namespace
} // namespace touka::devices::virtio
