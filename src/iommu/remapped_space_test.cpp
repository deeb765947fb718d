#include "iommu/remapped_space.hpp"

#include <gtest/gtest.h>

#include "iommu/test_unit.hpp"

namespace touka::iommu {
namespace {

using memory::DmaAccess;
using memory::Iova;
using spec::vtd::AddressType;
using spec::vtd::FaultReason;
using spec::vtd::TranslationType;

class RemappedSpaceTest : public testing::Test {
protected:
    static constexpr RequesterId kFunction{0x0018}, kOther{0x0020};
    static constexpr std::uint64_t kIova = 0x1234'5000, kData = TestUnit::kData;

    [[nodiscard]] std::uint64_t guest_of(RemappedSpace& space, std::uint64_t iova,
                                         DmaAccess access = DmaAccess::kRead) {
        const auto found = space.translate(Iova{iova}, 1, access);
        return found ? static_cast<std::uint64_t>(found->data() - test_.ram().base()) : kFault;
    }
    /// The one fault of an access that is blocked.
    [[nodiscard]] TestUnit::Recorded fault_of(std::uint64_t iova, DmaAccess access = DmaAccess::kRead) {
        EXPECT_FALSE(space_->translate(Iova{iova}, 1, access).has_value());
        const auto faults = test_.take_faults();
        EXPECT_EQ(faults.size(), 1u);
        return faults.empty() ? TestUnit::Recorded{} : faults.front();
    }
    [[nodiscard]] FaultReason reason_of(std::uint64_t iova, DmaAccess access = DmaAccess::kRead) {
        return fault_of(iova, access).reason;
    }
    void expect_blocked_in_silence(std::uint64_t iova) {
        EXPECT_FALSE(space_->translate(Iova{iova}, 1, DmaAccess::kRead).has_value());
        EXPECT_TRUE(test_.take_faults().empty());
    }

