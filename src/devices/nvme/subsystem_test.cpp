#include "devices/nvme/subsystem.hpp"

#include "devices/nvme/test_fixture.hpp"
#include "spec/nvme/reservation.hpp"
#include "spec/nvme/virtualization.hpp"

namespace touka::devices::nvme {
namespace {

using namespace spec::nvme;
using test::admin_command;
using test::block_command;
using test::TestDriver;

/// Two controllers of one subsystem, each with a reactor of its own: a primary and its first virtual function.
class NvmeSubsystem : public test::NvmeFixture {
protected:
    void bring_up_two() {
        bring_up();
        NvmePciContext context{other_reactor_, machine_.dma, machine_.messages};
        NvmePciConfiguration second = configuration(1);
        second.controller.virtual_function = true;
        other_function_ = std::make_unique<NvmePciFunction>("nvme@00:04.0", subsystem_, second, context);
        other_ = std::make_unique<TestDriver>(machine_, *other_function_, platform::PciAddress{0, 4, 0});
    }
    void bring_up_both() {
        bring_up_two();
        ASSERT_TRUE(other_->bring_up());
    }
    void TearDown() override {
        other_.reset();
        other_function_.reset();
        NvmeFixture::TearDown();
    }
    Status reserve(TestDriver& driver, IoOpcode opcode, std::uint32_t cdw10, std::uint64_t current,
                   std::uint64_t other = 0) {
        driver.store(data_, ReservationKeys{current, other});
        SubmissionEntry command{};
        command.opcode = std::to_underlying(opcode);
        command.nsid = 1;
        command.prp1 = data_;
        command.cdw10 = cdw10;
        return driver.run(driver.io, command);
    }
    Status set_host(TestDriver& driver, std::uint8_t id) {
        driver.store(data_, std::array<std::uint8_t, 16>{id});
        return driver.run(admin_command(AdminOpcode::kSetFeatures, 0, data_,
                                        static_cast<std::uint32_t>(FeatureId::kHostIdentifier), kExtendedHostId));
    }
    static constexpr std::uint32_t type(ReservationType t) { return static_cast<std::uint32_t>(t) << 8; }
    Status attach(TestDriver& driver, std::uint32_t nsid, bool attaches, std::vector<std::uint16_t> ids) {
        driver.store(data_, static_cast<std::uint16_t>(ids.size()));
        std::ranges::copy(std::as_bytes(std::span(ids)), driver.at(data_ + 2));
        return driver.run(admin_command(AdminOpcode::kNamespaceAttachment, nsid, data_, attaches ? 0 : 1));
    }
    Status manage(std::uint8_t action, std::uint16_t id, std::uint8_t resource = 0, std::uint16_t count = 0) {
        return admin(admin_command(AdminOpcode::kVirtualizationManagement, 0, 0,
                                   action | std::uint32_t{resource} << 8 | std::uint32_t{id} << 16, count));
    }

