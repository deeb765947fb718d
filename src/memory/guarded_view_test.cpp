#include "memory/guarded_view.hpp"

#include <gtest/gtest.h>

#include <sys/uio.h>
#include <unistd.h>

#include "memory/code_pages.hpp"
#include "memory/guest_memory.hpp"

namespace touka::memory {
namespace {

/// Whether the kernel may write there, which obeys protections and raises no signal.
bool may_write(std::byte* at) {
    char value = static_cast<char>(*at);
    const iovec from{&value, 1}, to{at, 1};
    return ::process_vm_writev(::getpid(), &from, 1, &to, 1, 0) == 1;
}

class View : public testing::Test {
protected:
    void SetUp() override { ASSERT_TRUE(memory_->guard_stores()); }

    [[nodiscard]] std::byte* page(std::uint64_t number) const { return memory_->stores() + number * spec::kPageSize; }

    std::unique_ptr<GuestMemory> memory_ = std::move(*GuestMemory::create(2 << 20));
};

TEST_F(View, ShowsTheBytesOfRam) {
    EXPECT_NE(memory_->stores(), memory_->base());
    memory_->base()[0x1234] = std::byte{7};
    EXPECT_EQ(memory_->stores()[0x1234], std::byte{7});
    memory_->stores()[0x1234] = std::byte{8};
    EXPECT_EQ(memory_->base()[0x1234], std::byte{8});
}

TEST(UnguardedStores, GoToTheOneMappingThereIs) {
    const auto memory = std::move(*GuestMemory::create(2 << 20));
    EXPECT_EQ(memory->stores(), memory->base());
}

TEST_F(View, APageThatOthersMayWriteIsReadOnlyWhileItHoldsCode) {
    CodePages& pages = memory_->code_pages();
    ASSERT_TRUE(pages.take_right(5, pages.new_holder()));
    EXPECT_FALSE(pages.mark(5, pages.new_holder()));
    EXPECT_FALSE(may_write(page(5)));
    EXPECT_TRUE(may_write(page(5) - 1));
    EXPECT_TRUE(may_write(page(6)));
    EXPECT_TRUE(may_write(memory_->base() + 5 * spec::kPageSize)); // for everybody else
    pages.invalidate(5);
    EXPECT_TRUE(may_write(page(5)));
}

TEST_F(View, APageThatSeveralMayWriteIsReadOnlyWhicheverOfThemMarksIt) {
    CodePages& pages = memory_->code_pages();
    const CodePages::Holder one = pages.new_holder(), other = pages.new_holder();
    ASSERT_TRUE(pages.take_right(5, one));
    ASSERT_TRUE(pages.take_right(5, other));
    EXPECT_FALSE(pages.mark(5, one));
    EXPECT_FALSE(may_write(page(5)));
}

TEST_F(View, APageThatNobodyMayWriteStaysAsItIs) {
    EXPECT_FALSE(memory_->code_pages().mark(5));
    EXPECT_TRUE(may_write(page(5)));
}

} // namespace
} // namespace touka::memory
