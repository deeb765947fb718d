#include "devices/virtio/test_scsi_adapter.hpp"

namespace touka::devices::virtio::test {
namespace {

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

} // namespace
} // namespace touka::devices::virtio::test
