#include "iommu/invalidation_queue.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "iommu/test_unit.hpp"

namespace touka::iommu {
namespace {

using memory::DmaAccess;
using memory::Iova;
using spec::vtd::Offset;
namespace fault_status = spec::vtd::fault_status;

class InvalidationQueueTest : public testing::Test {
protected:
    static constexpr RequesterId kFunction{0x0018}, kOther{0x0020};
    static constexpr std::uint64_t kIova = 0x1234'5000, kData = TestUnit::kData;

    void SetUp() override {
        table_ = test_.set_context(kFunction, 1);
        other_table_ = test_.set_context(kOther, 2);
        for (std::uint64_t page = 0; page < 4; ++page) {
            test_.map(table_, kIova + 0x1000 * page, kData + 0x1000 * page);
            test_.map(other_table_, kIova + 0x1000 * page, kData + 0x1000 * page);
        }
        test_.enable_translation();
        test_.enable_queue();
    }
    [[nodiscard]] bool reaches(RemappedSpace& space, std::uint64_t iova) {
        return space.translate(Iova{iova}, 1, DmaAccess::kRead).has_value();
    }
    void begin(memory::DmaHold& hold, std::uint64_t iova, DmaAccess access) {
        const auto use = space_->use();
        hold.add({Iova{iova}, space_->translate(Iova{iova}, 16, access).value(), access});
        space_->hold(hold);
    }
    void unmap(std::uint64_t table, std::uint64_t iova, unsigned level = 1) {
        test_.store(test_.paging_entry(table, iova, level), 0);
    }
    static constexpr std::uint64_t iotlb(std::uint64_t granularity, std::uint64_t domain) {
        return 2 | granularity << 4 | domain << 16;
    }
    static constexpr std::uint64_t context_cache(std::uint64_t granularity, std::uint64_t domain,
                                                 std::uint64_t source = 0, std::uint64_t function_mask = 0) {
        return 1 | granularity << 4 | domain << 16 | source << 32 | function_mask << 48;
    }
    static constexpr std::uint64_t device_tlb(RequesterId source) { return 3 | std::uint64_t{source.value} << 32; }
    [[nodiscard]] std::uint32_t status() { return test_.get(Offset::FSTS); }
    [[nodiscard]] std::uint64_t error_info() { return test_.get_wide(Offset::IQERCD) & 0xF; }

