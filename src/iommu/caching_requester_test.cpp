#include "iommu/caching_requester.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <utility>

#include "iommu/test_unit.hpp"

namespace touka::iommu {
namespace {

using spec::vtd::Offset;
using spec::vtd::TranslationType;

constexpr Invalidation kEverything{.cache = Invalidation::Cache::kIotlb, .requester = {}};

/// What a device was told.
class RecordingDevice final : public CachingDevice {
public:
    void forget(std::span<const Extent> extents, bool untranslated) override {
        if (before_answer) before_answer();
        const std::scoped_lock lock(mutex_);
        forgotten_.insert(forgotten_.end(), extents.begin(), extents.end());
        untranslated_ = untranslated;
    }
    [[nodiscard]] std::vector<Extent> take() {
        const std::scoped_lock lock(mutex_);
        return std::exchange(forgotten_, {});
    }
    [[nodiscard]] bool untranslated() {
        const std::scoped_lock lock(mutex_);
        return untranslated_;
    }
    std::function<void()> before_answer;

private:
    std::mutex mutex_;
    std::vector<Extent> forgotten_;
    bool untranslated_ = false;
};

class CachingRequesterTest : public testing::Test {
protected:
    static constexpr RequesterId kFunction{0x0018}, kOther{0x0020};
    static constexpr std::uint64_t kIova = 0x1234'5000, kData = TestUnit::kData;