    runtime::Reactor other_reactor_{"other"};
    std::unique_ptr<NvmePciFunction> other_function_;
    std::unique_ptr<TestDriver> other_;
};

TEST_F(NvmeSubsystem, AReservationKeepsTheOtherControllersHostOut) {
    bring_up_both();
    EXPECT_EQ(set_host(*driver_, 1), Status::kSuccess);
    EXPECT_EQ(set_host(*other_, 2), Status::kSuccess);
    EXPECT_EQ(reserve(*driver_, IoOpcode::kReservationRegister, kRegister, 0, 0xA), Status::kSuccess);
    EXPECT_EQ(reserve(*driver_, IoOpcode::kReservationAcquire, kAcquire | type(ReservationType::kWriteExclusive), 0xA),
              Status::kSuccess);
    EXPECT_EQ(other_->run(other_->io, block_command(IoOpcode::kRead, 0, 1, data_)), Status::kSuccess);
    EXPECT_EQ(other_->run(other_->io, block_command(IoOpcode::kWrite, 0, 1, data_)), Status::kReservationConflict);
    EXPECT_EQ(io(block_command(IoOpcode::kWrite, 0, 1, data_)), Status::kSuccess);

    EXPECT_EQ(reserve(*other_, IoOpcode::kReservationAcquire, kAcquire | type(ReservationType::kWriteExclusive), 0xB),
              Status::kReservationConflict);
    EXPECT_EQ(reserve(*other_, IoOpcode::kReservationRegister, kRegister, 0, 0xB), Status::kSuccess);
    SubmissionEntry report{};
    report.opcode = std::to_underlying(IoOpcode::kReservationReport);
    report.nsid = 1, report.prp1 = data_, report.cdw10 = 255;
    EXPECT_EQ(io(report), Status::kHostIdInconsistentFormat);
    report.cdw11 = kExtendedStatus;
    ASSERT_EQ(io(report), Status::kSuccess);
    EXPECT_EQ(driver_->load<ReservationStatus>(data_).registrants, 2);
    const auto first = driver_->load<ExtendedRegistrant>(data_ + kExtendedStatusHeader);
    EXPECT_EQ(first.cntlid, 0);
    EXPECT_EQ(first.holder, 1);
    EXPECT_EQ(first.key, 0xAu);
    EXPECT_EQ(driver_->load<ExtendedRegistrant>(data_ + kExtendedStatusHeader + 64).host_id[0], 2);
}

TEST_F(NvmeSubsystem, PreemptAndAbortWaitsForTheCommandsOfTheHostThatIsPreempted) {
    bring_up_both();
    EXPECT_EQ(set_host(*driver_, 1), Status::kSuccess);
    EXPECT_EQ(set_host(*other_, 2), Status::kSuccess);
    EXPECT_EQ(reserve(*driver_, IoOpcode::kReservationRegister, kRegister, 0, 0xA), Status::kSuccess);
    EXPECT_EQ(reserve(*other_, IoOpcode::kReservationRegister, kRegister, 0, 0xB), Status::kSuccess);
    EXPECT_EQ(reserve(*other_, IoOpcode::kReservationAcquire, kAcquire | type(ReservationType::kExclusiveAccess), 0xB),
              Status::kSuccess);
    (void)other_->submit(other_->admin, admin_command(AdminOpcode::kAsyncEventRequest));
    volume_.held = true;
    EXPECT_EQ(other_->run(other_->io, block_command(IoOpcode::kWrite, 0, 1, data_)), TestDriver::kPending);
    EXPECT_EQ(reserve(*driver_, IoOpcode::kReservationAcquire,
                      kPreemptAndAbort | type(ReservationType::kExclusiveAccess), 0xA, 0xB),
              TestDriver::kPending);
    EXPECT_EQ(other_->run(other_->io, block_command(IoOpcode::kWrite, 0, 1, data_)), Status::kReservationConflict);
    other_reactor_.run_and_wait([this] { volume_.complete_all(); });
    other_->settle();
    driver_->settle();
    EXPECT_TRUE(other_->take(other_->io));
    EXPECT_TRUE(driver_->take(driver_->io));
    volume_.held = false;

    other_->settle();
    const auto event = other_->take(other_->admin);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->dw0, 0x80'00'06u); // the reservation log has something
    EXPECT_EQ(other_->run(admin_command(AdminOpcode::kGetLogPage, 0, data_, 0x80 | 15u << 16)), Status::kSuccess);
    const auto notice = other_->load<ReservationLog>(data_);
    EXPECT_EQ(notice.type, kRegistrationPreempted);
    EXPECT_EQ(notice.nsid, 1u);
    EXPECT_EQ(notice.available_pages, 1);
}

TEST_F(NvmeSubsystem, AHostWithoutAnIdentifierLosesItsReservationWithAReset) {
    bring_up_both();
    EXPECT_EQ(reserve(*driver_, IoOpcode::kReservationRegister, kRegister, 0, 0xA), Status::kSuccess);
    EXPECT_EQ(reserve(*driver_, IoOpcode::kReservationAcquire, kAcquire | type(ReservationType::kExclusiveAccess), 0xA),
              Status::kSuccess);
    EXPECT_EQ(other_->run(other_->io, block_command(IoOpcode::kRead, 0, 1, data_)), Status::kReservationConflict);
    ASSERT_TRUE(driver_->enable_controller());
    EXPECT_EQ(other_->run(other_->io, block_command(IoOpcode::kRead, 0, 1, data_)), Status::kSuccess);
}

TEST_F(NvmeSubsystem, AHostIdentifierIsSetOnce) {
    bring_up_both();
    EXPECT_EQ(set_host(*driver_, 1), Status::kSuccess);
    EXPECT_EQ(set_host(*driver_, 1), Status::kSuccess);
    EXPECT_EQ(set_host(*driver_, 2), Status::kCommandSequenceError);
}

TEST_F(NvmeSubsystem, NamespacesComeAndGoByAttachmentAndTheOtherControllerHearsOfIt) {
    bring_up_both();
    const std::uint32_t all_events = kEventNamespaceAttributes;
    EXPECT_EQ(other_->run(admin_command(AdminOpcode::kSetFeatures, 0, 0, 0x0B, all_events)), Status::kSuccess);
    (void)other_->submit(other_->admin, admin_command(AdminOpcode::kAsyncEventRequest));
    EXPECT_EQ(attach(*driver_, 1, true, {1}), Status::kNamespaceAlreadyAttached);
    EXPECT_EQ(attach(*driver_, 1, false, {9}), Status::kControllerListInvalid);
    EXPECT_EQ(attach(*driver_, 1, false, {}), Status::kControllerListInvalid);
    EXPECT_EQ(attach(*driver_, 3, true, {1}), Status::kInvalidNamespaceOrFormat);
    EXPECT_EQ(attach(*driver_, 1, false, {1}), Status::kSuccess);
    EXPECT_EQ(attach(*driver_, 1, false, {1}), Status::kNamespaceNotAttached);
    other_->settle();
    EXPECT_EQ(other_->take(other_->admin)->dw0, 0x04'00'02u);
    EXPECT_EQ(other_->run(admin_command(AdminOpcode::kGetLogPage, 0, data_, 0x04 | 1023u << 16)), Status::kSuccess);
    EXPECT_EQ(other_->load<std::uint32_t>(data_), 1u);
    EXPECT_EQ(other_->run(other_->io, block_command(IoOpcode::kRead, 0, 1, data_)), Status::kInvalidField);
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 1, data_)), Status::kSuccess);
    EXPECT_EQ(attach(*driver_, 1, true, {1}), Status::kSuccess);
    EXPECT_EQ(other_->run(other_->io, block_command(IoOpcode::kRead, 0, 1, data_)), Status::kSuccess);
}

