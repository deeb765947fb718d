#include "iommu/shadowed_requester.hpp"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "iommu/test_sink.hpp"
#include "iommu/test_unit.hpp"

namespace touka::iommu {
namespace {

using spec::vtd::Offset;
using spec::vtd::TranslationType;

class ShadowedRequesterTest : public testing::Test {
protected:
    static constexpr RequesterId kFunction{0x0018}, kOther{0x0020};
    static constexpr std::uint64_t kIova = 0x1234'5000, kData = TestUnit::kData, kNothing = ~std::uint64_t{0};

    ~ShadowedRequesterTest() override { close(); }
    void close() {
        if (shadow_) test_.unit().remove_shadow(shadow_);
        if (shadow_) shadow_->close();
    }
    void shadow(std::size_t limit = 1000) {
        shadow_ = test_.unit().add_shadow(
            kFunction, sink_, {.limits = {.mappings = limit}, .on_shortage = [this](auto) { ++shortages_; }});
        settle();
    }
    void settle() const {
        std::promise<void> done;
        shadow_->translation_changed([&] { done.set_value(); });
        done.get_future().wait();
    }
    /// Until memory or a register says so; the guest's own way of waiting.
    template <class Condition>
    static void wait_until(const Condition& holds) {
        for (int i = 0; i < 5000 && !holds(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        EXPECT_TRUE(holds());
    }
    void translation_on() {
        test_.enable_translation();
        wait_until([&] { return (test_.get(Offset::GSTS) & spec::vtd::global::TE) != 0; });
        test_.enable_queue();
    }
    bool status_written() {
        return std::atomic_ref(*reinterpret_cast<std::uint32_t*>(test_.ram().base() + TestUnit::kStatus)).load() == 5;
    }
    void wait_for_queue() {
        test_.submit_wait();
        wait_until([&] { return status_written(); });
    }
    void invalidate_pages(std::uint16_t domain, std::uint64_t address, std::uint64_t mask = 0) {
        test_.submit(2 | 3 << 4 | std::uint64_t{domain} << 16, address | mask);
    }
    void invalidate_context(RequesterId id, std::uint16_t domain) {
        test_.submit(1 | 3 << 4 | std::uint64_t{domain} << 16 | std::uint64_t{id.value} << 32);
    }
    /// With one page in domain 1.
    std::uint64_t started_with_a_page() {
        const auto table = test_.set_context(kFunction, 1);
        test_.map(table, kIova, kData);
        shadow();
        translation_on();
        return table;
    }

    TestUnit test_{{.caching_mode = true}};
    RecordingSink sink_;
    std::atomic<int> shortages_{0};
    std::shared_ptr<ShadowedRequester> shadow_;
};

TEST_F(ShadowedRequesterTest, HasAllRamWhileTranslationIsOff) {
    shadow();
    EXPECT_EQ(sink_.guest_of(TestUnit::kRamBytes - 1), TestUnit::kRamBytes - 1);
    translation_on();
    EXPECT_TRUE(sink_.all.empty()) << "no context entry";
    test_.set(Offset::GCMD, 0);
    wait_until([&] { return (test_.get(Offset::GSTS) & spec::vtd::global::TE) == 0; });
    EXPECT_EQ(sink_.guest_of(0), 0u);
}

TEST_F(ShadowedRequesterTest, HasAllRamWhenItsContextPassesThrough) {
    (void)test_.set_context(kFunction, 1, 4, TranslationType::kPassThrough);
    shadow();
    translation_on();
    EXPECT_EQ(sink_.take_calls(), "1 maps, 0 unmaps") << "it stays what it was";
}

TEST_F(ShadowedRequesterTest, TranslationIsOnWhenTheDeviceHasBeenTold) {
    const auto table = test_.set_context(kFunction, 1);
    test_.map(table, kIova, kData);
    shadow();
    std::promise<void> may_go_on;
    sink_.before_call = [future = may_go_on.get_future().share()] { future.wait(); };
    test_.enable_translation();
    EXPECT_EQ(test_.get(Offset::GSTS) & spec::vtd::global::TE, 0u);
    may_go_on.set_value();
    wait_until([&] { return (test_.get(Offset::GSTS) & spec::vtd::global::TE) != 0; });
    EXPECT_EQ(sink_.guest_of(kIova), kData);
    EXPECT_EQ(sink_.guest_of(0), kNothing);
}

TEST_F(ShadowedRequesterTest, AWaitDescriptorIsCompleteWhenTheDeviceHasGivenThePageUp) {
    const auto table = started_with_a_page();
    std::promise<void> may_go_on;
    sink_.before_call = [future = may_go_on.get_future().share()] { future.wait(); };
    test_.store(test_.paging_entry(table, kIova, 1), 0);
    invalidate_pages(1, kIova);
    test_.submit_wait();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_FALSE(status_written());
    may_go_on.set_value();
    wait_until([&] { return status_written(); });
    EXPECT_EQ(sink_.guest_of(kIova), kNothing);
}

TEST_F(ShadowedRequesterTest, TheRegistersAreAnsweredInTheSameWay) {
    const auto table = started_with_a_page();
    std::promise<void> may_go_on;
    sink_.before_call = [future = may_go_on.get_future().share()] { future.wait(); };
    test_.store(test_.paging_entry(table, kIova, 1), 0);
    test_.set_wide(Offset::IOTLB, std::uint64_t{1} << 63 | std::uint64_t{1} << 60); // global
    EXPECT_EQ(test_.get_wide(Offset::IOTLB) >> 63, 1u);
    may_go_on.set_value();
    wait_until([&] { return test_.get_wide(Offset::IOTLB) >> 63 == 0; });
    EXPECT_TRUE(sink_.all.empty());
    test_.map(table, kIova, kData);
    test_.set_wide(Offset::CCMD, std::uint64_t{1} << 63 | std::uint64_t{1} << 61); // global
    wait_until([&] { return test_.get_wide(Offset::CCMD) >> 63 == 0; });
    EXPECT_EQ(sink_.guest_of(kIova), kData);
}

TEST_F(ShadowedRequesterTest, HearsOfNewPages) {
    const auto table = started_with_a_page();
    for (const std::uint64_t page : {1, 2, 3, 4}) test_.map(table, kIova + 0x1000 * page, kData + 0x1000 * page);
    (void)sink_.take_calls();
    invalidate_pages(1, kIova + 0x1000, 1);
    wait_for_queue();
    EXPECT_EQ(sink_.take_calls(), "1 maps, 0 unmaps");
    EXPECT_EQ(sink_.guest_of(kIova + 0x2000), kData + 0x2000);
    EXPECT_EQ(sink_.guest_of(kIova + 0x3000), kNothing) << "nobody told";
}

TEST_F(ShadowedRequesterTest, AnotherDomainsInvalidationsDoNotWaitForTheDevice) {
    (void)started_with_a_page();
    std::promise<void> may_go_on;
    invalidate_pages(1, kIova);
    wait_for_queue();
    sink_.before_call = [] { FAIL() << "the device is asked"; };
    invalidate_pages(2, kIova);
    test_.submit(2 | 2 << 4 | 2 << 16); // all of that domain
    invalidate_context(kOther, 1);
    test_.submit_wait();
    EXPECT_TRUE(status_written()) << "at once, on this thread";
}

TEST_F(ShadowedRequesterTest, FollowsItsContextEntry) {
    (void)started_with_a_page();
    const auto table = test_.set_context(kFunction, 2, 3);
    test_.map(table, kIova, kData + 0x1000, TestUnit::kReadWrite, 1, 3);
    invalidate_context(kFunction, 1);
    wait_for_queue();
    EXPECT_EQ(sink_.guest_of(kIova), kData + 0x1000);
    test_.store(test_.context_entry(kFunction), 0);
    invalidate_context(kFunction, 2);
    wait_for_queue();
    EXPECT_TRUE(sink_.all.empty());
}

TEST_F(ShadowedRequesterTest, FollowsANewRootTableAndAReset) {
    (void)started_with_a_page();
    test_.set_wide(Offset::RTADDR, test_.new_table());
    test_.command(spec::vtd::global::SRTP);
    settle();
    EXPECT_TRUE(sink_.all.empty());
    test_.unit().reset();
    settle();
    EXPECT_EQ(sink_.guest_of(kData), kData);
}

TEST_F(ShadowedRequesterTest, FollowsItsPlaceOnTheBus) {
    (void)started_with_a_page();
    test_.map(test_.set_context(kOther, 3), kIova, kData + 0x5000);
    shadow_->set_requester(kOther);
    settle();
    EXPECT_EQ(sink_.guest_of(kIova), kData + 0x5000);
}

TEST_F(ShadowedRequesterTest, ALimitIsRecordedForTheGuestAndSaidOnce) {
    const auto table = test_.set_context(kFunction, 1);
    for (std::uint64_t page = 0; page < 6; ++page) test_.map(table, kIova + 0x2000 * page, kData + 0x1000 * page);
    shadow(4);
    translation_on();
    EXPECT_EQ(sink_.all.size(), 4u);
    const auto faults = test_.take_faults();
    ASSERT_EQ(faults.size(), 1u);
    EXPECT_EQ(faults[0].requester, kFunction.value);
    EXPECT_EQ(faults[0].address, kIova + 4 * 0x2000);
    invalidate_pages(1, kIova + 5 * 0x2000);
    wait_for_queue();
    EXPECT_EQ(shortages_, 1);
    EXPECT_EQ(shadow_->shortage_count(), 2u);
}

TEST_F(ShadowedRequesterTest, ClosingAnswersWhatWaits) {
    (void)started_with_a_page();
    std::promise<void> may_go_on;
    std::atomic<int> entered{0}, answered{0};
    sink_.before_call = [&, future = may_go_on.get_future().share()] {
        ++entered;
        future.wait();
    };
    test_.store(test_.context_entry(kFunction), 0);
    shadow_->translation_changed([&] { ++answered; });
    wait_until([&] { return entered.load() == 1; });
    shadow_->translation_changed([&] { ++answered; });
    std::jthread closing([&] { close(); });
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    may_go_on.set_value();
    closing.join();
    EXPECT_EQ(answered, 2);
    shadow_->translation_changed([&] { ++answered; });
    EXPECT_EQ(answered, 3) << "there is nobody to tell";
}

} // namespace
} // namespace touka::iommu