    ~CachingRequesterTest() override { close(); }
    void close() {
        if (caching_) test_.unit().remove_caching(caching_);
        if (caching_) caching_->close();
    }
    void answer() {
        caching_ = test_.unit().add_caching(kFunction, device_);
        settle();
    }
    void settle() const {
        std::promise<void> done;
        caching_->translation_changed([&] { done.set_value(); });
        done.get_future().wait();
    }
    template <class Condition>
    static void wait_until(const Condition& holds) {
        for (int i = 0; i < 5000 && !holds(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        EXPECT_TRUE(holds());
    }
    bool translation_is_on() { return (test_.get(Offset::GSTS) & spec::vtd::global::TE) != 0; }
    /// With one page in domain 1, and nothing told since.
    std::uint64_t started_with_a_page() {
        const auto table = test_.set_context(kFunction, 1);
        test_.map(table, kIova, kData);
        answer();
        test_.enable_translation();
        wait_until([&] { return translation_is_on(); });
        test_.enable_queue();
        (void)device_.take();
        return table;
    }
    bool status_written() {
        return std::atomic_ref(*reinterpret_cast<std::uint32_t*>(test_.ram().base() + TestUnit::kStatus)).load() == 5;
    }
    void invalidate_page(std::uint16_t domain, std::uint64_t address) {
        test_.submit(2 | 3 << 4 | std::uint64_t{domain} << 16, address);
    }
    void invalidate_domain(std::uint16_t domain) { test_.submit(2 | 2 << 4 | std::uint64_t{domain} << 16); }
    void invalidate_context(RequesterId id, std::uint16_t domain) {
        test_.submit(1 | 3 << 4 | std::uint64_t{domain} << 16 | std::uint64_t{id.value} << 32);
    }
    void wait_for_queue() {
        test_.submit_wait();
        wait_until([&] { return status_written(); });
    }

    TestUnit test_;
    RecordingDevice device_;
    std::shared_ptr<CachingRequester> caching_;
};

TEST_F(CachingRequesterTest, NeedsNoTranslationsUntilTheGuestTranslates) {
    answer();
    EXPECT_TRUE(device_.untranslated());
    const auto table = test_.set_context(kFunction, 1);
    test_.map(table, kIova, kData);
    std::promise<void> may_go_on;
    device_.before_answer = [future = may_go_on.get_future().share()] { future.wait(); };
    test_.enable_translation();
    EXPECT_FALSE(translation_is_on()) << "not before the device was told";
    may_go_on.set_value();
    wait_until([&] { return translation_is_on(); });
    EXPECT_FALSE(device_.untranslated());
    const auto found = caching_->translate(kIova, 0x1000);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].guest, kData);
}

TEST_F(CachingRequesterTest, NeedsNoTranslationsWhereItsContextPassesThrough) {
    (void)test_.set_context(kFunction, 1, 4, TranslationType::kPassThrough);
    answer();
    test_.enable_translation();
    wait_until([&] { return translation_is_on(); });
    EXPECT_TRUE(device_.untranslated());
}

TEST_F(CachingRequesterTest, AContextThatPassesThroughIsFoundAtTheNextQuestion) {
    answer();
    test_.enable_translation();
    wait_until([&] { return translation_is_on(); });
    EXPECT_FALSE(device_.untranslated()) << "there is no context entry yet";
    EXPECT_TRUE(caching_->translate(0, 0x1000).empty());
    (void)test_.set_context(kFunction, 1, 4, TranslationType::kPassThrough); // not present before: nothing to tell
    EXPECT_EQ(caching_->translate(0x3000, 0x1000).at(0).guest, 0u);
    wait_until([&] { return device_.untranslated(); });
}

TEST_F(CachingRequesterTest, AnswersWithWhatIsMappedAround) {
    const auto table = started_with_a_page();
    test_.map(table, kIova + 0x1000, kData + 0x1000);
    test_.map(table, kIova + 0x5000, kData, TestUnit::kRead);
    test_.map(table, kIova + CachingRequester::kWindowBytes, kData);
    const auto found = caching_->translate(kIova + 0x3000, 0x1000);
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found[0].iova, kIova);
    EXPECT_EQ(found[0].length_bytes, 0x2000u);
    EXPECT_EQ(found[1].iova, kIova + 0x5000);
    EXPECT_FALSE(found[1].write);
    EXPECT_EQ(test_.take_faults().size(), 0u) << "a question is no access";
}

TEST_F(CachingRequesterTest, APageThatIsNewNeedsNoAnnouncement) {
    const auto table = started_with_a_page();
    EXPECT_EQ(caching_->translate(kIova, 0x2000).at(0).length_bytes, 0x1000u);
    test_.map(table, kIova + 0x1000, kData + 0x1000);
    EXPECT_EQ(caching_->translate(kIova, 0x2000).at(0).length_bytes, 0x2000u);
}

TEST_F(CachingRequesterTest, AWaitDescriptorIsCompleteWhenTheDeviceHasForgotten) {
    const auto table = started_with_a_page();
    (void)caching_->translate(kIova, 0x1000);
    std::promise<void> may_go_on;
    device_.before_answer = [future = may_go_on.get_future().share()] { future.wait(); };
    test_.store(test_.paging_entry(table, kIova, 1), 0);
    invalidate_page(1, kIova);
    test_.submit_wait();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_FALSE(status_written());
    EXPECT_TRUE(caching_->translate(kIova, 0x1000).empty());
    may_go_on.set_value();
    wait_until([&] { return status_written(); });
    EXPECT_EQ(device_.take(), (std::vector<Extent>{{kIova, kIova + 0xFFF}}));
}

TEST_F(CachingRequesterTest, ALaterInvalidationIsNotAnsweredBeforeTheDeviceHasForgottenForAnEarlierOne) {
    const auto table = started_with_a_page();
    (void)caching_->translate(kIova, 0x1000);
    std::promise<void> may_go_on;
    device_.before_answer = [future = may_go_on.get_future().share()] { future.wait(); };
    test_.store(test_.paging_entry(table, kIova, 1), 0);
    caching_->invalidate(kEverything, [] {});
    std::atomic<bool> second{false};
    caching_->invalidate(kEverything, [&] { second = true; });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_FALSE(second.load());
    may_go_on.set_value();
    wait_until([&] { return second.load(); });
}

TEST_F(CachingRequesterTest, TheDeviceIsToldOnlyOfWhatWasGivenAndIsNotSoAnyMore) {
    const auto table = started_with_a_page();
    test_.map(table, kIova + 0x10000, kData + 0x1000);
    (void)caching_->translate(kIova, 0x1000);
    const auto told = caching_->told_count();
    invalidate_domain(1);
    invalidate_page(1, 0x7000'0000);
    invalidate_domain(2);
    wait_for_queue();
    EXPECT_EQ(caching_->told_count(), told);
    test_.store(test_.paging_entry(table, kIova + 0x10000, 1), 0);
    invalidate_domain(1);
    wait_for_queue();
    EXPECT_EQ(device_.take(), (std::vector<Extent>{{kIova + 0x10000, kIova + 0x10FFF}}));
}

TEST_F(CachingRequesterTest, AContextThatIsTakenAwayTakesAllThatItGave) {
    (void)started_with_a_page();
    (void)caching_->translate(kIova, 0x1000);
    test_.store(test_.context_entry(kFunction), 0);
    invalidate_context(kOther, 1);
    wait_for_queue();
    EXPECT_TRUE(device_.take().empty());
    invalidate_context(kFunction, 1);
    wait_for_queue();
    EXPECT_EQ(device_.take(), (std::vector<Extent>{{kIova, kIova + 0xFFF}}));
    EXPECT_TRUE(caching_->translate(kIova, 0x1000).empty());
}

TEST_F(CachingRequesterTest, AnotherPlaceOnTheBusHasAnotherTable) {
    (void)started_with_a_page();
    (void)caching_->translate(kIova, 0x1000);
    caching_->set_requester(kOther);
    settle();
    EXPECT_EQ(device_.take(), (std::vector<Extent>{{kIova, kIova + 0xFFF}}));
}

TEST_F(CachingRequesterTest, OneThatIsClosedAnswersEveryInvalidationAndNoQuestion) {
    (void)started_with_a_page();
    (void)caching_->translate(kIova, 0x1000);
    caching_->close();
    bool done = false;
    caching_->invalidate(kEverything, [&] { done = true; });
    EXPECT_TRUE(done);
    EXPECT_TRUE(caching_->translate(kIova, 0x1000).empty());
}

} // namespace
} // namespace touka::iommu
