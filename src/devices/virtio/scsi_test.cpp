#include "devices/virtio/scsi.hpp"

#include "devices/virtio/test_scsi_adapter.hpp"

namespace touka::devices::virtio::test {
namespace {

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
} // namespace touka::devices::virtio::test
