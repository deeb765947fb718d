// A device's own translations. (PCIe Base 5.0 §10; VT-d Rev. 4.1 chapter 4)
#include "iommu/device_tlb.hpp"

#include <gtest/gtest.h>

#include "iommu/test_unit.hpp"

namespace touka::iommu {
namespace {

using memory::DmaAccess;
using memory::Iova;
using spec::vtd::AddressType;
using spec::vtd::FaultReason;
using spec::vtd::TranslationType;

class DeviceTlbTest : public testing::Test {
protected:
    static constexpr RequesterId kFunction{0x0018};
    static constexpr std::uint64_t kIova = 0x1234'5000, kData = TestUnit::kData;

    std::uint64_t allow(TranslationType type = TranslationType::kAll) {
        const auto table = test_.set_context(kFunction, 1, 4, type);
        test_.enable_translation();
        return table;
    }
    [[nodiscard]] bool translated_passes() {
        return space_->translated(memory::GuestAddress{kData}, 16, DmaAccess::kWrite).has_value();
    }

    TestUnit test_;
    std::shared_ptr<RemappedSpace> space_ = test_.unit().add_requester(kFunction);
};

TEST_F(DeviceTlbTest, ATranslationRequestGetsThePageAndItsPermissions) {
    const auto table = allow();
    test_.map(table, kIova, kData, TestUnit::kRead);
    test_.map(table, 0x4020'0000, 0x20'0000, TestUnit::kReadWrite, 2);
    const auto small = space_->translation_request(Iova{kIova + 0x10});
    ASSERT_TRUE(small.has_value());
    EXPECT_EQ(small->address.value, kData);
    EXPECT_EQ(small->length_bytes, 0x1000u);
    EXPECT_TRUE(small->read);
    EXPECT_FALSE(small->write);
    const auto large = space_->translation_request(Iova{0x4020'0000});
    EXPECT_EQ(large->length_bytes, 0x20'0000u);
    EXPECT_TRUE(translated_passes());
    EXPECT_EQ(space_->translated_at_once(memory::GuestAddress{kData}), test_.ram().base() + kData);
}

TEST_F(DeviceTlbTest, APageThatIsNotThereIsAnAnswerAndNoFault) {
    (void)allow();
    for (const std::uint64_t address : {kIova, std::uint64_t{1} << 48, std::uint64_t{0xFEE0'0000}}) {
        const auto answer = space_->translation_request(Iova{address});
        ASSERT_TRUE(answer.has_value());
        EXPECT_FALSE(answer->read || answer->write);
    }
    EXPECT_TRUE(test_.take_faults().empty());
}

TEST_F(DeviceTlbTest, BadTablesAreAFaultOfTheRequest) {
    const auto table = allow();
    test_.store(test_.paging_entry(table, kIova, 1), kData | 3 | std::uint64_t{1} << 50);
    EXPECT_FALSE(space_->translation_request(Iova{kIova}).has_value());
    EXPECT_EQ(test_.take_faults().at(0), (TestUnit::Recorded{FaultReason::kPagingReserved, kFunction.value, kIova, true,
                                                             AddressType::kTranslationRequest}));
}

TEST_F(DeviceTlbTest, AContextThatDoesNotLetItBlocksRequestAndAccess) {
    for (const auto type : {TranslationType::kUntranslatedOnly, TranslationType::kPassThrough}) {
        space_->set_requester(kFunction);
        (void)allow(type);
        EXPECT_FALSE(space_->translation_request(Iova{kIova}).has_value());
        EXPECT_FALSE(translated_passes());
        EXPECT_EQ(space_->translated_at_once(memory::GuestAddress{kData}), nullptr) << "the context entry is known now";
        const auto faults = test_.take_faults();
        ASSERT_EQ(faults.size(), 2u);
        EXPECT_EQ(faults[0].reason, FaultReason::kTranslatedBlocked);
        EXPECT_EQ(faults[0].type, AddressType::kTranslationRequest);
        EXPECT_EQ(faults[1].reason, FaultReason::kTranslatedBlocked);
        EXPECT_EQ(faults[1].type, AddressType::kTranslated);
        EXPECT_FALSE(faults[1].read);
    }
}

TEST_F(DeviceTlbTest, WithoutTranslationThereIsNobodyToAsk) {
    EXPECT_FALSE(space_->translation_request(Iova{kIova}).has_value());
    EXPECT_FALSE(translated_passes());
    EXPECT_TRUE(test_.take_faults().empty());
}

TEST_F(DeviceTlbTest, ATranslatedAddressOutsideOfRamIsBlocked) {
    (void)allow();
    EXPECT_FALSE(space_->translated(memory::GuestAddress{0xFEC0'0000}, 4, DmaAccess::kRead).has_value());
}

} // namespace
} // namespace touka::iommu
