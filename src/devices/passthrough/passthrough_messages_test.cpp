// When the messages of a passed-through function go past this process, and when they must not.
#include "devices/passthrough/passthrough_fixture.hpp"

namespace touka::devices::passthrough {
namespace {

using namespace spec::vfio;
using platform::MsiMessage;
using test::TestTransport;

class PassthroughMessages : public test::PassthroughTest {
protected:
    static constexpr std::uint32_t kControl = TestTransport::kMsix + 2;
    void SetUp() override {
        sink_.kernel = &kernel_;
        PassthroughTest::SetUp();
    }
    void signal(std::uint32_t index, std::uint32_t number) {
        kernel_.signal(transport_.events.at({index, number}));
        for (int i = 0; i < 3; ++i) settle();
    }
    void write_table(std::uint32_t vector, std::uint32_t offset, std::uint32_t value) {
        memory_.write(bar_ + TestTransport::kTable + 16 * vector + offset, 4, value);
    }
    /// How often the vector was delivered by the kernel, and through this process.
    [[nodiscard]] std::pair<std::size_t, std::size_t> delivered() {
        return {kernel_.delivered.size(), sink_.all().size()};
    }
    using Counts = std::pair<std::size_t, std::size_t>;
    platform::RecordingWires kernel_;
};

TEST_F(PassthroughMessages, OfMsixFollowTheTable) {
    set_up_vector(3);
    write(kControl, 2, 0x8000);
    signal(VFIO_PCI_MSIX_IRQ_INDEX, 3);
    EXPECT_EQ(kernel_.delivered, (std::vector<MsiMessage>{{0xFEE0'1000, 3}}));
    write_table(3, 12, 1); // masked, rewritten, unmasked: as Linux moves an interrupt
    write_table(3, 0, 0xFEE0'2000);
    write_table(3, 8, 0x77);
    write_table(3, 12, 0);
    signal(VFIO_PCI_MSIX_IRQ_INDEX, 3);
    EXPECT_EQ(kernel_.delivered.back(), (MsiMessage{0xFEE0'2000, 0x77}));
    EXPECT_EQ(delivered(), (Counts{2, 0}));
}

TEST_F(PassthroughMessages, OfAMaskedVectorArePendingAndComeOnce) {
    set_up_vector(3);
    write(kControl, 2, 0x8000);
    write_table(3, 12, 1);
    signal(VFIO_PCI_MSIX_IRQ_INDEX, 3);
    EXPECT_EQ(delivered(), (Counts{0, 0}));
    EXPECT_EQ(memory_.read(bar_ + TestTransport::kPending, 4), 8u);
    write_table(3, 12, 0);
    EXPECT_EQ(delivered(), (Counts{0, 1}));
    EXPECT_EQ(memory_.read(bar_ + TestTransport::kPending, 4), 0u);
    signal(VFIO_PCI_MSIX_IRQ_INDEX, 3);
    EXPECT_EQ(delivered(), (Counts{1, 1}));
}

TEST_F(PassthroughMessages, WaitForTheWholeFunctionsMaskAndForBusMastering) {
    set_up_vector(3);
    write(kControl, 2, 0xC000);
    EXPECT_TRUE(kernel_.carried.empty());
    write(kControl, 2, 0x8000);
    EXPECT_EQ(kernel_.carried.size(), 1u);
    write(4, 2, 0x0002);
    EXPECT_TRUE(kernel_.carried.empty());
    signal(VFIO_PCI_MSIX_IRQ_INDEX, 3);
    EXPECT_EQ(delivered(), (Counts{0, 0}));
    write(4, 2, 0x0006);
    EXPECT_EQ(delivered(), (Counts{0, 1}));
    EXPECT_EQ(kernel_.carried.size(), 1u);
}

TEST_F(PassthroughMessages, OfVectorsThatAreConnectedLateAreCarriedToo) {
    write(kControl, 2, 0x8000);
    set_up_vector(99);
    EXPECT_EQ(kernel_.carried.size(), 1u);
    signal(VFIO_PCI_MSIX_IRQ_INDEX, 99);
    EXPECT_EQ(delivered(), (Counts{1, 0}));
}

TEST_F(PassthroughMessages, OfMsiFollowItsRegisters) {
    write(TestTransport::kMsi + 4, 4, 0xFEE0'2000);
    write(TestTransport::kMsi + 12, 2, 0x41);
    write(TestTransport::kMsi + 16, 4, 0x2);   // mask the second
    write(TestTransport::kMsi + 2, 2, 0x0021); // enable, four messages
    signal(VFIO_PCI_MSI_IRQ_INDEX, 3);
    signal(VFIO_PCI_MSI_IRQ_INDEX, 1);
    EXPECT_EQ(kernel_.delivered, (std::vector<MsiMessage>{{0xFEE0'2000, 0x43}}));
    write(TestTransport::kMsi + 16, 4, 0);
    EXPECT_EQ(delivered(), (Counts{1, 1})) << "what was pending";
    signal(VFIO_PCI_MSI_IRQ_INDEX, 1);
    EXPECT_EQ(kernel_.delivered.back(), (MsiMessage{0xFEE0'2000, 0x41}));
    write(TestTransport::kMsi + 2, 2, 0);
    EXPECT_TRUE(kernel_.carried.empty());
}

TEST_F(PassthroughMessages, EndWithAResetAndWithTheDevice) {
    set_up_vector(3);
    write(kControl, 2, 0x8000);
    ASSERT_EQ(kernel_.carried.size(), 1u);
    write(TestTransport::kExpress + 8, 2, 0x8000);
    EXPECT_TRUE(kernel_.carried.empty());
    write(4, 2, 6);
    write(kControl, 2, 0x8000);
    EXPECT_TRUE(kernel_.carried.empty()) << "the table is as after a reset";
    set_up_vector(3);
    ASSERT_EQ(kernel_.carried.size(), 1u);
    transport_.listener->device_lost();
    transport_.events.clear();
    transport_.listener->device_returned();
    (void)read(0, 4);
    EXPECT_TRUE(kernel_.carried.empty());
}

TEST_F(PassthroughMessages, AreCounted) {
    set_up_vector(3);
    write(kControl, 2, 0x8000);
    signal(VFIO_PCI_MSIX_IRQ_INDEX, 3);
    signal(VFIO_PCI_MSIX_IRQ_INDEX, 4); // masked: through this process
    EXPECT_EQ(function_->counts().raised_interrupts, 1u);
    EXPECT_EQ(function_->counts().most_carried_vectors, 1u);
}

} // namespace
} // namespace touka::devices::passthrough
