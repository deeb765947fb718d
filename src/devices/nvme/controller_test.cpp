#include "devices/nvme/controller.hpp"

#include <thread>

#include "devices/nvme/test_fixture.hpp"
#include "spec/nvme/log_page.hpp"

namespace touka::devices::nvme {
namespace {

using namespace spec::nvme;
using test::admin_command;
using test::block_command;
using test::TestDriver;

class NvmeController : public test::NvmeFixture {};

TEST_F(NvmeController, ShowsItsClassAndCapabilities) {
    make_function();
    driver_->enable_function();
    EXPECT_EQ(driver_->config_read(0x08, 4) >> 8, 0x010802u);
    const Cap cap{driver_->read(offset::CAP, 8)};
    EXPECT_EQ(cap.get(cap::MQES), 1023);
    EXPECT_TRUE(cap.get(cap::CQR));
    EXPECT_EQ(cap.get(cap::CSS), 0x41);
    EXPECT_EQ(cap.get(cap::AMS), cap::kWeightedRoundRobin);
    EXPECT_EQ(driver_->read(offset::CAP + 4), cap.raw >> 32);
    EXPECT_EQ(driver_->read(offset::VS), kVersion20);
    EXPECT_EQ(driver_->read(offset::CRTO), 60u);
}

TEST_F(NvmeController, ComesUpAsLinuxDoesItAndIdentifiesItself) {
    bring_up();
    ASSERT_EQ(identify(Cns::kController), Status::kSuccess);
    const auto data = driver_->load<IdentifyController>(data_);
    EXPECT_EQ(std::string(data.sn.data(), 4), "SN1 ");
    EXPECT_STREQ(data.subnqn.data(), "nqn.2014-08.org.example:test");
    EXPECT_EQ(data.mdts, 7);
    EXPECT_EQ(data.nn, 4u);
    ASSERT_EQ(set_feature(FeatureId::kNumberOfQueues, 0x0003'0003), Status::kCommandSequenceError);
    EXPECT_EQ(machine_.messages.take().back().data, TestDriver::kFirstMessage);
}

TEST_F(NvmeController, BadConfigurationsEndInFatalStatusAndAResetMendsThem) {
    make_function();
    driver_->enable_function();
    EXPECT_FALSE(driver_->enable_controller(TestDriver::kEnable | 9u << 7)); // MPS above MPSMAX
    EXPECT_TRUE(driver_->fatal());
    EXPECT_FALSE(driver_->enable_controller(TestDriver::kEnable | 3u << 4)); // CSS reserved
    EXPECT_TRUE(driver_->fatal());
    EXPECT_TRUE(driver_->enable_controller());
    EXPECT_FALSE(driver_->fatal());
    driver_->set_configuration(0);
    EXPECT_FALSE(driver_->ready());
    driver_->write(offset::AQA, 0);
    driver_->set_configuration(TestDriver::kEnable);
    EXPECT_TRUE(driver_->fatal());
}

TEST_F(NvmeController, QueueRegistersHoldStillWhileEnabled) {
    bring_up();
    const std::uint64_t before = driver_->read(offset::ASQ, 8);
    driver_->write(offset::ASQ, 0x1234'5000, 8);
    driver_->write(offset::AQA, 0x0001'0001);
    EXPECT_EQ(driver_->read(offset::ASQ, 8), before);
    EXPECT_EQ(driver_->read(offset::AQA), 0x001F'001Fu);
    driver_->set_configuration(0);
    driver_->write(offset::ACQ, 0x9FFF);
    driver_->write(offset::ACQ + 4, 0x1);
    EXPECT_EQ(driver_->read(offset::ACQ, 8), 0x1'0000'9000u);
}

TEST_F(NvmeController, AnAdminQueueOutsideOfMemoryIsFatal) {
    make_function();
    driver_->enable_function();
    driver_->write(offset::AQA, 0x001F'001F);
    driver_->write(offset::ASQ, 0xFFFF'F000'0000, 8);
    driver_->write(offset::ACQ, 0xFFFF'F000'0000, 8);
    driver_->set_configuration(TestDriver::kEnable);
    EXPECT_TRUE(driver_->ready());
    driver_->write(kDoorbells, 1);
    driver_->settle();
    EXPECT_TRUE(driver_->fatal());
    EXPECT_TRUE(driver_->enable_controller());
}

TEST_F(NvmeController, ShutdownFlushesAndSaysWhenItIsComplete) {
    bring_up();
    EXPECT_EQ(io(block_command(IoOpcode::kWrite, 0, 1, data_)), Status::kSuccess);
    volume_.held = true;
    driver_->set_configuration(TestDriver::kEnable | 1u << 14);
    EXPECT_EQ(driver_->status().get(csts::SHST), csts::kShuttingDown);
    EXPECT_EQ(volume_.operations.back(), storage::BlockOperation::kFlush);
    complete_held();
    EXPECT_EQ(driver_->status().get(csts::SHST), csts::kShutDown);
    volume_.held = false;
    EXPECT_TRUE(driver_->enable_controller());
    EXPECT_EQ(driver_->status().get(csts::SHST), csts::kNoShutdown);
}

TEST_F(NvmeController, AResetInTheMiddleOfIoEndsWhenTheVolumeLetsGoOfTheBuffers) {
    bring_up();
    volume_.held = true;
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 8, data_)), TestDriver::kPending);
    driver_->set_configuration(0);
    EXPECT_TRUE(driver_->ready());
    complete_held();
    EXPECT_FALSE(driver_->ready());
    volume_.held = false;
    EXPECT_FALSE(driver_->take(driver_->io)); // nobody told the old queue
    EXPECT_TRUE(driver_->enable_controller());
}

TEST_F(NvmeController, AFunctionLevelResetForgetsAllRegisters) {
    bring_up();
    const std::uint32_t express = driver_->find_capability(spec::pci::CapabilityId::kPciExpress);
    driver_->config_write(express + spec::pci::kDeviceControlOffset, 2, spec::pci::kInitiateFunctionLevelReset);
    driver_->settle();
    EXPECT_EQ(driver_->config_read(spec::pci::offset::kCommand, 2), 0u);
    driver_->enable_function();
    EXPECT_FALSE(driver_->ready());
    EXPECT_EQ(driver_->read(offset::ASQ, 8), 0u);
    EXPECT_TRUE(driver_->bring_up());
}

TEST_F(NvmeController, DoorbellsBeyondTheQueueAreEventsAndChangeNothing) {
    bring_up();
    (void)driver_->submit(driver_->admin, admin_command(AdminOpcode::kAsyncEventRequest));
    EXPECT_FALSE(driver_->take(driver_->admin));
    driver_->write(kDoorbells + 8, 16); // queue 1 has 16 entries
    driver_->settle();
    const auto event = driver_->take(driver_->admin);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->dw0, 0x01'01'00u);
    driver_->write(kDoorbells + 8 * 3, 1); // there is no queue 3
    driver_->settle();
    (void)driver_->submit(driver_->admin, admin_command(AdminOpcode::kAsyncEventRequest));
    EXPECT_FALSE(driver_->take(driver_->admin)); // masked until the log page is read
    EXPECT_EQ(get_log(LogId::kErrors, 64), Status::kSuccess);
    const auto second = driver_->take(driver_->admin);
    ASSERT_TRUE(second);
    EXPECT_EQ(second->dw0, 0x01'00'00u);
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 1, data_)), Status::kSuccess);
}

TEST_F(NvmeController, ACompletionQueuesHeadBeyondItsTailIsAnEvent) {
    bring_up();
    (void)driver_->submit(driver_->admin, admin_command(AdminOpcode::kAsyncEventRequest));
    driver_->write(kDoorbells + 8 + 4, 5); // nothing has been completed there
    driver_->settle();
    const auto event = driver_->take(driver_->admin);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->dw0, 0x01'01'00u);
    for (int i = 0; i < 40; ++i) EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 1, data_)), Status::kSuccess);
}

