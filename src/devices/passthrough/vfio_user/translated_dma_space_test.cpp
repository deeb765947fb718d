#include "devices/passthrough/vfio_user/translated_dma_space.hpp"

#include <gtest/gtest.h>

#include <future>
#include <map>
#include <thread>

#include "runtime/shared_mapping.hpp"

namespace touka::devices::passthrough {
namespace {

using memory::DmaAccess;
using memory::Iova;

constexpr std::uint64_t kRamBytes = 4 << 20, kRam = 0x4000'0000, kIova = 0xFFFF'0000, kPage = 4096;

/// Answers from a list, and counts.
class ListSource final : public TranslationSource {
public:
    std::optional<std::vector<TranslatedRun>> translate(Iova first, std::uint64_t length_bytes) override {
        questions.push_back({first.value, first.value + (length_bytes - 1)});
        auto now = answer;
        if (before_answer) before_answer();
        return now;
    }
    std::vector<TranslatedDmaSpace::Extent> questions;
    std::optional<std::vector<TranslatedRun>> answer = std::vector<TranslatedRun>{};
    std::function<void()> before_answer;
};

class TranslatedDmaSpaceTest : public testing::Test {
protected:
    TranslatedDmaSpaceTest() {
        space_.begin(source_);
        EXPECT_TRUE(granted_.grant(Iova{kRam}, kRamBytes, {true, true}, ram_.first, 0));
    }
    ~TranslatedDmaSpaceTest() override {
        granted_.revoke_all([](const auto&) {});
        space_.end();
    }
    static TranslatedRun run(std::uint64_t address, std::uint64_t offset, std::uint64_t pages = 1,
                             DmaRights rights = {true, true}) {
        return {Iova{address}, Iova{kRam + offset}, pages * kPage, rights};
    }
    std::byte* at(std::uint64_t offset) {
        const auto found = granted_.find(Iova{kRam + offset}, 1, DmaAccess::kRead);
        return found.data();
    }
    std::byte* place(std::uint64_t address, DmaAccess access = DmaAccess::kRead) {
        const auto use = space_.use();
        const auto found = space_.translate(Iova{address}, 1, access);
        return found ? found->data() : nullptr;
    }
    bool invalidate(std::vector<TranslatedDmaSpace::Extent> extents) {
        auto done = std::make_shared<bool>(false);
        space_.invalidate(std::move(extents), false, [done] { *done = true; });
        return *done;
    }

