#include "devices/nvme/test_fixture.hpp"

namespace touka::devices::nvme {
namespace {

using namespace spec::nvme;
using test::admin_command;
using test::block_command;
using test::TestDriver;

/// Remembers in which order blocks were read.
class OrderedVolume final : public storage::BlockDevice {
public:
    explicit OrderedVolume(storage::BlockDevice& volume) : volume_(volume) {}
    [[nodiscard]] const storage::BlockGeometry& geometry() const override { return volume_.geometry(); }
    void submit(storage::BlockRequest& request) override {
        blocks.push_back(request.offset_bytes / 512);
        volume_.submit(request);
    }
    void commit() override { volume_.commit(); }
    [[nodiscard]] std::size_t in_flight() const override { return volume_.in_flight(); }

    std::vector<std::uint64_t> blocks;

private:
    storage::BlockDevice& volume_;
};

class NvmeQueues : public test::NvmeFixture {
protected:
    Status create_completion(std::uint32_t id, std::uint32_t size, std::uint32_t flags_and_vector,
                             std::uint64_t address) {
        return admin(
            admin_command(AdminOpcode::kCreateCompletionQueue, 0, address, id | (size - 1) << 16, flags_and_vector));
    }
    Status create_submission(std::uint32_t id, std::uint32_t size, std::uint32_t completions, std::uint64_t address) {
        return admin(admin_command(AdminOpcode::kCreateSubmissionQueue, 0, address, id | (size - 1) << 16,
                                   kQueueContiguous | completions << 16));
    }
    Status remove(AdminOpcode opcode, std::uint32_t id) { return admin(admin_command(opcode, 0, 0, id)); }
};

TEST_F(NvmeQueues, EachRuleOfCreationHasItsStatus) {
    bring_up();
    EXPECT_EQ(create_completion(0, 8, 1, data_), Status::kInvalidQueueId);
    EXPECT_EQ(create_completion(1, 8, 1, data_), Status::kInvalidQueueId); // exists
    EXPECT_EQ(create_completion(5, 8, 1, data_), Status::kInvalidQueueId);
    EXPECT_EQ(create_completion(2, 1, 1, data_), Status::kInvalidQueueSize);
    EXPECT_EQ(create_completion(2, 1025, 1, data_), Status::kInvalidQueueSize);
    EXPECT_EQ(create_completion(2, 8, 0, data_), Status::kInvalidField); // not contiguous
    EXPECT_EQ(create_completion(2, 8, 1, data_ + 8), Status::kPrpOffsetInvalid);
    EXPECT_EQ(create_completion(2, 8, 1 | 5u << 16, data_), Status::kInvalidInterruptVector);
    EXPECT_EQ(create_submission(2, 8, 0, data_), Status::kInvalidQueueId);
    EXPECT_EQ(create_submission(2, 8, 9, data_), Status::kInvalidQueueId);
    EXPECT_EQ(create_submission(2, 8, 3, data_), Status::kCompletionQueueInvalid);
    EXPECT_EQ(create_submission(1, 8, 1, data_), Status::kInvalidQueueId);
    EXPECT_EQ(create_submission(2, 8, 1, data_), Status::kSuccess); // two to one completion queue
}

TEST_F(NvmeQueues, ACompletionQueueGoesAfterItsSubmissionQueues) {
    bring_up();
    EXPECT_EQ(remove(AdminOpcode::kDeleteCompletionQueue, 1), Status::kInvalidQueueDeletion);
    EXPECT_EQ(remove(AdminOpcode::kDeleteCompletionQueue, 0), Status::kInvalidQueueId);
    EXPECT_EQ(remove(AdminOpcode::kDeleteSubmissionQueue, 2), Status::kInvalidQueueId);
    EXPECT_EQ(remove(AdminOpcode::kDeleteSubmissionQueue, 1), Status::kSuccess);
    EXPECT_EQ(remove(AdminOpcode::kDeleteCompletionQueue, 1), Status::kSuccess);
    EXPECT_EQ(driver_->create(driver_->make_queue(1, 8), 0), Status::kSuccess);
}

TEST_F(NvmeQueues, DeletionWaitsForTheQueuesCommands) {
    bring_up();
    volume_.held = true;
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 1, data_)), TestDriver::kPending);
    EXPECT_EQ(remove(AdminOpcode::kDeleteSubmissionQueue, 1), TestDriver::kPending);
    EXPECT_EQ(remove(AdminOpcode::kDeleteSubmissionQueue, 1), Status::kInvalidQueueId); // it is on its way
    complete_held();
    EXPECT_TRUE(driver_->take(driver_->io, false));
    EXPECT_TRUE(driver_->take(driver_->admin));
}

