#include "iommu/address_translation_cache.hpp"

#include <gtest/gtest.h>

#include "iommu/test_unit.hpp"

namespace touka::iommu {
namespace {

using memory::DmaAccess;
using memory::Iova;
using spec::vtd::AddressType;
using spec::vtd::FaultReason;
using spec::vtd::TranslationType;

class AddressTranslationCacheTest : public testing::Test {
protected:
    static constexpr RequesterId kFunction{0x0018}, kOther{0x0019};
    static constexpr std::uint64_t kIova = 0x1234'5000, kData = TestUnit::kData, kElsewhere = kData + 0x1000;
    static constexpr std::uint64_t kNowhere = ~std::uint64_t{0};

    AddressTranslationCacheTest() {
        space_->set_device_tlb(&cache_);
        table_ = test_.set_context(kFunction, 1, 4, TranslationType::kAll);
        test_.map(table_, kIova, kData);
        test_.enable_translation();
        test_.enable_queue();
        cache_.set_enabled(true);
    }
    ~AddressTranslationCacheTest() override { test_.unit().remove_requester(space_); }

    /// The guest address that an access reaches, or kNowhere.
    [[nodiscard]] std::uint64_t reach(std::uint64_t iova, DmaAccess access = DmaAccess::kRead) {
        const auto span = cache_.translate(Iova{iova}, 4, access);
        return span ? static_cast<std::uint64_t>(span->data() - test_.ram().base()) : kNowhere;
    }
    void invalidate_iotlb(std::uint64_t iova) { test_.submit(2 | 3 << 4 | 1 << 16, iova); }
    void invalidate_device(std::uint64_t iova, RequesterId who = kFunction) {
        test_.submit(3 | std::uint64_t{who.value} << 32, iova);
    }
    [[nodiscard]] bool invalidated(std::uint64_t iova) {
        invalidate_iotlb(iova);
        invalidate_device(iova);
        test_.submit_wait();
        return test_.wait_complete();
    }

