#include "iommu/fault_log.hpp"

#include <gtest/gtest.h>

#include "iommu/test_unit.hpp"

namespace touka::iommu {
namespace {

using spec::vtd::FaultReason;
using spec::vtd::Offset;
namespace fault_status = spec::vtd::fault_status;

class FaultLogTest : public testing::Test {
protected:
    static constexpr RequesterId kFunction{0x0018};

    void SetUp() override {
        test_.enable_translation();
        test_.set(Offset::FEDATA, 0x30);
        test_.set(Offset::FEADDR, 0xFEE0'2000);
        test_.set(Offset::FECTL, 0);
    }
    void fault(unsigned count = 1) {
        for (unsigned i = 0; i < count; ++i)
            EXPECT_FALSE(space_->translate(memory::Iova{0x1000 * next_++}, 1, memory::DmaAccess::kRead).has_value());
    }
    [[nodiscard]] std::uint32_t status() { return test_.get(Offset::FSTS); }
    [[nodiscard]] std::size_t interrupts() const { return messages_.size(); }
    void free_record(unsigned index) {
        test_.unit().write(static_cast<unsigned>(Offset::FRCD) + 16 * index + 12, 4, 0x8000'0000);
    }
    static constexpr std::uint32_t fri(std::uint32_t index) { return index << fault_status::kFriShift; }

    TestUnit test_;
    std::vector<platform::MsiMessage>& messages_ = test_.msi().sent;
    std::shared_ptr<RemappedSpace> space_ = test_.unit().add_requester(kFunction);
    std::uint64_t next_ = 0;
};

TEST_F(FaultLogTest, TheFirstFaultInterruptsAndTheNextDoNot) {
    fault(3);
    EXPECT_EQ(messages_, (std::vector<platform::MsiMessage>{{0xFEE0'2000, 0x30}}));
    EXPECT_EQ(status(), fault_status::PPF);
    const auto faults = test_.take_faults();
    ASSERT_EQ(faults.size(), 3u);
    EXPECT_EQ(faults[2].address, 0x2000u);
    EXPECT_EQ(faults[2].reason, FaultReason::kRootNotPresent);
    EXPECT_EQ(status(), 0u);
    fault();
    EXPECT_EQ(interrupts(), 2u);
}

TEST_F(FaultLogTest, TheStatusNamesTheOldestRecord) {
    fault(2);
    free_record(0);
    EXPECT_EQ(status(), fault_status::PPF | fri(1));
    free_record(1);
    EXPECT_EQ(status(), 0u);
    fault();
    EXPECT_EQ(status(), fault_status::PPF | fri(2));
    test_.unit().write(static_cast<unsigned>(Offset::FRCD) + 16 * 2 + 12, 4, 0); // frees nothing
    EXPECT_EQ(status(), fault_status::PPF | fri(2));
}

TEST_F(FaultLogTest, MoreFaultsThanRecordsOverflow) {
    fault(kFaultRecordCount);
    EXPECT_EQ(status(), fault_status::PPF);
    fault();
    EXPECT_EQ(status(), fault_status::PPF | fault_status::PFO);
    free_record(0);
    fault(); // not while PFO is set
    EXPECT_EQ(test_.take_faults().size(), kFaultRecordCount - 1u);
    EXPECT_EQ(status(), fault_status::PFO);
    test_.set(Offset::FSTS, fault_status::PFO);
    EXPECT_EQ(status(), 0u);
    fault();
    EXPECT_EQ(test_.take_faults().size(), 1u);
    EXPECT_EQ(interrupts(), 2u);
}

TEST_F(FaultLogTest, AMaskedEventIsPendingUntilItIsUnmaskedOrAnswered) {
    test_.set(Offset::FECTL, 0x8000'0000);
    fault();
    EXPECT_EQ(interrupts(), 0u);
    EXPECT_EQ(test_.get(Offset::FECTL), 0xC000'0000u);
    test_.set(Offset::FECTL, 0);
    EXPECT_EQ(interrupts(), 1u);
    EXPECT_EQ(test_.get(Offset::FECTL), 0u);
    test_.set(Offset::FECTL, 0x8000'0000);
    (void)test_.take_faults();
    fault();
    (void)test_.take_faults();
    EXPECT_EQ(test_.get(Offset::FECTL), 0x8000'0000u);
    test_.set(Offset::FECTL, 0);
    EXPECT_EQ(interrupts(), 1u);
}

TEST_F(FaultLogTest, AnEventCanGoToAnX2ApicDestination) {
    test_.set(Offset::FEUADDR, 0x0001'0200);
    fault();
    EXPECT_EQ(interrupts(), 0u);
    ASSERT_EQ(test_.delivery().delivered.size(), 1u);
    EXPECT_EQ(test_.delivery().delivered[0].destination, 0x0001'0202u);
    EXPECT_EQ(test_.delivery().delivered[0].vector, 0x30);
}

} // namespace
} // namespace touka::iommu