class NvmeFullQueue : public NvmeQueues, public testing::WithParamInterface<bool> {};

TEST_P(NvmeFullQueue, HoldsBackAndLosesNothing) {
    volume_.at_commit = GetParam();
    make_function();
    driver_->enable_function();
    ASSERT_TRUE(driver_->enable_controller());
    TestDriver::Queue queue = driver_->make_queue(1, 16);
    // 16 commands' room, and completions of 4: 3 fit.
    ASSERT_EQ(create_completion(1, 4, 3 | 1u << 16, queue.completion), Status::kSuccess);
    ASSERT_EQ(create_submission(1, 16, 1, queue.submission), Status::kSuccess);
    for (int i = 0; i < 10; ++i) (void)driver_->put(queue, block_command(IoOpcode::kRead, 0, 1, data_));
    driver_->ring_tail(queue);
    queue.size = 4; // of the completions, from here on
    std::vector<std::uint16_t> seen;
    for (int i = 0; i < 3; ++i) seen.push_back(driver_->take(queue, false)->cid);
    EXPECT_FALSE(driver_->take(queue, false));
    driver_->ring_head(queue);
    while (const auto entry = driver_->take(queue)) seen.push_back(entry->cid);
    ASSERT_EQ(seen.size(), 10u);
    for (std::size_t i = 1; i < seen.size(); ++i) EXPECT_EQ(seen[i], seen[0] + i);
}

INSTANTIATE_TEST_SUITE_P(AtOnceAndTogether, NvmeFullQueue, testing::Bool());

TEST_F(NvmeQueues, CoalescingHoldsAnInterruptBackForSomeCompletionsOrSomeTime) {
    bring_up();
    EXPECT_EQ(set_feature(FeatureId::kInterruptCoalescing, 0xFF01), Status::kSuccess); // 2 completions, 25.5 ms
    (void)machine_.messages.take();
    EXPECT_EQ(io(block_command(IoOpcode::kFlush, 0, 1, 0)), Status::kSuccess);
    EXPECT_TRUE(machine_.messages.take().empty());
    EXPECT_EQ(io(block_command(IoOpcode::kFlush, 0, 1, 0)), Status::kSuccess);
    EXPECT_EQ(machine_.messages.take().size(), 1u);
    EXPECT_EQ(io(block_command(IoOpcode::kFlush, 0, 1, 0)), Status::kSuccess);
    std::vector<platform::MsiMessage> messages;
    for (int i = 0; i < 1000 && messages.empty(); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        messages = machine_.messages.take();
    }
    EXPECT_EQ(messages.size(), 1u);
    EXPECT_EQ(set_feature(FeatureId::kInterruptVector, 1 | 1u << 16), Status::kSuccess); // CD
    (void)machine_.messages.take();
    EXPECT_EQ(io(block_command(IoOpcode::kFlush, 0, 1, 0)), Status::kSuccess);
    EXPECT_EQ(machine_.messages.take().size(), 1u);
}

