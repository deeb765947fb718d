#include <chrono>

#include "devices/nvme/test_fixture.hpp"
#include "runtime/shared_mapping.hpp"
#include "spec/nvme/log_page.hpp"

namespace touka::devices::nvme {
namespace {

using namespace spec::nvme;
using runtime::SharedMapping;
using test::admin_command;
using test::block_command;
using test::TestDriver;

/// A driver in another process: it has the page of doorbells mapped, and rings by storing there.
class PolledDoorbells : public test::NvmeFixture {
protected:
    void SetUp() override {
        test::TestMachine& machine = machine_;
        NvmePciContext context = machine.context();
        context.polled = true;
        function_ = std::make_unique<NvmePciFunction>("nvme@00:03.0", subsystem_, configuration(), context);
        driver_ = std::make_unique<TestDriver>(machine, *function_);
        page_ = map();
    }
    [[nodiscard]] SharedMapping map() {
        return SharedMapping::map(function_->doorbell_file(), kDoorbells, DoorbellPage::kPageBytes).value();
    }
    static void store(const SharedMapping& page, std::size_t index, std::uint32_t value) {
        auto* const words = reinterpret_cast<std::uint32_t*>(page.bytes().data());
        std::atomic_ref(words[index]).store(value, std::memory_order_release);
    }
    /// Waits for what nobody is told of.
    [[nodiscard]] std::optional<CompletionEntry> wait(TestDriver::Queue& queue) {
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
        while (std::chrono::steady_clock::now() < until) {
            if (const auto entry = driver_->take(queue, false)) return entry;
        }
        return std::nullopt;
    }
    /// One read of the volume, rung by a store into the page. @return whether it ended well.
    [[nodiscard]] bool read_by(const SharedMapping& page) {
        (void)driver_->put(driver_->io, block_command(IoOpcode::kRead, 0, 1, data_));
        store(page, 2, driver_->io.tail);
        const auto entry = wait(driver_->io);
        store(page, 3, driver_->io.head);
        return entry && entry->status_phase >> 1 == 0;
    }

    SharedMapping page_;
};

TEST_F(PolledDoorbells, AStoreIntoThePageIsSeenWithoutAWrite) {
    ASSERT_TRUE(driver_->bring_up());
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(read_by(page_)) << i; // several times around both queues
}

TEST_F(PolledDoorbells, WritesByMessageAreSeenToo) {
    ASSERT_TRUE(driver_->bring_up());
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 1, data_)), Status::kSuccess);
}

TEST_F(PolledDoorbells, AValueBeyondTheQueueIsReportedOnceAndDoesNothing) {
    ASSERT_TRUE(driver_->bring_up());
    (void)driver_->submit(driver_->admin, admin_command(AdminOpcode::kAsyncEventRequest));
    store(page_, 2, 99);
    const auto event = wait(driver_->admin);
    ASSERT_TRUE(event.has_value());
    EXPECT_EQ(event->dw0 & 0xFFFF, 0x0100u) << "an error event: invalid doorbell write value";
    EXPECT_TRUE(read_by(page_));
}

TEST_F(PolledDoorbells, AfterAResetTheyAreZeroAndDoNothing) {
    ASSERT_TRUE(driver_->bring_up());
    ASSERT_TRUE(read_by(page_));
    ASSERT_TRUE(driver_->bring_up());
    EXPECT_EQ(*reinterpret_cast<std::uint32_t*>(page_.bytes().data() + 8), 0u);
    EXPECT_TRUE(read_by(page_));
}

TEST_F(PolledDoorbells, APageThatWasReplacedRingsNothing) {
    function_->reset();
    function_->renew_doorbells();
    ASSERT_TRUE(driver_->bring_up());
    (void)driver_->put(driver_->io, block_command(IoOpcode::kRead, 0, 1, data_));
    store(page_, 2, driver_->io.tail);
    driver_->settle();
    EXPECT_FALSE(driver_->take(driver_->io).has_value());
    const SharedMapping fresh = map();
    store(fresh, 2, driver_->io.tail);
    EXPECT_TRUE(wait(driver_->io).has_value());
}

TEST_F(PolledDoorbells, WhatIsStoredWhilePausedIsDoneAfterwards) {
    ASSERT_TRUE(driver_->bring_up());
    function_->pause();
    (void)driver_->put(driver_->io, block_command(IoOpcode::kRead, 0, 1, data_));
    store(page_, 2, driver_->io.tail);
    driver_->settle();
    EXPECT_FALSE(driver_->take(driver_->io).has_value());
    function_->resume();
    EXPECT_TRUE(wait(driver_->io).has_value());
}

} // namespace
} // namespace touka::devices::nvme