TEST_F(NvmeSubsystem, AStuckVolumeOrAResetOfOneControllerDoesNotDisturbTheOther) {
    storage::MemoryVolume second(1 << 20);
    (void)subsystem_.add_namespace(test::namespace_on(second));
    bring_up_both();
    volume_.held = true;
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 1, data_)), TestDriver::kPending);
    driver_->set_configuration(0); // does not end
    EXPECT_TRUE(driver_->ready());
    EXPECT_EQ(other_->run(other_->io, block_command(IoOpcode::kRead, 0, 1, data_, 0, 2)), Status::kSuccess);
    other_->write(kDoorbells + 8, 0x1234);
    EXPECT_EQ(other_->run(other_->io, block_command(IoOpcode::kRead, 0, 1, data_, 0, 2)), Status::kSuccess);
    complete_held();
    EXPECT_FALSE(driver_->ready());
    EXPECT_TRUE(other_->ready());
}

TEST_F(NvmeSubsystem, ASecondaryControllerWorksWhenItHasBeenGivenResourcesAndPutOnline) {
    subsystem_.add_primary(0, {.queues = 3, .vectors = 3}, {.queues = 4, .vectors = 2}, {.queues = 4, .vectors = 2});
    subsystem_.add_secondary(0, {.id = 1, .virtual_function = 1});
    bring_up_two();
    EXPECT_EQ(driver_->run(admin_command(AdminOpcode::kIdentify, 0, data_, 0x14)), Status::kSuccess);
    EXPECT_EQ(driver_->load<PrimaryCapabilities>(data_).vqfrt, 4u);
    other_->enable_function();
    EXPECT_TRUE(other_->fatal()); // offline: this is all that it says
    EXPECT_EQ(other_->read(offset::VS), 0u);
    EXPECT_FALSE(other_->enable_controller());

    EXPECT_EQ(manage(kSecondaryOnline, 1), Status::kInvalidSecondaryState);
    EXPECT_EQ(manage(kSecondaryAssign, 1, kQueueResources, 5), Status::kInvalidResourceCount);
    EXPECT_EQ(manage(kSecondaryAssign, 7, kQueueResources, 2), Status::kInvalidControllerId);
    EXPECT_EQ(manage(kSecondaryAssign, 1, 5, 2), Status::kInvalidResourceId);
    EXPECT_EQ(manage(kSecondaryAssign, 1, kQueueResources, 3), Status::kSuccess);
    EXPECT_EQ(driver_->last.dw0, 3u);
    EXPECT_EQ(manage(kSecondaryAssign, 1, kInterruptResources, 2), Status::kSuccess);
    EXPECT_EQ(manage(kSecondaryOnline, 1), Status::kSuccess);
    EXPECT_EQ(manage(kSecondaryAssign, 1, kQueueResources, 2), Status::kInvalidSecondaryState);
    EXPECT_EQ(manage(0xF, 1), Status::kInvalidField);

    ASSERT_TRUE(other_->bring_up());
    EXPECT_EQ(other_->run(admin_command(AdminOpcode::kGetFeatures, 0, 0, 0x07)), Status::kSuccess);
    EXPECT_EQ(other_->last.dw0, 0x0001'0001u); // two pairs of I/O queues
    EXPECT_EQ(other_->create(other_->make_queue(2, 8), 2), Status::kInvalidInterruptVector);
    EXPECT_EQ(other_->run(admin_command(AdminOpcode::kVirtualizationManagement, 0, 0, kSecondaryOnline)),
              Status::kInvalidOpcode); // it is no primary controller
    ASSERT_EQ(driver_->run(admin_command(AdminOpcode::kIdentify, 0, data_, 0x15)), Status::kSuccess);
    const auto entry = driver_->load<SecondaryController>(data_ + kSecondaryListHeader);
    EXPECT_EQ(entry.scs, 1);
    EXPECT_EQ(std::uint16_t{entry.nvq}, 3);

    EXPECT_EQ(manage(kSecondaryOffline, 1), Status::kSuccess);
    other_->settle();
    EXPECT_TRUE(other_->fatal());
    EXPECT_EQ(manage(kPrimaryFlexibleAllocation, 0, kQueueResources, 4), Status::kSuccess); // they came back
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 1, data_)), Status::kSuccess);
}

