#include "memory/dma_window.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace touka::memory {
namespace {

constexpr std::uint64_t kPages = 4;

/// Pages in a row, of which some cannot be reached, that remembers what it was asked for.
class AskedSpace final : public DmaSpace {
public:
    struct Asked {
        std::uint64_t address, length_bytes;
        bool operator==(const Asked&) const = default;
    };
    std::expected<std::span<std::byte>, DmaFault> translate(Iova address, std::uint64_t length_bytes,
                                                            DmaAccess access) override {
        asked.push_back({address.value, length_bytes});
        if (!reachable[address.value / spec::kPageSize]) return std::unexpected(DmaFault{address, access});
        const std::uint64_t within = std::min(length_bytes, ends_at - address.value);
        return std::span(bytes).subspan(address.value, within);
    }
    void written(std::span<const std::byte>) override {}
    void take_something_away() {
        revoked([] {});
    }

    std::vector<std::byte> bytes = std::vector<std::byte>(kPages * spec::kPageSize);
    std::array<bool, kPages> reachable{true, true, true, true};
    std::uint64_t ends_at = kPages * spec::kPageSize;
    std::vector<Asked> asked;
};

class Window : public ::testing::Test {
protected:
    /// An entry of 64 bytes in a ring that ends with the last page.
    std::span<std::byte> at(std::uint64_t address, std::uint64_t ring_end = kPages * spec::kPageSize) {
        const auto use = space_.use();
        return window_.at(space_, Iova{address}, 64, Iova{ring_end});
    }
    AskedSpace space_;
    DmaWindow window_{DmaAccess::kRead};
};

TEST_F(Window, EntriesOfOnePageAreTranslatedOnce) {
    for (std::uint64_t address = 0; address < spec::kPageSize; address += 64) {
        const auto entry = at(address);
        ASSERT_EQ(entry.size(), 64u);
        EXPECT_EQ(entry.data(), space_.bytes.data() + address);
    }
    EXPECT_EQ(space_.asked, (std::vector<AskedSpace::Asked>{{0, spec::kPageSize}}));
}

TEST_F(Window, AnotherPageIsAskedForWhenItIsReached) {
    space_.reachable[1] = false;
    EXPECT_EQ(at(spec::kPageSize - 64).size(), 64u) << "what is behind is nobody's business yet";
    EXPECT_TRUE(at(spec::kPageSize).empty());
    EXPECT_EQ(at(2 * spec::kPageSize).size(), 64u);
    EXPECT_EQ(space_.asked.size(), 3u);
}

TEST_F(Window, AFaultIsAskedForAgain) {
    space_.reachable[0] = false;
    EXPECT_TRUE(at(0).empty());
    space_.reachable[0] = true;
    EXPECT_EQ(at(0).size(), 64u);
}

TEST_F(Window, NothingBeyondTheRingIsAskedFor) {
    EXPECT_EQ(at(128, 256).size(), 64u);
    EXPECT_EQ(space_.asked.back(), (AskedSpace::Asked{128, 128}));
}

TEST_F(Window, WhatIsBeforeTheFirstEntryIsTranslatedWhenTheRingComesRound) {
    EXPECT_EQ(at(128).size(), 64u);
    EXPECT_EQ(at(0).data(), space_.bytes.data());
    EXPECT_EQ(space_.asked.size(), 2u);
}

TEST_F(Window, IsForgottenWhenTheSpaceTakesMemoryAway) {
    EXPECT_EQ(at(0).size(), 64u);
    space_.take_something_away();
    space_.reachable[0] = false;
    EXPECT_TRUE(at(0).empty());
}

TEST_F(Window, AnEntryThatDoesNotLieTogetherComesInPart) {
    space_.ends_at = 100;
    EXPECT_EQ(at(64).size(), 36u);
    EXPECT_EQ(at(0).size(), 64u);
    EXPECT_EQ(at(64).size(), 36u) << "from what is kept, too";
}

} // namespace
} // namespace touka::memory