    TestUnit test_;
    std::shared_ptr<RemappedSpace> space_ = test_.unit().add_requester(kFunction);
    AddressTranslationCache cache_{*space_};
    std::uint64_t table_ = 0;
};

TEST_F(AddressTranslationCacheTest, AsksOnceForWhatItThenKnows) {
    test_.map(table_, kIova + 0x1000, kElsewhere);
    EXPECT_EQ(reach(kIova + 0x10), kData + 0x10);
    EXPECT_EQ(reach(kIova + 0x20, DmaAccess::kWrite), kData + 0x20);
    EXPECT_EQ(reach(kIova + 0x1000), kElsewhere);
    EXPECT_EQ(cache_.request_count(), 2u);
    EXPECT_EQ(space_->walk_count(), 2u);
    EXPECT_EQ(cache_.translate(Iova{kIova}, 0x2000, DmaAccess::kRead)->size(), 0x2000u) << "they lie together";
}

TEST_F(AddressTranslationCacheTest, AsksNothingUntilTheGuestLetsIt) {
    cache_.set_enabled(false);
    EXPECT_EQ(reach(kIova), kData);
    test_.map(table_, kIova, kElsewhere);
    invalidate_iotlb(kIova);
    EXPECT_EQ(reach(kIova), kElsewhere);
    EXPECT_EQ(cache_.request_count(), 0u);
}

TEST_F(AddressTranslationCacheTest, ATranslationIsGoodUntilTheDeviceIsToldOtherwise) {
    EXPECT_EQ(reach(kIova), kData);
    test_.map(table_, kIova, kElsewhere);
    invalidate_iotlb(kIova);
    EXPECT_EQ(reach(kIova), kData) << "that is not the device's cache";
    invalidate_device(kIova, kOther);
    invalidate_device(kIova + 0x1000);
    EXPECT_EQ(reach(kIova), kData) << "nor is that for it";
    invalidate_device(kIova);
    EXPECT_EQ(reach(kIova), kElsewhere);
}

TEST_F(AddressTranslationCacheTest, AnInvalidationIsAnsweredWhenNoAccessIsUnderWay) {
    auto use = cache_.use();
    EXPECT_EQ(reach(kIova), kData);
    test_.map(table_, kIova, kElsewhere);
    invalidate_device(kIova);
    test_.submit_wait();
    EXPECT_FALSE(test_.wait_complete());
    use.end();
    EXPECT_TRUE(test_.wait_complete());
}

TEST_F(AddressTranslationCacheTest, AHoldDelaysAnInvalidationOfWhatTheTablesHaveNoLonger) {
    memory::DmaHold hold;
    {
        const auto use = cache_.use();
        hold.add({Iova{kIova}, *cache_.translate(Iova{kIova}, 16, DmaAccess::kWrite), DmaAccess::kWrite});
        cache_.hold(hold);
    }
    EXPECT_TRUE(invalidated(kIova)) << "the device goes on by a translation that it would get again";
    test_.store(test_.paging_entry(table_, kIova, 1), 0);
    invalidate_device(kIova);
    test_.submit_wait();
    EXPECT_FALSE(test_.wait_complete());
    hold.end();
    EXPECT_TRUE(test_.wait_complete());
    EXPECT_EQ(reach(kIova), kNowhere);
}

TEST_F(AddressTranslationCacheTest, AnUntranslatedAccessIsWaitedForByTheUnitToo) {
    cache_.set_enabled(false);
    auto use = cache_.use();
    EXPECT_EQ(reach(kIova), kData);
    invalidate_iotlb(kIova);
    test_.submit_wait();
    EXPECT_FALSE(test_.wait_complete());
    use.end();
    EXPECT_TRUE(test_.wait_complete());
}

TEST_F(AddressTranslationCacheTest, APageToReadIsAskedForAgainAtAWrite) {
    test_.map(table_, kIova, kData, TestUnit::kRead);
    EXPECT_EQ(reach(kIova), kData);
    EXPECT_EQ(reach(kIova, DmaAccess::kWrite), kNowhere);
    EXPECT_EQ(test_.take_faults().at(0), (TestUnit::Recorded{FaultReason::kWriteNotPermitted, kFunction.value, kIova,
                                                             false, AddressType::kUntranslated}));
    test_.map(table_, kIova, kData); // more permission: nothing has to be invalidated
    EXPECT_EQ(reach(kIova, DmaAccess::kWrite), kData);
    EXPECT_EQ(reach(kIova), kData);
    EXPECT_EQ(cache_.request_count(), 3u);
}

TEST_F(AddressTranslationCacheTest, WhatHasNoTranslationIsAFaultThatNamesTheRequester) {
    EXPECT_EQ(reach(kIova + 0x5000), kNowhere);
    EXPECT_EQ(test_.take_faults().at(0), (TestUnit::Recorded{FaultReason::kReadNotPermitted, kFunction.value,
                                                             kIova + 0x5000, true, AddressType::kUntranslated}));
    EXPECT_EQ(reach(0xFEE0'0000), kNowhere);
    test_.map(table_, kIova + 0x6000, 0xFEC0'0000); // not RAM
    EXPECT_EQ(reach(kIova + 0x6000), kNowhere);
}

TEST_F(AddressTranslationCacheTest, GreaterPagesAreKeptAndForgottenWhole) {
    test_.map(table_, 0x4020'0000, 0x20'0000, TestUnit::kReadWrite, 2);
    EXPECT_EQ(reach(0x4020'0000), 0x20'0000u);
    EXPECT_EQ(reach(0x4030'0000), 0x30'0000u);
    EXPECT_EQ(cache_.request_count(), 1u);
    test_.map(table_, 0x4020'0000, 0x40'0000, TestUnit::kReadWrite, 2);
    invalidate_device(0x4021'0000);
    EXPECT_EQ(reach(0x4030'0000), 0x50'0000u);
}

TEST_F(AddressTranslationCacheTest, WhoMayNotAskAsksOnceAndGoesUntranslated) {
    test_.store(test_.context_entry(kFunction), table_ | 1); // as for a device without a cache
    test_.submit(1 | 1 << 4);                                // all contexts
    EXPECT_EQ(reach(kIova), kData);
    EXPECT_EQ(reach(kIova + 4), kData + 4);
    EXPECT_EQ(cache_.request_count(), 1u);
    EXPECT_EQ(test_.take_faults().at(0), (TestUnit::Recorded{FaultReason::kTranslatedBlocked, kFunction.value, kIova,
                                                             true, AddressType::kTranslationRequest}));
    test_.store(test_.context_entry(kFunction), table_ | static_cast<std::uint64_t>(TranslationType::kAll) << 2 | 1);
    test_.submit(1 | 1 << 4);
    invalidate_device(kIova);
    EXPECT_EQ(reach(kIova), kData);
    EXPECT_EQ(cache_.request_count(), 2u) << "something changed";
}

TEST_F(AddressTranslationCacheTest, AStaleTranslationIsOfNoUseWhenTheContextNoLongerLetsIt) {
    EXPECT_EQ(reach(kIova), kData);
    test_.store(test_.paging_entry(table_, kIova, 1), 0);
    test_.store(test_.context_entry(kFunction), table_ | 1);
    test_.submit(1 | 1 << 4);
    EXPECT_FALSE(space_->translate(Iova{kIova}, 4, DmaAccess::kRead).has_value()); // the unit reads the context entry
    (void)test_.take_faults();
    EXPECT_EQ(reach(kIova), kNowhere) << "what the device kept, the unit does not pass";
    const auto faults = test_.take_faults();
    ASSERT_EQ(faults.size(), 2u);
    EXPECT_EQ(faults[0].type, AddressType::kTranslationRequest);
    EXPECT_EQ(faults[1], (TestUnit::Recorded{FaultReason::kReadNotPermitted, kFunction.value, kIova, true,
                                             AddressType::kUntranslated}));
}

TEST_F(AddressTranslationCacheTest, IsIdentityWhileTranslationIsOffWhateverItKept) {
    EXPECT_EQ(reach(kIova), kData);
    test_.set(spec::vtd::Offset::GCMD, spec::vtd::global::QIE);
    EXPECT_EQ(reach(kIova), kNowhere);
    EXPECT_EQ(reach(kElsewhere), kElsewhere);
}

TEST_F(AddressTranslationCacheTest, WritingTheControlRegisterEmptiesIt) {
    EXPECT_EQ(reach(kIova), kData);
    test_.map(table_, kIova, kElsewhere);
    const auto generation = cache_.generation();
    cache_.set_enabled(true);
    EXPECT_NE(cache_.generation(), generation);
    EXPECT_EQ(reach(kIova), kElsewhere);
    cache_.set_enabled(false);
    test_.map(table_, kIova, kData);
    EXPECT_EQ(reach(kIova), kData);
    EXPECT_EQ(cache_.request_count(), 2u);
}

TEST_F(AddressTranslationCacheTest, EachFunctionKeepsItsOwn) {
    const auto other = test_.unit().add_requester(kOther);
    AddressTranslationCache cache(*other);
    other->set_device_tlb(&cache);
    cache.set_enabled(true);
    test_.map(test_.set_context(kOther, 2, 4, TranslationType::kAll), kIova, kElsewhere);
    EXPECT_EQ(reach(kIova), kData);
    EXPECT_EQ(cache.translate(Iova{kIova}, 4, DmaAccess::kRead)->data(), test_.ram().base() + kElsewhere);
    invalidate_device(kIova, kOther);
    EXPECT_EQ(reach(kIova), kData);
    EXPECT_EQ(cache_.request_count(), 1u);
    test_.unit().remove_requester(other);
}

} // namespace
} // namespace touka::iommu
