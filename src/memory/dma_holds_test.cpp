#include "memory/dma_holds.hpp"

#include <gtest/gtest.h>

#include <array>

#include "memory/dma_space.hpp"
#include "memory/guest_memory.hpp"

namespace touka::memory {
namespace {

/// A space that can take back what it gave; `Holds` says whether it asks who holds what.
template <bool Holds>
class RevokingSpace final : public DmaSpace {
public:
    std::expected<std::span<std::byte>, DmaFault> translate(Iova address, std::uint64_t, DmaAccess access) override {
        return std::unexpected(DmaFault{address, access});
    }
    void written(std::span<const std::byte>) override {}
    void take(Iova address, std::function<void()> done) {
        if (!Holds) return revoked(std::move(done));
        revoked([this, address, done] {
            holds.when_over([address](const DmaHold& hold) { return hold.ranges()[0].address == address; }, done);
        });
    }
    DmaHolds holds;

protected:
    void begin_hold(DmaHold& hold) override {
        if (Holds) {
            begin_hold_in(holds, hold);
        } else {
            DmaSpace::begin_hold(hold);
        }
    }
};

void begin(DmaSpace& space, DmaHold& hold, std::uint64_t address) {
    const auto use = space.use();
    hold.add({Iova{address}, {}, DmaAccess::kRead});
    space.hold(hold);
}

TEST(DmaHolds, DelayWhoTakesTheirMemoryAndNobodyElse) {
    RevokingSpace<true> space;
    DmaHold one, other;
    begin(space, one, 1);
    begin(space, other, 2);
    int over = 0;
    space.take(Iova{1}, [&] { ++over; });
    space.take(Iova{1}, [&] { ++over; });
    space.take(Iova{3}, [&] { over += 10; });
    EXPECT_EQ(over, 10);
    other.end();
    EXPECT_EQ(over, 10);
    one.end();
    EXPECT_EQ(over, 12);
    begin(space, one, 1); // can begin again
    space.take(Iova{1}, [&] { ++over; });
    EXPECT_EQ(over, 12);
    one.end();
    EXPECT_EQ(over, 13);
}

TEST(DmaHolds, AreUsesWhereTheSpaceKnowsNoBetter) {
    RevokingSpace<false> space;
    int over = 0;
    {
        DmaHold hold;
        begin(space, hold, 1);
        space.take(Iova{2}, [&] { ++over; });
        EXPECT_EQ(over, 0);
    }
    EXPECT_EQ(over, 1);
}

TEST(DmaHolds, EndInAnyOrder) {
    RevokingSpace<true> space;
    std::array<DmaHold, 4> holds;
    for (std::uint64_t i = 0; i < holds.size(); ++i) begin(space, holds[i], i);
    for (const std::uint64_t i : {1, 3, 0, 2}) {
        bool over = false;
        space.take(Iova{i}, [&] { over = true; });
        EXPECT_FALSE(over);
        holds[i].end();
        holds[i].end();
        EXPECT_TRUE(over);
        EXPECT_FALSE(holds[i].active());
    }
}

} // namespace
} // namespace touka::memory
