#include "devices/nvme/test_fixture.hpp"

namespace touka::devices::nvme {
namespace {

using namespace spec::nvme;
using test::admin_command;
using test::block_command;
using test::TestDriver;

class NvmeAdmin : public test::NvmeFixture {};

TEST_F(NvmeAdmin, ANamespaceIsDescribedInItsBlocks) {
    bring_up();
    ASSERT_EQ(identify(Cns::kNamespace, 1), Status::kSuccess);
    auto data = driver_->load<IdentifyNamespace>(data_);
    EXPECT_EQ(data.nsze, kVolumeBytes / 512);
    EXPECT_EQ(data.nlbaf, 1);
    EXPECT_EQ(data.flbas, 0);
    EXPECT_EQ(data.lbaf[0].data_shift, 9);
    EXPECT_EQ(data.lbaf[1].data_shift, 12);
    EXPECT_EQ(data.npdg, 7);
    ASSERT_EQ(identify(Cns::kNamespace, 2), Status::kSuccess); // not there: zeros
    EXPECT_EQ(driver_->load<std::uint64_t>(data_), 0u);
    EXPECT_EQ(identify(Cns::kNamespace, 5), Status::kInvalidNamespaceOrFormat);
    ASSERT_EQ(identify(Cns::kNamespace, kAllNamespaces), Status::kSuccess);
    data = driver_->load<IdentifyNamespace>(data_);
    EXPECT_EQ(data.nsze, 0u);
    EXPECT_EQ(data.nlbaf, 1);
}

TEST_F(NvmeAdmin, ListsNameWhatThereIs) {
    (void)subsystem_.add_namespace(test::namespace_on(volume_));
    bring_up();
    ASSERT_EQ(identify(Cns::kActiveNamespaces, 0), Status::kSuccess);
    EXPECT_EQ(driver_->load<std::uint32_t>(data_), 1u);
    EXPECT_EQ(driver_->load<std::uint32_t>(data_ + 4), 2u);
    EXPECT_EQ(driver_->load<std::uint32_t>(data_ + 8), 0u);
    ASSERT_EQ(identify(Cns::kAllocatedNamespaces, 1), Status::kSuccess);
    EXPECT_EQ(driver_->load<std::uint32_t>(data_), 2u);
    EXPECT_EQ(identify(Cns::kActiveNamespaces, 0xFFFF'FFFE), Status::kInvalidNamespaceOrFormat);
    ASSERT_EQ(identify(Cns::kControllers), Status::kSuccess);
    EXPECT_EQ(driver_->load<std::uint32_t>(data_), 0x0000'0001u); // one: controller 0
    ASSERT_EQ(identify(Cns::kNamespaceDescriptors, 1), Status::kSuccess);
    EXPECT_EQ(driver_->load<std::uint16_t>(data_), 0x1003);         // a UUID of 16 bytes
    EXPECT_EQ(driver_->load<std::uint16_t>(data_ + 20), 0x0104);    // a command set of one byte
    EXPECT_EQ(driver_->load<std::uint64_t>(data_ + 24) & 0xFF, 0u); // NVM
    EXPECT_EQ(identify(Cns::kNamespaceDescriptors, 3), Status::kInvalidNamespaceOrFormat);
    ASSERT_EQ(identify(Cns::kCommandSets), Status::kSuccess);
    EXPECT_EQ(driver_->load<std::uint64_t>(data_), 1u);
    EXPECT_EQ(identify(Cns::kCommandSetNamespace, 1), Status::kSuccess);
    EXPECT_EQ(identify(Cns::kCommandSetNamespace, 1, 2u << 24), Status::kInvalidField); // zoned
    EXPECT_EQ(identify(Cns::kCommandSetController, 0), Status::kSuccess);
    ASSERT_EQ(identify(Cns::kIndependentNamespace, 1), Status::kSuccess);
    EXPECT_EQ(driver_->load<IndependentNamespace>(data_).nstat, kNstatReady);
    EXPECT_EQ(identify(static_cast<Cns>(0x77)), Status::kInvalidField);
    EXPECT_EQ(identify(Cns::kPrimaryCapabilities), Status::kInvalidField); // it has no secondary controllers
}

TEST_F(NvmeAdmin, FeaturesKeepWhatTheyAreGivenUntilAReset) {
    bring_up();
    EXPECT_EQ(get_feature(FeatureId::kNumberOfQueues), Status::kSuccess);
    EXPECT_EQ(driver_->last.dw0, 0x0003'0003u);
    EXPECT_EQ(set_feature(FeatureId::kArbitration, 0x0102'0305), Status::kSuccess);
    EXPECT_EQ(get_feature(FeatureId::kArbitration), Status::kSuccess);
    EXPECT_EQ(driver_->last.dw0, 0x0102'0305u);
    EXPECT_EQ(set_feature(FeatureId::kVolatileWriteCache, 0), Status::kSuccess);
    EXPECT_EQ(set_feature(FeatureId::kTemperatureThreshold, 350), Status::kSuccess);
    EXPECT_EQ(set_feature(FeatureId::kTemperatureThreshold, 270 | 1u << 20), Status::kSuccess);
    EXPECT_EQ(get_feature(FeatureId::kTemperatureThreshold, 1u << 20), Status::kSuccess);
    EXPECT_EQ(driver_->last.dw0, 270u);
    EXPECT_EQ(set_feature(FeatureId::kPowerManagement, 1), Status::kInvalidField);
    EXPECT_EQ(set_feature(FeatureId::kErrorRecovery, 10, 1), Status::kSuccess);
    EXPECT_EQ(set_feature(FeatureId::kErrorRecovery, 10, 3), Status::kInvalidNamespaceOrFormat);
    EXPECT_EQ(set_feature(FeatureId::kArbitration, 0, 1), Status::kFeatureNotNamespaceSpecific);
    EXPECT_EQ(set_feature(static_cast<FeatureId>(0x70), 0), Status::kInvalidField);
    EXPECT_EQ(get_feature(FeatureId::kInterruptVector, 9), Status::kInvalidField);
    EXPECT_EQ(admin(admin_command(AdminOpcode::kSetFeatures, 0, 0, 0x8000'0001, 0)), Status::kFeatureNotSaveable);
    EXPECT_EQ(admin(admin_command(AdminOpcode::kGetFeatures, 0, 0, 0x0000'0306)), Status::kSuccess);
    EXPECT_EQ(driver_->last.dw0, kFeatureChangeable);
    ASSERT_TRUE(driver_->enable_controller());
    EXPECT_EQ(get_feature(FeatureId::kVolatileWriteCache), Status::kSuccess);
    EXPECT_EQ(driver_->last.dw0, 1u);
}

TEST_F(NvmeAdmin, TheTimestampGoesOnFromWhereItWasSet) {
    bring_up();
    driver_->store(data_, std::uint64_t{1'700'000'000'000});
    EXPECT_EQ(set_feature(FeatureId::kTimestamp, 0), Status::kSuccess);
    EXPECT_EQ(get_feature(FeatureId::kTimestamp), Status::kSuccess);
    const auto value = driver_->load<std::uint64_t>(data_);
    EXPECT_LT((value & 0xFFFF'FFFF'FFFF) - 1'700'000'000'000, 60'000u);
    EXPECT_EQ(value >> 48, 2u);
}

TEST_F(NvmeAdmin, LogPagesAreReadWholeAndInParts) {
    bring_up();
    ASSERT_EQ(get_log(LogId::kCommandEffects, 4096), Status::kSuccess);
    const auto effects = driver_->load<EffectsLog>(data_);
    EXPECT_EQ(effects.admin[0x06], kEffectSupported);
    EXPECT_EQ(effects.io[0x01], kEffectSupported | kEffectContentChange);
    EXPECT_EQ(effects.io[0x7F], 0u);
    SubmissionEntry part = admin_command(AdminOpcode::kGetLogPage, 0, data_, 0x05);
    part.cdw12 = 1024 + 4; // the I/O command 1
    EXPECT_EQ(admin(part), Status::kSuccess);
    EXPECT_EQ(driver_->load<std::uint32_t>(data_), kEffectSupported | kEffectContentChange);
    part.cdw12 = 4100;
    EXPECT_EQ(admin(part), Status::kInvalidField);
    part.cdw12 = 2;
    EXPECT_EQ(admin(part), Status::kInvalidField);
    ASSERT_EQ(get_log(LogId::kFirmwareSlots, 512), Status::kSuccess);
    EXPECT_EQ(driver_->load<FirmwareLog>(data_).active_slot, 1);
    EXPECT_EQ(get_log(static_cast<LogId>(0x33), 512), Status::kInvalidLogPage);
    EXPECT_EQ(get_log(LogId::kHealth, 512, 1), Status::kInvalidField);
    ASSERT_EQ(get_log(LogId::kSupportedPages, 1024), Status::kSuccess);
    EXPECT_EQ(driver_->load<std::uint32_t>(data_ + 4 * 0x80), 1u);
    EXPECT_EQ(admin(admin_command(AdminOpcode::kGetLogPage, 0, data_, 0x01 | 0xFFFFu << 16, 3)), Status::kInvalidField);
}

TEST_F(NvmeAdmin, AFormattedNamespaceHasOtherBlocksAndReadsAsZeros) {
    bring_up();
    volume_.bytes[4096] = std::byte{7};
    EXPECT_EQ(admin(admin_command(AdminOpcode::kFormatNvm, 1, 0, 0x02)), Status::kInvalidFormat);
    EXPECT_EQ(admin(admin_command(AdminOpcode::kFormatNvm, 1, 0, 0x21)), Status::kInvalidFormat); // protection
    EXPECT_EQ(admin(admin_command(AdminOpcode::kFormatNvm, 2, 0, 0x01)), Status::kInvalidNamespaceOrFormat);
    EXPECT_EQ(admin(admin_command(AdminOpcode::kFormatNvm, 1, 0, 0x01)), Status::kSuccess);
    EXPECT_EQ(volume_.bytes[4096], std::byte{0});
    ASSERT_EQ(identify(Cns::kNamespace, 1), Status::kSuccess);
    const auto data = driver_->load<IdentifyNamespace>(data_);
    EXPECT_EQ(data.nsze, kVolumeBytes / 4096);
    EXPECT_EQ(data.flbas, 1);
    EXPECT_EQ(io(block_command(IoOpcode::kRead, kVolumeBytes / 4096 - 1, 1, data_)), Status::kSuccess);
    EXPECT_EQ(io(block_command(IoOpcode::kRead, kVolumeBytes / 4096, 1, data_)), Status::kLbaOutOfRange);
}

TEST_F(NvmeAdmin, AFormatWaitsForWhatHadBegunAndKeepsTheRestAway) {
    bring_up();
    volume_.held = true;
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 1, data_)), TestDriver::kPending);
    EXPECT_EQ(admin(admin_command(AdminOpcode::kFormatNvm, 1, 0, 0x01)), TestDriver::kPending);
    EXPECT_EQ(volume_.operations.size(), 1u);
    EXPECT_EQ(admin(admin_command(AdminOpcode::kFormatNvm, 1, 0, 0x01)), Status::kFormatInProgress);
    EXPECT_EQ(io(block_command(IoOpcode::kWrite, 0, 1, data_)), Status::kFormatInProgress);
    complete_held();
    EXPECT_EQ(volume_.operations.back(), storage::BlockOperation::kWriteZeroes);
    volume_.held = false;
    complete_held();
    EXPECT_TRUE(driver_->take(driver_->admin));
    EXPECT_EQ(io(block_command(IoOpcode::kWrite, 0, 1, data_)), Status::kSuccess);
}

TEST_F(NvmeAdmin, TheSubsystemHasNoCapacityToGiveAway) {
    bring_up();
    EXPECT_EQ(admin(admin_command(AdminOpcode::kNamespaceManagement, 0, data_, 0)),
              Status::kNamespaceInsufficientCapacity);
    EXPECT_EQ(admin(admin_command(AdminOpcode::kNamespaceManagement, 1, 0, 1)), Status::kOperationDenied);
}

TEST_F(NvmeAdmin, AFunctionWithALimitDoesItsCommandsLater) {
    constexpr int kCommands = 30; // 10 at once, the rest in 100 ms
    bring_up(64);
    on_reactor([this] { function_->controller().pacer().set_limits({.commands_per_second = 200}); });
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kCommands; ++i) (void)driver_->put(driver_->io, block_command(IoOpcode::kRead, 0, 1, data_));
    driver_->ring_tail(driver_->io);
    int done = 0;
    while (driver_->take(driver_->io)) ++done;
    EXPECT_LT(done, kCommands);                              // a burst of 50 ms at once
    EXPECT_EQ(identify(Cns::kController), Status::kSuccess); // admin commands are free
    while (done < kCommands && std::chrono::steady_clock::now() - begin < std::chrono::seconds(10)) {
        if (driver_->take(driver_->io)) ++done;
    }
    EXPECT_EQ(done, kCommands);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(80));
}

} // namespace
} // namespace touka::devices::nvme