    std::pair<runtime::UniqueFd, runtime::SharedMapping> ram_ =
        runtime::SharedMapping::create("ram", kRamBytes).value();
    MappedDmaSpace granted_{"test"};
    TranslatedDmaSpace space_{granted_};
    std::shared_ptr<ListSource> source_ = std::make_shared<ListSource>();
};

TEST_F(TranslatedDmaSpaceTest, AsksOnceAndKeepsAllThatItWasTold) {
    source_->answer = {run(kIova, 0x3000, 2), run(kIova + 0x8000, 0x9000)};
    EXPECT_EQ(place(kIova + 0x10), at(0x3010));
    EXPECT_EQ(place(kIova + 0x1000), at(0x4000));
    EXPECT_EQ(place(kIova + 0x8FFF), at(0x9FFF));
    EXPECT_EQ(space_.request_count(), 1u);
    const auto use = space_.use();
    EXPECT_EQ(space_.translate(Iova{kIova + 0x800}, 0x10000, DmaAccess::kRead)->size(), 0x1800u) << "pages that go on";
}

TEST_F(TranslatedDmaSpaceTest, AsksForAllOfARequest) {
    source_->answer = {run(kIova, 0, 512)};
    const auto use = space_.use();
    EXPECT_EQ(space_.translate(Iova{kIova + 0x10}, 0x2000, DmaAccess::kRead)->size(), 0x2000u);
    EXPECT_EQ(source_->questions.at(0).first, kIova);
    EXPECT_EQ(source_->questions.at(0).last, kIova + 0x2FFF);
    EXPECT_TRUE(space_.translate(Iova{0x5000}, ~std::uint64_t{0}, DmaAccess::kRead).error().address == Iova{0x5000});
    EXPECT_EQ(source_->questions.at(1).last - source_->questions.at(1).first + 1, std::uint64_t{2} << 20);
}

TEST_F(TranslatedDmaSpaceTest, WhatIsNotTranslatedIsAFaultOfTheAddressThatWasUsed) {
    source_->answer = {run(kIova, 0, 1, {true, false})};
    EXPECT_NE(place(kIova), nullptr);
    EXPECT_EQ(place(kIova, DmaAccess::kWrite), nullptr);
    EXPECT_EQ(place(kIova + 0x1000), nullptr);
    EXPECT_EQ(place(kRam), nullptr) << "an address of the grants is none of the function's";
    EXPECT_EQ(place(~std::uint64_t{0}), nullptr);
    ASSERT_EQ(granted_.faults().count(), 4u);
    EXPECT_EQ(granted_.faults().last()[0].address, Iova{kIova});
    EXPECT_EQ(granted_.faults().last()[2].address, Iova{kRam});
}

TEST_F(TranslatedDmaSpaceTest, WhatIsNotThereIsAskedForAgain) {
    EXPECT_EQ(place(kIova), nullptr);
    source_->answer = {run(kIova, 0)};
    EXPECT_EQ(place(kIova), at(0)) << "no announcement is needed for a page that is new";
}

TEST_F(TranslatedDmaSpaceTest, ATranslationOutsideOfTheGrantsIsOfNoUse) {
    source_->answer = {{Iova{kIova}, Iova{0x1000}, kPage, {true, true}}};
    EXPECT_EQ(place(kIova), nullptr);
    EXPECT_EQ(place(kIova), nullptr);
    EXPECT_EQ(granted_.faults().last().at(0).address, Iova{kIova});
}

TEST_F(TranslatedDmaSpaceTest, NobodyWhoAnswersMeansNoMemory) {
    source_->answer = std::nullopt;
    EXPECT_EQ(place(kIova), nullptr);
    source_->answer = {run(kIova, 0)};
    EXPECT_NE(place(kIova), nullptr);
    space_.lose_source();
    EXPECT_EQ(place(kIova), nullptr) << "nor by what was kept";
}

TEST_F(TranslatedDmaSpaceTest, IsTheGrantsWhereAddressesAreTranslated) {
    bool done = false;
    space_.invalidate({TranslatedDmaSpace::Extent{}}, true, [&] { done = true; });
    EXPECT_TRUE(done);
    EXPECT_EQ(place(kRam + 5), at(5));
    EXPECT_EQ(space_.request_count(), 0u);
    EXPECT_TRUE(invalidate({}));
    EXPECT_EQ(place(kRam + 5), nullptr);
}

TEST_F(TranslatedDmaSpaceTest, AnInvalidationForgetsWhatItNames) {
    source_->answer = {run(kIova, 0, 2)};
    EXPECT_EQ(place(kIova), at(0));
    source_->answer = {run(kIova, 0x5000)};
    EXPECT_TRUE(invalidate({{kIova, kIova + 0xFFF}}));
    EXPECT_EQ(place(kIova + 0x1000), at(0x1000));
    EXPECT_EQ(space_.request_count(), 1u);
    EXPECT_EQ(place(kIova), at(0x5000));
}

TEST_F(TranslatedDmaSpaceTest, ALargeRunIsForgottenByAnyAddressOfIt) {
    source_->answer = {run(0x20'0000, 0x20'0000, 512)};
    EXPECT_EQ(place(0x2F'F123), at(0x2F'F123));
    source_->answer.emplace();
    EXPECT_TRUE(invalidate({{0x21'0000, 0x21'0FFF}}));
    EXPECT_EQ(place(0x21'0000), nullptr);
}

TEST_F(TranslatedDmaSpaceTest, AnInvalidationWaitsForUsesThatBeganBefore) {
    source_->answer = {run(kIova, 0)};
    auto use = space_.use();
    ASSERT_TRUE(space_.translate(Iova{kIova}, 1, DmaAccess::kWrite));
    bool done = false;
    space_.invalidate({{kIova, kIova + 0xFFF}}, false, [&] { done = true; });
    EXPECT_FALSE(done);
    use.end();
    EXPECT_TRUE(done);
}

TEST_F(TranslatedDmaSpaceTest, AnInvalidationWaitsForHoldsOfWhatItNamesAlone) {
    source_->answer = {run(kIova, 0), run(kIova + 0x1000, 0x8000)};
    memory::DmaHold hold;
    {
        const auto use = space_.use();
        hold.add({Iova{kIova}, *space_.translate(Iova{kIova}, 16, DmaAccess::kWrite), DmaAccess::kWrite});
        space_.hold(hold);
    }
    EXPECT_TRUE(invalidate({{kIova + 0x1000, kIova + 0x1FFF}}));
    bool done = false;
    space_.invalidate({{kIova, kIova}}, false, [&] { done = true; });
    EXPECT_FALSE(done);
    hold.end();
    EXPECT_TRUE(done);
}

TEST_F(TranslatedDmaSpaceTest, AGrantIsTakenAwayWhenNoHoldReachesItByTranslation) {
    source_->answer = {run(kIova, 0)};
    memory::DmaHold hold;
    {
        const auto use = space_.use();
        hold.add({Iova{kIova}, *space_.translate(Iova{kIova}, 16, DmaAccess::kWrite), DmaAccess::kWrite});
        space_.hold(hold);
    }
    bool done = false;
    ASSERT_TRUE(granted_.revoke(Iova{kRam}, kRamBytes, [&](const auto&) { done = true; }));
    EXPECT_FALSE(done);
    hold.end();
    EXPECT_TRUE(done);
}

TEST_F(TranslatedDmaSpaceTest, AnAnswerThatWasInvalidatedOnItsWayIsUsedOnceAndNotKept) {
    source_->answer = {run(kIova, 0)};
    bool done = false;
    source_->before_answer = [&] { // the client has looked at its tables, and then they changed
        source_->before_answer = {};
        space_.invalidate({{kIova, kIova + 0xFFF}}, false, [&] { done = true; });
        source_->answer = {run(kIova, 0x5000)};
    };
    {
        const auto use = space_.use();
        EXPECT_EQ(space_.translate(Iova{kIova}, 1, DmaAccess::kRead)->data(), at(0));
        EXPECT_FALSE(done) << "whoever uses it is waited for";
    }
    EXPECT_TRUE(done);
    EXPECT_EQ(place(kIova), at(0x5000));
}

TEST_F(TranslatedDmaSpaceTest, ThreadsThatMissTogetherAskOneAfterTheOtherAndShareTheAnswer) {
    source_->answer = {run(kIova, 0, 64)};
    std::vector<std::jthread> threads;
    for (std::uint64_t i = 0; i < 4; ++i)
        threads.emplace_back([this, i] { EXPECT_EQ(place(kIova + i * kPage), at(i * kPage)); });
    threads.clear();
    EXPECT_EQ(space_.request_count(), 1u);
}

TEST_F(TranslatedDmaSpaceTest, ReadsAndWritesOverPagesThatLieApart) {
    source_->answer = {run(kIova, 0x8000), run(kIova + 0x1000, 0x3000)};
    const std::array<std::byte, 4> bytes{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
    ASSERT_TRUE(space_.write(Iova{kIova + 0xFFE}, bytes));
    EXPECT_EQ(*at(0x8FFF), std::byte{2});
    EXPECT_EQ(*at(0x3000), std::byte{3});
    std::array<std::byte, 4> back{};
    ASSERT_TRUE(space_.read(Iova{kIova + 0xFFE}, back));
    EXPECT_EQ(back, bytes);
}

} // namespace
} // namespace touka::devices::passthrough