TEST_F(NvmeQueues, WeightsAndPrioritiesDecideWhoseCommandIsNext) {
    OrderedVolume ordered(volume_);
    (void)subsystem_.add_namespace(test::namespace_on(ordered));
    make_function();
    driver_->enable_function();
    ASSERT_TRUE(driver_->enable_controller(TestDriver::kEnable | 1u << 11));        // AMS
    EXPECT_EQ(set_feature(FeatureId::kArbitration, 0x0301'0000), Status::kSuccess); // high 4, medium 2, low 1; burst 1
    std::vector<TestDriver::Queue> queues;
    for (std::uint16_t id = 1; id <= 4; ++id) {
        const auto& queue = queues.emplace_back(driver_->make_queue(id, 16));
        ASSERT_EQ(create_completion(id, 16, kQueueContiguous, queue.completion), Status::kSuccess);
        const std::uint32_t priority = id == 1 ? 3 : id == 2 ? 2 : id == 3 ? 1 : 0; // low, medium, high, urgent
        ASSERT_EQ(admin(admin_command(AdminOpcode::kCreateSubmissionQueue, 0, queue.submission, id | 15u << 16,
                                      kQueueContiguous | priority << 1 | std::uint32_t{id} << 16)),
                  Status::kSuccess);
    }
    for (auto& queue : queues) {
        for (int i = 0; i < 8; ++i) (void)driver_->put(queue, block_command(IoOpcode::kRead, queue.id, 1, data_, 0, 2));
    }
    on_reactor([&] { // all doorbells before the controller looks
        for (const auto& queue : queues) driver_->write(kDoorbells + 8u * queue.id, queue.tail);
    });
    driver_->settle();
    // The block that a command reads says whose it was.
    const std::vector<std::uint64_t>& order = ordered.blocks;
    ASSERT_EQ(order.size(), 32u);
    EXPECT_EQ(std::vector(order.begin(), order.begin() + 8), std::vector<std::uint64_t>(8, 4)); // urgent
    EXPECT_EQ(std::vector(order.begin() + 8, order.begin() + 22),
              (std::vector<std::uint64_t>{3, 3, 3, 3, 2, 2, 1, 3, 3, 3, 3, 2, 2, 1}));
    driver_.reset(); // before the volume
    function_.reset();
}

TEST_F(NvmeQueues, ShadowDoorbellsWorkWithoutWritingTheRealOnes) {
    bring_up();
    const std::uint64_t shadow = machine_.allocate(8192);
    SubmissionEntry config = admin_command(AdminOpcode::kDoorbellBufferConfig, 0, shadow);
    config.prp2 = shadow + 5;
    EXPECT_EQ(admin(config), Status::kInvalidField);
    config.prp2 = shadow + 4096;
    EXPECT_EQ(admin(config), Status::kSuccess);
    (void)driver_->put(driver_->io, block_command(IoOpcode::kFlush, 0, 1, 0));
    driver_->store(shadow + 8, std::uint32_t{driver_->io.tail});
    driver_->settle();
    EXPECT_TRUE(driver_->take(driver_->io, false));
    EXPECT_EQ(driver_->load<std::uint32_t>(shadow + 4096 + 8), driver_->io.tail); // where it wants to hear of the next
}

TEST_F(NvmeQueues, ShadowDoorbellsOfCompletionsAreAskedForWhileThePinIsInUse) {
    bring_up();
    const std::uint64_t shadow = machine_.allocate(8192);
    SubmissionEntry config = admin_command(AdminOpcode::kDoorbellBufferConfig, 0, shadow);
    config.prp2 = shadow + 4096;
    EXPECT_EQ(admin(config), Status::kSuccess);
    const auto flush = [&] {
        (void)driver_->put(driver_->io, block_command(IoOpcode::kFlush, 0, 1, 0));
        driver_->store(shadow + 8, std::uint32_t{driver_->io.tail});
        driver_->settle();
        EXPECT_TRUE(driver_->take(driver_->io, false));
        driver_->store(shadow + 12, std::uint32_t{driver_->io.head});
        driver_->ring_head(driver_->io);
        driver_->settle();
        return driver_->load<std::uint32_t>(shadow + 4096 + 12);
    };
    EXPECT_EQ(flush(), 0u) << "messages are sent once, whatever is taken";
    const std::uint32_t msix = driver_->find_capability(spec::pci::CapabilityId::kMsix);
    driver_->config_write(msix + 2, 2, 0);
    EXPECT_EQ(flush(), driver_->io.head) << "its pin has to go down with the last";
    EXPECT_EQ(flush(), driver_->io.head);
}

TEST_F(NvmeQueues, UnknownCommandsAndReservedFieldsAreRefused) {
    bring_up();
    SubmissionEntry command{};
    command.opcode = 0x7F;
    EXPECT_EQ(admin(command), Status::kInvalidOpcode);
    EXPECT_TRUE((driver_->last.status_phase >> 1 & kStatusDoNotRetry) != 0);
    EXPECT_EQ(io(command), Status::kInvalidOpcode);
    command = block_command(IoOpcode::kFlush, 0, 1, 0);
    command.flags = kFuseMask; // reserved
    EXPECT_EQ(io(command), Status::kInvalidField);
    command = admin_command(AdminOpcode::kIdentify, 0, data_, 1);
    command.flags = kFuseFirst; // nothing to fuse
    EXPECT_EQ(admin(command), Status::kInvalidField);
    command.flags = kPsdtSgl << kPsdtShift; // no SGLs for admin commands over PCIe
    EXPECT_EQ(admin(command), Status::kInvalidField);
}

} // namespace
} // namespace touka::devices::nvme