TEST_F(NvmeController, FiveEventRequestsAreOneTooMany) {
    bring_up();
    for (unsigned i = 0; i < AsyncEvents::kRequestLimit; ++i) {
        (void)driver_->submit(driver_->admin, admin_command(AdminOpcode::kAsyncEventRequest));
    }
    EXPECT_EQ(admin(admin_command(AdminOpcode::kAsyncEventRequest)), Status::kAsyncEventLimitExceeded);
}

TEST_F(NvmeController, AbortEndsAnEventRequestAndSaysWhenItCouldNot) {
    bring_up();
    const std::uint16_t cid = driver_->submit(driver_->admin, admin_command(AdminOpcode::kAsyncEventRequest));
    (void)driver_->submit(driver_->admin, admin_command(AdminOpcode::kAbort, 0, 0, std::uint32_t{cid} << 16));
    const auto aborted = driver_->take(driver_->admin);
    ASSERT_TRUE(aborted);
    EXPECT_EQ(aborted->cid, cid);
    EXPECT_EQ(static_cast<Status>(aborted->status_phase >> 1 & 0x7FF), Status::kAbortRequested);
    EXPECT_EQ(driver_->take(driver_->admin)->dw0, 0u);
    EXPECT_EQ(admin(admin_command(AdminOpcode::kAbort, 0, 0, 0x1234'0001)), Status::kSuccess);
    EXPECT_EQ(driver_->last.dw0, 1u);
}

TEST_F(NvmeController, WithoutMessagesThePinSaysThatCompletionsWait) {
    make_function();
    driver_->enable_function(false);
    ASSERT_TRUE(driver_->enable_controller());
    EXPECT_FALSE(machine_.line.asserted());
    (void)driver_->submit(driver_->admin, admin_command(AdminOpcode::kIdentify, 0, data_, 1));
    EXPECT_TRUE(machine_.line.asserted());
    driver_->write(offset::INTMS, 1);
    driver_->settle();
    EXPECT_FALSE(machine_.line.asserted());
    driver_->write(offset::INTMC, 1);
    driver_->settle();
    EXPECT_TRUE(machine_.line.asserted());
    EXPECT_TRUE(driver_->take(driver_->admin));
    EXPECT_FALSE(machine_.line.asserted());
}

TEST_F(NvmeController, PauseWaitsForWhatIsInFlightAndTheStateGoesOnElsewhere) {
    bring_up();
    (void)driver_->submit(driver_->admin, admin_command(AdminOpcode::kAsyncEventRequest));
    volume_.held = true;
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 1, data_)), TestDriver::kPending);
    std::thread control([this] { function_->pause(); });
    complete_held();
    control.join();
    volume_.held = false;
    EXPECT_TRUE(driver_->take(driver_->io, false)); // its doorbell is rung below
    const migration::Record record = function_->save();

    Subsystem other_subsystem({.nqn = "nqn.2014-08.org.example:test", .serial = "SN1", .namespace_limit = 4});
    (void)other_subsystem.add_namespace(test::namespace_on(volume_));
    NvmePciFunction other("nvme@00:03.0", other_subsystem, configuration(), machine_.context());
    driver_->move_to(other);
    ASSERT_TRUE(other.restore(record).has_value());
    EXPECT_EQ(other.save().bytes.size(), record.bytes.size());
    other.resume();
    driver_->ring_head(driver_->io);
    EXPECT_EQ(io(block_command(IoOpcode::kWrite, 1, 1, data_)), Status::kSuccess);
    EXPECT_EQ(identify(Cns::kController), Status::kSuccess);
    driver_->write(kDoorbells + 8, 16);
    driver_->settle();
    EXPECT_TRUE(driver_->take(driver_->admin)); // the event request came along
    driver_.reset();
}

TEST_F(NvmeController, RefusesStatesThatCannotBe) {
    bring_up();
    function_->pause();
    migration::Record record = function_->save();
    record.bytes.pop_back();
    EXPECT_EQ(function_->restore(record).error(), migration::RestoreError::kDamaged);
    NvmePciConfiguration small = configuration(7);
    small.controller.queue_pairs = 1;
    NvmePciFunction other("nvme@00:04.0", subsystem_, small, machine_.context());
    EXPECT_EQ(other.restore(function_->save()).error(), migration::RestoreError::kMismatch);
}

} // namespace
} // namespace touka::devices::nvme
