#include "devices/passthrough/passthrough_fixture.hpp"

namespace touka::devices::passthrough {
namespace {

using namespace spec::vfio;
using test::PassthroughTest;
using test::TestTransport;

TEST_F(PassthroughTest, ShowsTheDevicesConfigurationSpaceAsItIs) {
    transport_.put(0xF0, 4, 0xCAFE'F00D);
    for (const std::uint32_t offset : {0x00u, 0x08u, 0x2Cu, 0x34u, 0xF0u, 0x50u, 0x84u, 0x140u}) {
        std::uint32_t device = 0;
        std::memcpy(&device, transport_.config.data() + offset, 4);
        EXPECT_EQ(read(offset, 4), device) << std::hex << offset;
    }
    EXPECT_EQ(read(0x3D, 1), 1u);
}

TEST_F(PassthroughTest, KeepsAddressesAndRoutingToTheMachine) {
    EXPECT_NE(bar_, 0u);
    EXPECT_EQ(read(0x10, 4) & 0xF, 0x8u); // what kind it is, the device says
    EXPECT_NE(read(0x3C, 1), 0x55u);
    transport_.written_config.clear();
    write(0x10, 4, 0xFFFF'FFFF);
    EXPECT_EQ(read(0x10, 4), 0xFFFF'C008u);
    write(0x3C, 1, 11);
    EXPECT_TRUE(transport_.written_config.empty());
    write(0x3C, 4, 0x0B0A'0102);
    EXPECT_EQ(transport_.written_config, (std::vector<std::uint32_t>{0x3D, 0x3E, 0x3F}));
}

TEST_F(PassthroughTest, HidesWhatAGuestCannotDoToALentFunction) {
    EXPECT_EQ(read(TestTransport::kSriov, 4), 0x1400'0000u); // the list goes on
    transport_.has_intx = false;
    start();
    EXPECT_EQ(read(0x3D, 1), 0u);
}

TEST_F(PassthroughTest, ForwardsAccessesToBars) {
    memory_.write(bar_ + 8, 4, 0x1234'5678);
    EXPECT_EQ(transport_.bar[8], 0x78);
    EXPECT_EQ(memory_.read(bar_ + 8, 2), 0x5678u);
    write(4, 2, 0);
    EXPECT_EQ(memory_.read(bar_ + 8, 2), 0xFFFFu);
}

TEST_F(PassthroughTest, ARegionThatIsNoPowerOfTwoHasNothingBehindItsEnd) {
    transport_.bar_bytes = 0x3020;
    start();
    write(0x10, 4, ~0u);
    EXPECT_EQ(read(0x10, 4) & ~0xFu, 0xFFFF'C000u) << "16 KiB";
    write(0x10, 4, static_cast<std::uint32_t>(bar_));
    memory_.write(bar_ + 0x3018, 8, 0x1122'3344'5566'7788);
    EXPECT_EQ(memory_.read(bar_ + 0x3018, 8), 0x1122'3344'5566'7788u);
    memory_.write(bar_ + 0x3020, 4, 1);
    EXPECT_EQ(transport_.bar[0x3020], 0);
    EXPECT_EQ(memory_.read(bar_ + 0x3020, 4), 0xFFFF'FFFFu);
    EXPECT_EQ(memory_.read(bar_ + 0x301C, 8), ~std::uint64_t{0}) << "over the end";
}

TEST_F(PassthroughTest, ARegionOfAFewBytesIsTheSmallestBar) {
    transport_.put(TestTransport::kMsix, 1, 0); // its table would be behind the end
    transport_.bar_bytes = 8;
    start();
    write(0x10, 4, ~0u);
    EXPECT_EQ(read(0x10, 4), 0xFFFF'FFF8u) << "16 bytes";
}

TEST_F(PassthroughTest, EmulatesTheMsixTableAndItsPendingBits) {
    set_up_vector(3);
    EXPECT_EQ(transport_.bar[TestTransport::kTable + 16 * 3 + 8], 0); // the device does not see it
    EXPECT_EQ(memory_.read(bar_ + TestTransport::kTable + 16 * 3 + 8, 4), 3u);
    write(TestTransport::kMsix + 2, 2, 0x8000);
    EXPECT_EQ(read(TestTransport::kMsix + 2, 2), 0x8000u | (TestTransport::kVectors - 1));
    EXPECT_EQ(transport_.config[TestTransport::kMsix + 3], 0x80); // it does hear that it is on
    fire(VFIO_PCI_MSIX_IRQ_INDEX, 3);
    EXPECT_EQ(sink_.all(), (std::vector<platform::MsiMessage>{{0xFEE0'1000, 3}}));
    fire(VFIO_PCI_MSIX_IRQ_INDEX, 4); // masked
    EXPECT_EQ(memory_.read(bar_ + TestTransport::kPending, 4), 0x10u);
    EXPECT_EQ(transport_.connected(VFIO_PCI_INTX_IRQ_INDEX), 0u);
    write(TestTransport::kMsix + 2, 2, 0);
    EXPECT_EQ(transport_.connected(VFIO_PCI_MSIX_IRQ_INDEX), 0u);
    EXPECT_EQ(transport_.connected(VFIO_PCI_INTX_IRQ_INDEX), 1u);
}

TEST_F(PassthroughTest, ConnectsManyVectorsWhenTheyAreUsed) {
    write(TestTransport::kMsix + 2, 2, 0x8000);
    EXPECT_EQ(transport_.connected(VFIO_PCI_MSIX_IRQ_INDEX), 64u);
    set_up_vector(99);
    EXPECT_EQ(transport_.connected(VFIO_PCI_MSIX_IRQ_INDEX), 65u);
    fire(VFIO_PCI_MSIX_IRQ_INDEX, 99);
    EXPECT_EQ(sink_.all().size(), 1u);
}

TEST_F(PassthroughTest, EmulatesMsiWithItsMasks) {
    write(TestTransport::kMsi + 4, 4, 0xFEE0'2000);
    write(TestTransport::kMsi + 12, 2, 0x41);
    write(TestTransport::kMsi + 16, 4, 0x2);   // mask the second
    write(TestTransport::kMsi + 2, 2, 0x0021); // enable, four messages
    fire(VFIO_PCI_MSI_IRQ_INDEX, 3);
    fire(VFIO_PCI_MSI_IRQ_INDEX, 1);
    EXPECT_EQ(sink_.all(), (std::vector<platform::MsiMessage>{{0xFEE0'2000, 0x43}}));
    write(TestTransport::kMsi + 16, 4, 0);
    EXPECT_EQ(sink_.all().size(), 2u);
    EXPECT_EQ(sink_.all().back().data, 0x41u);
}

TEST_F(PassthroughTest, TakesIntxDownAtAnAccessAndUnmasksIt) {
    fire(VFIO_PCI_INTX_IRQ_INDEX, 0);
    EXPECT_TRUE(intx());
    EXPECT_EQ(transport_.unmasks, 0);
    (void)memory_.read(bar_, 4);
    EXPECT_FALSE(intx());
    EXPECT_EQ(transport_.unmasks, 1);
    (void)memory_.read(bar_, 4);
    EXPECT_EQ(transport_.unmasks, 1);
    fire(VFIO_PCI_INTX_IRQ_INDEX, 0); // it still stands
    EXPECT_TRUE(intx());
}

TEST_F(PassthroughTest, TakesIntxDownAfterATimeAndUnmasksIt) {
    function_->set_intx_wait(1'000'000);
    fire(VFIO_PCI_INTX_IRQ_INDEX, 0); // while the guest had seen to its cause already: no access follows
    for (int i = 0; i < 3000 && transport_.unmasks == 0; ++i) ::usleep(1000);
    EXPECT_EQ(transport_.unmasks, 1);
    EXPECT_FALSE(intx());
    (void)memory_.read(bar_, 4);
    EXPECT_EQ(transport_.unmasks, 1);
}

TEST_F(PassthroughTest, ResetsTheDeviceForAFunctionLevelReset) {
    set_up_vector(1);
    write(TestTransport::kExpress + 8, 2, 0x8000);
    EXPECT_EQ(transport_.resets, 1);
    EXPECT_EQ(memory_.read(bar_, 4), 0xFFFF'FFFFu); // COMMAND is 0 again
    write(4, 2, 6);
    EXPECT_EQ(memory_.read(bar_ + TestTransport::kTable + 16 + 8, 4), 0u);
}

TEST_F(PassthroughTest, ADeviceThatIsGoneReadsAllOnesAndComesBackReset) {
    std::vector<bool> told;
    function_->set_presence_handler([&](bool there) { told.push_back(there); });
    write(TestTransport::kMsix + 2, 2, 0x8000);
    transport_.gone = true;
    transport_.listener->device_lost();
    EXPECT_EQ(read(0, 4), 0xFFFF'FFFFu);
    EXPECT_EQ(memory_.read(bar_, 4), 0xFFFF'FFFFu);
    write(4, 2, 0); // vanishes
    transport_.gone = false;
    transport_.events.clear();
    transport_.listener->device_returned();
    EXPECT_EQ(memory_.read(bar_, 4), 0xFFFF'FFFFu); // nobody has looked yet
    EXPECT_EQ(read(0, 4), 0x5678'1234u);
    EXPECT_EQ(read(TestTransport::kMsix + 2, 2), TestTransport::kVectors - 1); // off again
    EXPECT_EQ(transport_.connected(VFIO_PCI_INTX_IRQ_INDEX), 1u);
    EXPECT_EQ(told, (std::vector<bool>{false, true}));
    write(4, 2, 6);
    transport_.bar[0] = 0x42;
    EXPECT_EQ(memory_.read(bar_, 1), 0x42u);
}

TEST_F(PassthroughTest, TheFirstRegisterReadInVainTellsThatTheGuestKnows) {
    int noticed = 0;
    function_->set_notice_handler([&] { ++noticed; });
    transport_.gone = true;
    transport_.listener->device_lost();
    EXPECT_EQ(read(0, 4), 0xFFFF'FFFFu); // anybody may look at the configuration space
    memory_.write(bar_, 4, 0);
    EXPECT_EQ(noticed, 0);
    (void)memory_.read(bar_, 4);
    (void)memory_.read(bar_, 4);
    EXPECT_EQ(noticed, 1);
    EXPECT_TRUE(function_->gone());
    transport_.gone = false;
    transport_.listener->device_returned();
    (void)memory_.read(bar_, 4);
    EXPECT_EQ(noticed, 1);
    transport_.listener->device_lost();
    (void)memory_.read(bar_, 4);
    EXPECT_EQ(noticed, 2);
}

TEST_F(PassthroughTest, AResetOfItsBusResetsTheDevice) {
    const int before = transport_.resets;
    function_->bus_reset();
    EXPECT_EQ(transport_.resets, before + 1);
}

TEST_F(PassthroughTest, SavesAndRestoresTheMachinesPartAndTheDevices) {
    set_up_vector(2);
    write(TestTransport::kMsix + 2, 2, 0x8000);
    function_->pause();
    const auto record = function_->save();
    using enum MigrationState;
    EXPECT_EQ(transport_.states, (std::vector{kStop, kStopCopy, kStop}));
    transport_.device_state.clear();
    start();
    transport_.events.clear();
    ASSERT_TRUE(function_->restore(record));
    EXPECT_EQ(transport_.device_state, std::vector<std::byte>{std::byte{7}});
    EXPECT_EQ(memory_.read(bar_ + TestTransport::kTable + 16 * 2 + 8, 4), 2u);
    fire(VFIO_PCI_MSIX_IRQ_INDEX, 2);
    EXPECT_EQ(sink_.all().size(), 1u);
}

TEST_F(PassthroughTest, RefusesDevicesThatCannotBe) {
    std::uint64_t bar_bytes = TestTransport().bar_bytes;
    const auto refuses = [&](std::uint32_t offset, unsigned width, std::uint32_t value) {
        TestTransport odd;
        odd.bar_bytes = bar_bytes;
        odd.put(offset, width, value);
        return !PassthroughFunction::create("odd", odd, sink_, reactor_);
    };
    EXPECT_TRUE(refuses(0x0E, 1, 1));                          // a bridge
    EXPECT_FALSE(refuses(0x10, 1, 1));                         // 16 KiB of ports: more than a wire has
    EXPECT_TRUE(refuses(TestTransport::kMsix + 2, 2, 2047));   // more vectors than there are
    EXPECT_TRUE(refuses(TestTransport::kMsix + 4, 4, 0x3FF8)); // a table over the end
    EXPECT_TRUE(refuses(TestTransport::kMsix + 4, 4, 0x0001)); // in a BAR that is not there
    EXPECT_TRUE(refuses(TestTransport::kMsix + 8, 4, 0x0007));
    EXPECT_FALSE(refuses(TestTransport::kExpress + 1, 1, TestTransport::kMsi)); // a list in a circle
    bar_bytes = 0x8001;
    EXPECT_TRUE(refuses(0x10, 1, 1)); // all ports that there are
}

TEST(PassthroughMemory, AllRamIsGrantedWhereTheGuestHasIt) {
    TestTransport transport;
    const auto ram = memory::GuestMemory::create(1 << 20);
    ASSERT_TRUE(ram);
    ASSERT_TRUE(grant_all_memory(transport, **ram));
    ASSERT_EQ(transport.grants.size(), 1u);
    EXPECT_EQ(transport.grants[0].length_bytes, std::uint64_t{1} << 20);
    EXPECT_EQ(transport.grants[0].file, (*ram)->fd());
}

} // namespace
} // namespace touka::devices::passthrough
