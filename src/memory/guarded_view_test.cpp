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
    void SetUp() override { ASSERT_NE(view_, nullptr); }

    std::unique_ptr<GuestMemory> memory_ = std::move(*GuestMemory::create(2 << 20));
    const GuardedView* view_ = memory_->guarded_view();
};

TEST_F(View, ShowsTheBytesOfRamInBothMappings) {
    memory_->base()[0x1234] = std::byte{7};
    EXPECT_EQ(view_->writable()[0x1234], std::byte{7});
    EXPECT_EQ(view_->read_only()[0x1234], std::byte{7});
    view_->writable()[0x1234] = std::byte{8};
    EXPECT_EQ(memory_->base()[0x1234], std::byte{8});
}

TEST_F(View, OneMappingIsReadOnlyThroughout) {
    EXPECT_TRUE(may_write(view_->writable()));
    EXPECT_FALSE(may_write(view_->read_only()));
}

TEST_F(View, APageThatOthersMayWriteIsReadOnlyWhileItHoldsCode) {
    CodePages& pages = memory_->code_pages();
    ASSERT_TRUE(pages.take_right(5, pages.new_holder()));
    EXPECT_FALSE(pages.mark(5, pages.new_holder()));
    EXPECT_FALSE(may_write(view_->writable() + 5 * spec::kPageSize));
    EXPECT_TRUE(may_write(view_->writable() + 5 * spec::kPageSize - 1));
    EXPECT_TRUE(may_write(view_->writable() + 6 * spec::kPageSize));
    EXPECT_TRUE(may_write(memory_->base() + 5 * spec::kPageSize)); // for everybody else
    pages.invalidate(5);
    EXPECT_TRUE(may_write(view_->writable() + 5 * spec::kPageSize));
}

TEST_F(View, APageThatSeveralMayWriteIsReadOnlyWhicheverOfThemMarksIt) {
    CodePages& pages = memory_->code_pages();
    const CodePages::Holder one = pages.new_holder(), other = pages.new_holder();
    ASSERT_TRUE(pages.take_right(5, one));
    ASSERT_TRUE(pages.take_right(5, other));
    EXPECT_FALSE(pages.mark(5, one));
    EXPECT_FALSE(may_write(view_->writable() + 5 * spec::kPageSize));
}

TEST_F(View, APageThatNobodyMayWriteStaysAsItIs) {
    EXPECT_FALSE(memory_->code_pages().mark(5));
    EXPECT_TRUE(may_write(view_->writable() + 5 * spec::kPageSize));
}

TEST_F(View, AHolderWhoKnowsNotAllOfHisRightsProtectsThePage) {
    CodePages& pages = memory_->code_pages();
    const CodePages::Holder self = pages.new_holder();
    ASSERT_TRUE(pages.take_right(5, self));
    ASSERT_TRUE(pages.mark(5, self));
    pages.protect(5);
    EXPECT_FALSE(may_write(view_->writable() + 5 * spec::kPageSize));
}

} // namespace
} // namespace touka::memory