    TestUnit test_;
    std::shared_ptr<RemappedSpace> space_ = test_.unit().add_requester(kFunction);
    std::shared_ptr<RemappedSpace> other_ = test_.unit().add_requester(kOther);
    std::uint64_t table_ = 0, other_table_ = 0;
};

TEST_F(InvalidationQueueTest, AStaleTranslationIsGoneAndOthersAreNotDisturbed) {
    for (std::uint64_t page = 0; page < 4; ++page) {
        EXPECT_TRUE(reaches(*space_, kIova + 0x1000 * page));
        EXPECT_TRUE(reaches(*other_, kIova + 0x1000 * page));
    }
    unmap(table_, kIova);
    unmap(table_, kIova + 0x1000);
    unmap(other_table_, kIova);
    const auto walks = other_->walk_count();
    test_.submit(iotlb(3, 1), kIova);
    test_.submit_wait();
    EXPECT_TRUE(test_.wait_complete());
    EXPECT_EQ(test_.get_wide(Offset::IQH), test_.tail());
    EXPECT_FALSE(reaches(*space_, kIova));
    EXPECT_TRUE(reaches(*space_, kIova + 0x1000)) << "the next page is kept";
    EXPECT_TRUE(reaches(*other_, kIova)) << "the other domain is kept";
    EXPECT_EQ(other_->walk_count(), walks);
    test_.submit(iotlb(2, 2));
    EXPECT_FALSE(reaches(*other_, kIova));
    EXPECT_TRUE(reaches(*space_, kIova + 0x1000));
    test_.submit(iotlb(1, 0));
    EXPECT_FALSE(reaches(*space_, kIova + 0x1000));
}

TEST_F(InvalidationQueueTest, AddressMasksNameAlignedPowersOfTwo) {
    for (std::uint64_t page = 0; page < 4; ++page) {
        EXPECT_TRUE(reaches(*space_, kIova + 0x1000 * page)); // 1234'5000 ... 1234'8000
        unmap(table_, kIova + 0x1000 * page);
    }
    test_.submit(iotlb(3, 1), 0x1234'6000 | 1);
    EXPECT_TRUE(reaches(*space_, 0x1234'5000));
    EXPECT_FALSE(reaches(*space_, 0x1234'6000));
    EXPECT_FALSE(reaches(*space_, 0x1234'7000));
    EXPECT_TRUE(reaches(*space_, 0x1234'8000));
    test_.submit(iotlb(3, 1), 0x1234'0000 | 12); // more pages than the cache has entries
    EXPECT_FALSE(reaches(*space_, 0x1234'5000));
    EXPECT_FALSE(reaches(*space_, 0x1234'8000));
}

TEST_F(InvalidationQueueTest, AGreaterPageGoesWithAnyOfItsAddresses) {
    test_.map(table_, 0x4060'0000, 0x20'0000, TestUnit::kReadWrite, 2);
    test_.map(table_, 0x8000'0000, 0, TestUnit::kReadWrite, 3);
    EXPECT_TRUE(reaches(*space_, 0x4060'0000));
    EXPECT_TRUE(reaches(*space_, 0x8000'0000));
    EXPECT_TRUE(reaches(*space_, 0x8020'0000));
    unmap(table_, 0x4060'0000, 2);
    unmap(table_, 0x8000'0000, 3);
    EXPECT_TRUE(reaches(*space_, 0x4060'0000));
    test_.submit(iotlb(3, 1), 0x4070'0000);
    EXPECT_FALSE(reaches(*space_, 0x4060'0000));
    EXPECT_TRUE(reaches(*space_, 0x8000'0000));
    test_.submit(iotlb(3, 1), 0xBFFF'F000);
    EXPECT_FALSE(reaches(*space_, 0x8000'0000));
    EXPECT_FALSE(reaches(*space_, 0x8020'0000));
}

TEST_F(InvalidationQueueTest, AUseInFlightDelaysTheWaitAndNothingElse) {
    auto use = space_->use();
    EXPECT_TRUE(reaches(*space_, kIova));
    const auto generation = space_->generation();
    unmap(table_, kIova);
    test_.submit(iotlb(3, 1), kIova);
    const auto at_wait = test_.tail();
    test_.submit_wait();
    EXPECT_FALSE(test_.wait_complete());
    EXPECT_EQ(test_.get_wide(Offset::IQH), at_wait);
    EXPECT_NE(space_->generation(), generation);
    EXPECT_FALSE(reaches(*space_, kIova)) << "new accesses do not see it any more";
    auto late = space_->use(); // of no concern
    use.end();
    EXPECT_TRUE(test_.wait_complete());
    EXPECT_EQ(test_.get_wide(Offset::IQH), test_.tail());
}

TEST_F(InvalidationQueueTest, AHoldOfWhatIsMappedStillDelaysNothing) {
    memory::DmaHold hold;
    begin(hold, kIova, DmaAccess::kWrite);
    unmap(table_, kIova + 0x1000);
    for (const std::uint64_t descriptor : {iotlb(3, 1), iotlb(2, 1), iotlb(1, 0), context_cache(1, 0)}) {
        test_.submit(descriptor, descriptor == iotlb(3, 1) ? kIova + 0x1000 : 0);
        test_.submit_wait();
        EXPECT_TRUE(test_.wait_complete()) << descriptor;
    }
    EXPECT_TRUE(hold.active());
}

TEST_F(InvalidationQueueTest, AHoldOfWhatIsTakenAwayDelaysTheWait) {
    const std::uint64_t leaf = test_.paging_entry(table_, kIova, 1);
    const std::uint64_t mapped = test_.load(leaf);
    for (const std::uint64_t changed : {std::uint64_t{0}, mapped & ~TestUnit::kWrite, mapped + 0x1000}) {
        for (const std::uint64_t descriptor : {iotlb(3, 1), iotlb(2, 1), iotlb(1, 0), context_cache(1, 0)}) {
            memory::DmaHold hold;
            begin(hold, kIova, DmaAccess::kWrite);
            test_.store(leaf, changed);
            test_.submit(descriptor, descriptor == iotlb(3, 1) ? kIova : 0);
            test_.submit_wait();
            EXPECT_FALSE(test_.wait_complete()) << changed << ' ' << descriptor;
            hold.end();
            EXPECT_TRUE(test_.wait_complete());
            test_.store(leaf, mapped);
            test_.submit(iotlb(1, 0));
        }
    }
    memory::DmaHold reads;
    begin(reads, kIova, DmaAccess::kRead);
    test_.store(leaf, mapped & ~TestUnit::kWrite);
    test_.submit(iotlb(3, 1), kIova);
    test_.submit_wait();
    EXPECT_TRUE(test_.wait_complete()) << "who only reads loses nothing";
}

TEST_F(InvalidationQueueTest, AHoldInAGreaterPageGoesWithAnyAddressOfThePage) {
    test_.map(table_, 0x8000'0000, 0, TestUnit::kReadWrite, 3);
    memory::DmaHold hold;
    begin(hold, 0x8020'0000, DmaAccess::kRead);
    unmap(table_, 0x8000'0000, 3);
    test_.submit(iotlb(3, 1), 0xBFFF'F000);
    test_.submit_wait();
    EXPECT_FALSE(test_.wait_complete());
    hold.end();
    EXPECT_TRUE(test_.wait_complete());
}

TEST_F(InvalidationQueueTest, TranslationEndsWhenNothingIsHeldThatItAloneGranted) {
    memory::DmaHold hold;
    begin(hold, kIova, DmaAccess::kRead);
    test_.set(Offset::GCMD, spec::vtd::global::QIE);
    EXPECT_NE(test_.get(Offset::GSTS) & spec::vtd::global::TE, 0u);
    hold.end();
    EXPECT_EQ(test_.get(Offset::GSTS) & spec::vtd::global::TE, 0u);
}

TEST_F(InvalidationQueueTest, AUseOfAnotherDomainDelaysNothing) {
    EXPECT_TRUE(reaches(*other_, kIova));
    const auto generation = other_->generation();
    auto use = other_->use();
    test_.submit(iotlb(2, 1));
    test_.submit(context_cache(2, 1));
    test_.submit(context_cache(3, 1, kFunction.value));
    test_.submit_wait();
    EXPECT_TRUE(test_.wait_complete());
    EXPECT_EQ(other_->generation(), generation);
}

TEST_F(InvalidationQueueTest, AUseThatMayHoldAnOldContextIsWaitedFor) {
    auto use = space_->use();
    EXPECT_TRUE(reaches(*space_, kIova));
    test_.set_wide(Offset::CCMD, std::uint64_t{5} << 61); // by the register: nothing that the queue waits for
    // The entry is not known any more, yet accesses by domain 1 are under way.
    test_.submit(iotlb(2, 1));
    test_.submit_wait();
    EXPECT_FALSE(test_.wait_complete());
    use.end();
    EXPECT_TRUE(test_.wait_complete());
}

TEST_F(InvalidationQueueTest, ContextsAreForgottenByDeviceDomainAndAll) {
    for (const std::uint64_t descriptor :
         {context_cache(1, 0), context_cache(2, 1), context_cache(3, 1, 0x0018), context_cache(3, 1, 0x001F, 3)}) {
        EXPECT_TRUE(reaches(*space_, kIova));
        const auto entry = test_.load(test_.context_entry(kFunction));
        test_.store(test_.context_entry(kFunction), 0);
        test_.submit(context_cache(2, 3));
        test_.submit(context_cache(3, 1, 0x0019));
        EXPECT_TRUE(reaches(*space_, kIova));
        test_.submit(descriptor);
        EXPECT_FALSE(reaches(*space_, kIova));
        test_.store(test_.context_entry(kFunction), entry);
    }
}

TEST_F(InvalidationQueueTest, TheEndOfAUseOnAnotherThreadCompletesTheWait) {
    auto use = space_->use();
    test_.submit(iotlb(1, 0));
    test_.submit_wait();
    EXPECT_FALSE(test_.wait_complete());
    std::thread([held = std::move(use)]() mutable { held.end(); }).join();
    EXPECT_TRUE(test_.wait_complete());
}

TEST_F(InvalidationQueueTest, AWaitInterruptsOnceUntilItIsAnswered) {
    test_.set(Offset::IEDATA, 0x31);
    test_.set(Offset::IEADDR, 0xFEE0'1000);
    test_.set(Offset::IECTL, 0);
    test_.submit(0x15); // wait, interrupt
    test_.submit(0x15);
    EXPECT_EQ(test_.msi().sent, (std::vector<platform::MsiMessage>{{0xFEE0'1000, 0x31}}));
    EXPECT_EQ(test_.get(Offset::ICS), 1u);
    test_.set(Offset::ICS, 1);
    EXPECT_EQ(test_.get(Offset::ICS), 0u);
    test_.set(Offset::IECTL, 0x8000'0000);
    test_.submit(0x15);
    EXPECT_EQ(test_.msi().sent.size(), 1u);
    EXPECT_EQ(test_.get(Offset::IECTL), 0xC000'0000);
    test_.set(Offset::IECTL, 0);
    EXPECT_EQ(test_.msi().sent.size(), 2u);
    EXPECT_EQ(test_.get(Offset::IECTL), 0u);
}

TEST_F(InvalidationQueueTest, WrapsAround) {
    for (int i = 0; i < 300; ++i) test_.submit(iotlb(1, 0));
    test_.submit_wait();
    EXPECT_TRUE(test_.wait_complete());
    EXPECT_EQ(status(), 0u);
}

TEST_F(InvalidationQueueTest, ABadDescriptorStopsTheQueueUntilItsErrorIsCleared) {
    using spec::vtd::QueueErrorInfo;
    struct Bad {
        std::uint64_t low, high;
        QueueErrorInfo info;
    };
    const auto reserved = QueueErrorInfo::kReservedField;
    for (const auto& bad : {
             Bad{0, 0, QueueErrorInfo::kInvalidType},
             Bad{0x202, 0, QueueErrorInfo::kInvalidType}, // high bits of the type
             Bad{6, 0, QueueErrorInfo::kInvalidType},     // PASID-based
             Bad{iotlb(0, 1), 0, reserved},
             Bad{iotlb(1, 1) | 1u << 8, 0, reserved},
             Bad{iotlb(1, 1), 0x80, reserved},
             Bad{iotlb(3, 1), 19, reserved}, // more than MAMV
             Bad{context_cache(0, 1), 0, reserved},
             Bad{context_cache(1, 1) | 1u << 6, 0, reserved},
             Bad{context_cache(1, 1), 1, reserved},
             Bad{device_tlb(kFunction) | 1u << 21, 0, reserved},
             Bad{device_tlb(kFunction), 2, reserved},
             Bad{4 | 1u << 5, 0, reserved},
             Bad{4, 1, reserved},
             Bad{TestUnit::kWaitStatus | 1u << 8, TestUnit::kStatus, reserved},
             Bad{TestUnit::kWaitStatus, TestUnit::kStatus | 1, reserved},
         }) {
        const auto at = test_.tail();
        test_.submit(bad.low, bad.high);
        test_.submit_wait();
        EXPECT_FALSE(test_.wait_complete());
        EXPECT_EQ(status(), fault_status::IQE) << bad.low;
        EXPECT_EQ(error_info(), static_cast<std::uint64_t>(bad.info)) << bad.low;
        EXPECT_EQ(test_.get_wide(Offset::IQH), at);
        test_.store(TestUnit::kQueue + at, iotlb(1, 0)); // as Linux does
        test_.store(TestUnit::kQueue + at + 8, 0);
        test_.set(Offset::FSTS, fault_status::IQE);
        EXPECT_TRUE(test_.wait_complete()) << bad.low;
        EXPECT_EQ(status(), 0u);
    }
}

TEST_F(InvalidationQueueTest, AQueueThatIsNoneIsAnError) {
    test_.set_wide(Offset::IQT, 0x1000); // beyond its one page
    EXPECT_EQ(status(), fault_status::IQE);
    EXPECT_EQ(error_info(), 1u);
    test_.set_wide(Offset::IQT, 0);
    test_.set(Offset::FSTS, fault_status::IQE);
    test_.set_wide(Offset::IQA, TestUnit::kRamBytes);
    test_.set_wide(Offset::IQT, 0x10);
    EXPECT_EQ(error_info(), 2u);
    test_.set_wide(Offset::IQA, TestUnit::kQueue | 1u << 11); // 256-bit descriptors
    test_.set(Offset::FSTS, fault_status::IQE);
    EXPECT_EQ(error_info(), 5u);
    test_.set(Offset::GCMD, 0);
    EXPECT_EQ(test_.get_wide(Offset::IQH), 0u);
}

/// A device that answers when the test says so.
class PatientDevice final : public DeviceTlb {
public:
    void invalidate(Iova first, Iova last, std::function<void()> answered) override {
        ranges.emplace_back(first.value, last.value);
        answers.push_back(std::move(answered));
    }
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
    std::vector<std::function<void()>> answers;
};

TEST_F(InvalidationQueueTest, ADeviceTlbInvalidationIsCompleteWhenTheDeviceSaysSo) {
    PatientDevice device;
    space_->set_device_tlb(&device);
    test_.submit(device_tlb(kFunction), kIova);
    test_.submit_wait();
    EXPECT_FALSE(test_.wait_complete());
    ASSERT_EQ(device.ranges.size(), 1u);
    EXPECT_EQ(device.ranges[0], std::pair(kIova, kIova + 0xFFF));
    device.answers[0]();
    EXPECT_TRUE(test_.wait_complete());
    device.answers[0](); // once too often
    test_.submit(device_tlb(kFunction), 0x1234'8000 | 0x3000 | 1);
    test_.submit(device_tlb(kFunction), 0x7FFF'FFFF'FFFF'F001);
    EXPECT_EQ(device.ranges[1], std::pair(std::uint64_t{0x1234'8000}, std::uint64_t{0x1234'FFFF}));
    EXPECT_EQ(device.ranges[2], std::pair(std::uint64_t{0}, ~std::uint64_t{0}));
    test_.submit(device_tlb(kOther), kIova);
    EXPECT_EQ(device.ranges.size(), 3u) << "another's is not its business";
    space_->set_device_tlb(nullptr);
}

TEST_F(InvalidationQueueTest, ADeviceThatDoesNotAnswerIsATimeOut) {
    PatientDevice device;
    space_->set_device_tlb(&device);
    test_.submit(device_tlb(kFunction), kIova);
    test_.submit_wait();
    test_.submit(iotlb(1, 0));
    test_.timers().advance(59'000'000'000);
    EXPECT_EQ(status(), 0u);
    test_.timers().advance(1'000'000'000);
    EXPECT_EQ(status(), fault_status::ITE);
    EXPECT_EQ(test_.get_wide(Offset::IQERCD) >> 32 & 0xFFFF, kFunction.value);
    EXPECT_EQ(test_.get_wide(Offset::IQH), 0x20u) << "after the wait, which is aborted";
    device.answers[0](); // too late
    test_.set(Offset::FSTS, fault_status::ITE);
    EXPECT_FALSE(test_.wait_complete());
    EXPECT_EQ(test_.get_wide(Offset::IQH), test_.tail());
    test_.submit_wait();
    EXPECT_TRUE(test_.wait_complete());
    space_->set_device_tlb(nullptr);
}

TEST_F(InvalidationQueueTest, ADriverThatNeverWaitsIsMadeToWait) {
    auto use = space_->use();
    for (int i = 0; i < 255; ++i) test_.submit(iotlb(1, 0));
    for (int i = 0; i < 255; ++i) test_.submit(iotlb(1, 0));
    EXPECT_NE(test_.get_wide(Offset::IQH), test_.tail());
    use.end();
    EXPECT_EQ(test_.get_wide(Offset::IQH), test_.tail());
}

} // namespace
} // namespace touka::iommu