    static constexpr std::uint64_t kFault = ~std::uint64_t{0};
    TestUnit test_;
    std::shared_ptr<RemappedSpace> space_ = test_.unit().add_requester(kFunction);
    std::shared_ptr<RemappedSpace> other_ = test_.unit().add_requester(kOther);
};

TEST_F(RemappedSpaceTest, IsIdentityWhileTranslationIsOff) {
    EXPECT_EQ(guest_of(*space_, kData), kData);
    EXPECT_FALSE(space_->translate(Iova{TestUnit::kRamBytes}, 1, DmaAccess::kRead).has_value());
    EXPECT_TRUE(test_.take_faults().empty());
}

TEST_F(RemappedSpaceTest, WalksFourLevelsAndThree) {
    const auto table = test_.set_context(kFunction, 1);
    test_.map(table, 0x7FFF'1234'5000, kData);
    const auto small_table = test_.set_context(kOther, 2, 3);
    test_.map(small_table, 0x7F'1234'5000, kData + 0x1000, TestUnit::kReadWrite, 1, 3);
    test_.enable_translation();
    EXPECT_EQ(guest_of(*space_, 0x7FFF'1234'5678), kData + 0x678);
    EXPECT_EQ(guest_of(*other_, 0x7F'1234'5FFF), kData + 0x1FFF);
}

TEST_F(RemappedSpaceTest, WalksEndAtPagesOf2MiBAnd1GiB) {
    const auto table = test_.set_context(kFunction, 1);
    test_.map(table, 0x4020'0000, 0x20'0000, TestUnit::kReadWrite, 2);
    test_.map(table, 0x8000'0000, 0, TestUnit::kReadWrite, 3);
    test_.enable_translation();
    for (int i = 0; i < 2; ++i) { // walked, then found
        EXPECT_EQ(guest_of(*space_, 0x4020'0000 + 0x12345), 0x21'2345u);
        EXPECT_EQ(guest_of(*space_, 0x8000'0000 + 0x12'3456), 0x12'3456u);
        EXPECT_EQ(guest_of(*space_, 0x8000'0000 + 0x7F'FFFF), 0x7F'FFFFu);
    }
    EXPECT_EQ(space_->walk_count(), 3u);
    // What of the page is no RAM is no fault of the unit's.
    expect_blocked_in_silence(0x8000'0000 + TestUnit::kRamBytes);
}

TEST_F(RemappedSpaceTest, GivesPagesTogetherThatLieTogetherOnceItKnowsThem) {
    const auto table = test_.set_context(kFunction, 1);
    for (std::uint64_t page = 0; page < 3; ++page) test_.map(table, kIova + 0x1000 * page, kData + 0x1000 * page);
    test_.map(table, kIova + 0x3000, kData + 0x8000);
    test_.enable_translation();
    const auto length = [&] { return space_->translate(Iova{kIova + 0x10}, 0x10000, DmaAccess::kRead)->size(); };
    EXPECT_EQ(length(), 0xFF0u);
    for (std::uint64_t page = 0; page < 4; ++page) EXPECT_NE(guest_of(*space_, kIova + 0x1000 * page), kFault);
    EXPECT_EQ(length(), 0x2FF0u);
    EXPECT_EQ(space_->translate(Iova{kIova + 0x10}, 0x20, DmaAccess::kRead)->size(), 0x20u);
}

TEST_F(RemappedSpaceTest, OneRequesterReachesNothingThatOnlyAnotherWasGranted) {
    test_.map(test_.set_context(kFunction, 1), kIova, kData);
    test_.map(test_.set_context(kOther, 2), kIova + 0x1000, kData + 0x1000);
    test_.enable_translation();
    EXPECT_EQ(guest_of(*other_, kIova + 0x1000), kData + 0x1000);
    EXPECT_EQ(guest_of(*space_, kIova), kData);
    EXPECT_EQ(reason_of(kIova + 0x1000), FaultReason::kReadNotPermitted);
    EXPECT_EQ(guest_of(*other_, kIova), kFault);
    const auto faults = test_.take_faults();
    ASSERT_EQ(faults.size(), 1u);
    EXPECT_EQ(faults[0].requester, kOther.value);
    EXPECT_EQ(guest_of(*space_, kData), kFault) << "the guest address itself is no way in";
}

TEST_F(RemappedSpaceTest, PermissionsOfAllLevelsCount) {
    const auto table = test_.set_context(kFunction, 1);
    test_.map(table, kIova, kData, TestUnit::kRead);
    test_.map(table, kIova + 0x1000, kData, TestUnit::kWrite);
    const std::uint64_t elsewhere = 0x40'0000'0000;
    test_.map(table, elsewhere, kData);
    const auto above = test_.paging_entry(table, elsewhere, 2);
    test_.store(above, test_.load(above) & ~TestUnit::kWrite);
    test_.enable_translation();
    for (int i = 0; i < 2; ++i) { // walked, then found
        EXPECT_EQ(guest_of(*space_, kIova), kData);
        EXPECT_EQ(reason_of(kIova, DmaAccess::kWrite), FaultReason::kWriteNotPermitted);
        EXPECT_EQ(guest_of(*space_, kIova + 0x1000, DmaAccess::kWrite), kData);
        EXPECT_EQ(reason_of(kIova + 0x1000), FaultReason::kReadNotPermitted);
        EXPECT_EQ(guest_of(*space_, elsewhere), kData);
        EXPECT_EQ(reason_of(elsewhere, DmaAccess::kWrite), FaultReason::kWriteNotPermitted);
    }
}

TEST_F(RemappedSpaceTest, FaultsNameRequesterPageAndDirection) {
    (void)test_.set_context(kFunction, 1);
    test_.enable_translation();
    EXPECT_EQ(fault_of(kIova + 0x678, DmaAccess::kWrite),
              (TestUnit::Recorded{FaultReason::kWriteNotPermitted, kFunction.value, kIova, false,
                                  AddressType::kUntranslated}));
    EXPECT_TRUE(fault_of(kIova).read);
}

TEST_F(RemappedSpaceTest, FaultsOfTheRootTable) {
    test_.enable_translation();
    EXPECT_EQ(reason_of(kIova), FaultReason::kRootNotPresent);
    test_.store(test_.root_entry(kFunction), test_.new_table() | 3);
    EXPECT_EQ(reason_of(kIova), FaultReason::kRootReserved);
    test_.store(test_.root_entry(kFunction), std::uint64_t{1} << 50 | 1);
    EXPECT_EQ(reason_of(kIova), FaultReason::kRootReserved) << "beyond the host's address width";
    test_.store(test_.root_entry(kFunction), TestUnit::kRamBytes | 1);
    EXPECT_EQ(reason_of(kIova), FaultReason::kContextTableAccess);
    test_.store(test_.root_entry(kFunction), test_.new_table() | 1);
    test_.store(test_.root_entry(kFunction) + 8, 1);
    EXPECT_EQ(reason_of(kIova), FaultReason::kRootReserved);
    test_.set_wide(spec::vtd::Offset::RTADDR, TestUnit::kRamBytes);
    test_.command(spec::vtd::global::SRTP);
    EXPECT_EQ(reason_of(kIova), FaultReason::kRootTableAccess);
    test_.set_wide(spec::vtd::Offset::RTADDR, test_.root() | 1u << 10); // scalable mode
    test_.command(spec::vtd::global::SRTP);
    EXPECT_EQ(reason_of(kIova), FaultReason::kTranslationTableMode);
}

TEST_F(RemappedSpaceTest, FaultsOfTheContextEntry) {
    const auto table = test_.set_context(kFunction, 1);
    const auto entry = test_.context_entry(kFunction);
    test_.enable_translation();
    const auto reason_with = [&](std::uint64_t low, std::uint64_t high) {
        test_.store(entry, low);
        test_.store(entry + 8, high);
        return reason_of(kIova);
    };
    EXPECT_EQ(reason_with(table, 0x102), FaultReason::kContextNotPresent);
    EXPECT_EQ(reason_with(table | 0x11, 0x102), FaultReason::kContextReserved);
    EXPECT_EQ(reason_with(table | 1, 0x182), FaultReason::kContextReserved);
    EXPECT_EQ(reason_with(table | 1, 0x100'0102), FaultReason::kContextReserved);
    EXPECT_EQ(reason_with(table | 1 | std::uint64_t{1} << 46, 0x102), FaultReason::kContextReserved);
    EXPECT_EQ(reason_with(table | 0xD, 0x102), FaultReason::kContextInvalid) << "reserved type";
    for (std::uint64_t width : {0, 3, 4, 7})
        EXPECT_EQ(reason_with(table | 1, 0x100 | width), FaultReason::kContextInvalid) << width;
    EXPECT_EQ(reason_with(table | 9, 0x101), FaultReason::kContextInvalid) << "pass-through says the greatest width";
    EXPECT_EQ(reason_with(TestUnit::kRamBytes | 1, 0x102), FaultReason::kPagingEntryAccess);
}

TEST_F(RemappedSpaceTest, FaultsOfPagingEntriesAndAddresses) {
    const auto table = test_.set_context(kFunction, 1);
    test_.map(table, kIova, kData);
    (void)test_.set_context(kOther, 2, 3);
    test_.enable_translation();
    EXPECT_EQ(reason_of(std::uint64_t{1} << 48), FaultReason::kBeyondAddressWidth);
    EXPECT_EQ(guest_of(*other_, std::uint64_t{1} << 39), kFault);
    EXPECT_EQ(test_.take_faults().at(0).reason, FaultReason::kBeyondAddressWidth);

    const auto reason_with = [&](unsigned level, std::uint64_t bits) {
        const auto place = test_.paging_entry(table, kIova, level);
        const auto before = test_.load(place);
        test_.store(place, before | bits);
        const auto reason = reason_of(kIova);
        test_.store(place, before);
        return reason;
    };
    for (unsigned level = 1; level <= 4; ++level)
        EXPECT_EQ(reason_with(level, std::uint64_t{1} << 46), FaultReason::kPagingReserved) << level;
    for (unsigned level = 2; level <= 4; ++level)
        EXPECT_EQ(reason_with(level, 1u << 11), FaultReason::kPagingReserved) << level;
    EXPECT_EQ(reason_with(4, TestUnit::kPageSizeBit), FaultReason::kPagingReserved);
    EXPECT_EQ(reason_with(2, TestUnit::kPageSizeBit), FaultReason::kPagingReserved) << "not aligned to 2 MiB";
    EXPECT_EQ(reason_with(3, TestUnit::kPageSizeBit), FaultReason::kPagingReserved) << "not aligned to 1 GiB";
    EXPECT_EQ(reason_with(2, 0x8000'0000), FaultReason::kPagingEntryAccess);
    // Snoop control, memory types and what software keeps for itself are not reserved in a leaf.
    const auto leaf = test_.paging_entry(table, kIova, 1);
    test_.store(leaf, test_.load(leaf) | 0xBFF0'0000'0000'0000 | 1u << 11 | 0x78 | 1u << 7);
    EXPECT_EQ(guest_of(*space_, kIova), kData);
}

TEST_F(RemappedSpaceTest, FaultProcessingDisabledKeepsQualifiedFaultsQuiet) {
    const auto table = test_.set_context(kFunction, 1);
    const auto entry = test_.context_entry(kFunction);
    test_.enable_translation();
    for (const std::uint64_t low :
         {table | 3, table | 2 /* not present */, table | 0xF, table | 0x13, TestUnit::kRamBytes | 3}) {
        test_.store(entry, low);
        space_->set_requester(kFunction); // forgets the entry
        expect_blocked_in_silence(kIova);
        expect_blocked_in_silence(std::uint64_t{1} << 48);
    }
}

TEST_F(RemappedSpaceTest, PassThroughIsIdentityUpToTheAddressWidth) {
    (void)test_.set_context(kFunction, 1, 4, TranslationType::kPassThrough);
    test_.enable_translation();
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(guest_of(*space_, kData, DmaAccess::kWrite), kData);
        expect_blocked_in_silence(TestUnit::kRamBytes);
        EXPECT_EQ(reason_of(std::uint64_t{1} << 48), FaultReason::kBeyondAddressWidth);
    }
    EXPECT_EQ(space_->translate(Iova{0}, TestUnit::kRamBytes, DmaAccess::kRead)->size(), TestUnit::kRamBytes);
}

TEST_F(RemappedSpaceTest, TheInterruptRangeIsNeverMemory) {
    const auto table = test_.set_context(kFunction, 1);
    test_.map(table, 0xFEE0'0000, kData);
    test_.map(table, 0xFED0'0000 & ~0x1F'FFFFull, 0x20'0000, TestUnit::kReadWrite, 2);
    test_.map(test_.set_context(kOther, 2), 0xFEE0'0000, 0x20'0000, TestUnit::kReadWrite, 2);
    test_.enable_translation();
    expect_blocked_in_silence(0xFEE0'0000);
    EXPECT_EQ(guest_of(*other_, 0xFEF0'0000), 0x30'0000u); // the page reaches beyond it
    EXPECT_EQ(guest_of(*other_, 0xFEE0'0000), kFault);
    const auto before = space_->translate(Iova{0xFEDF'F000}, 0x2000, DmaAccess::kRead);
    ASSERT_TRUE(before.has_value());
    EXPECT_EQ(before->size(), 0x1000u);
    expect_blocked_in_silence(0xFEE0'0000);
}

TEST_F(RemappedSpaceTest, ATargetOutsideOfRamIsBlocked) {
    const auto table = test_.set_context(kFunction, 1);
    test_.map(table, kIova, 0xFEC0'0000);
    test_.enable_translation();
    expect_blocked_in_silence(kIova);
    expect_blocked_in_silence(kIova);
}

TEST_F(RemappedSpaceTest, WritesAreMarkedDirty) {
    const auto table = test_.set_context(kFunction, 1);
    test_.map(table, kIova, kData);
    test_.enable_translation();
    test_.ram().dirty_log().set_enabled(true);
    const std::uint32_t value = 0x1234'5678;
    ASSERT_TRUE(space_->write(Iova{kIova + 4}, std::as_bytes(std::span(&value, 1))).has_value());
    EXPECT_EQ(test_.load(kData) >> 32, value);
    EXPECT_EQ(test_.ram().dirty_log().take()[kData / 4096 / 64], std::uint64_t{1} << (kData / 4096 % 64));
}

TEST_F(RemappedSpaceTest, AnotherPlaceOnTheBusIsAnotherContextEntry) {
    test_.map(test_.set_context(kFunction, 1), kIova, kData);
    const RequesterId moved{0x0300};
    test_.map(test_.set_context(moved, 2), kIova, kData + 0x1000);
    test_.enable_translation();
    EXPECT_EQ(guest_of(*space_, kIova), kData);
    space_->set_requester(moved);
    EXPECT_EQ(guest_of(*space_, kIova), kData + 0x1000);
}

} // namespace
} // namespace touka::iommu