TEST_F(NvmeSubsystem, AVirtualFunctionsGuestReachesNothingThatIsNotItsOwn) {
    bring_up_both();
    EXPECT_EQ(attach(*other_, 1, false, {0}), Status::kInvalidOpcode);
    EXPECT_EQ(other_->run(admin_command(AdminOpcode::kFormatNvm, 1, 0, 1)), Status::kOperationDenied);
    for (const std::uint32_t cns : {0x10u, 0x11u, 0x12u, 0x13u, 0x1Au, 0x1Bu}) {
        EXPECT_EQ(other_->run(admin_command(AdminOpcode::kIdentify, 1, data_, cns)), Status::kInvalidField);
        EXPECT_EQ(driver_->run(admin_command(AdminOpcode::kIdentify, 1, data_, cns)), Status::kSuccess);
    }
    EXPECT_EQ(attach(*driver_, 1, false, {0}), Status::kSuccess);
    EXPECT_EQ(other_->run(admin_command(AdminOpcode::kFormatNvm, 1, 0, 1)), Status::kSuccess); // now it is alone
}

TEST_F(NvmeSubsystem, ItsStateGoesOnInAnotherOneOfTheSameShape) {
    bring_up_both();
    EXPECT_EQ(set_host(*driver_, 1), Status::kSuccess);
    EXPECT_EQ(reserve(*driver_, IoOpcode::kReservationRegister, kRegister, 0, 0xA), Status::kSuccess);
    EXPECT_EQ(attach(*driver_, 1, false, {1}), Status::kSuccess);
    const migration::Record record = subsystem_.save();
    Subsystem same({.nqn = "nqn.2014-08.org.example:test", .serial = "SN1", .namespace_limit = 4});
    EXPECT_EQ(same.restore(record).error(), migration::RestoreError::kMismatch);
    (void)same.add_namespace(test::namespace_on(volume_));
    ASSERT_TRUE(same.restore(record).has_value());
    EXPECT_EQ(same.save().bytes, record.bytes);
    EXPECT_EQ(same.reservations(1).registrants.size(), 1u);
    EXPECT_EQ(same.controllers_of(1), std::vector<std::uint16_t>{0});
}

} // namespace
} // namespace touka::devices::nvme
