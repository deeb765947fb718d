#include "devices/virtio/console.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "devices/virtio/test_driver.hpp"

namespace touka::devices::virtio {
namespace {

using namespace spec::virtio;
using test::TestDriver;
using test::TestMachine;

class TestStream final : public runtime::ByteStream {
public:
    void write(std::span<const std::byte> bytes) override {
        output.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    void set_receiver(std::function<std::size_t(std::span<const std::byte>)> on_input) override {
        receiver = std::move(on_input);
    }
    void resume_input() override { ++resumes; }
    std::size_t type(std::string_view text) { return receiver(std::as_bytes(std::span(text))); }

    std::string output;
    std::function<std::size_t(std::span<const std::byte>)> receiver;
    std::atomic<int> resumes{0};
};

class VirtioConsole : public testing::Test {
protected:
    void SetUp() override {
        function_.emplace("virtio-console@00:03.0", std::make_unique<Console>(stream_), machine_.context());
        driver_.emplace(machine_, *function_);
    }
    void TearDown() override {
        driver_.reset();
        function_.reset();
    }
    void bring_up() {
        queues_ = driver_->bring_up(VIRTIO_CONSOLE_F_SIZE, 2, 8);
        buffer_ = driver_->allocate(8192);
    }
    void post(std::uint64_t offset, std::uint32_t length) {
        driver_->send(queues_[kPort0ReceiveQueue], {{buffer_ + offset, length, true}});
    }
    [[nodiscard]] std::string text(std::uint64_t offset, std::size_t length) {
        return {reinterpret_cast<const char*>(driver_->at(buffer_ + offset)), length};
    }

    TestMachine machine_;
    TestStream stream_;
    std::optional<VirtioPciFunction> function_;
    std::optional<TestDriver> driver_;
    std::vector<TestDriver::Queue> queues_;
    std::uint64_t buffer_ = 0;
};

TEST_F(VirtioConsole, PrintsWhatTheDriverSends) {
    bring_up();
    std::memcpy(driver_->at(buffer_), "hello", 5);
    driver_->send(queues_[kPort0TransmitQueue], {{buffer_, 2, false}, {buffer_ + 2, 3, false}});
    EXPECT_EQ(stream_.output, "hello");
    EXPECT_TRUE(driver_->has_used(queues_[kPort0TransmitQueue]));
}

TEST_F(VirtioConsole, DeliversInputIntoAsManyBuffersAsItNeeds) {
    bring_up();
    post(0, 3);
    post(100, 8);
    EXPECT_EQ(stream_.type("login"), 5u);
    machine_.flush();
    EXPECT_EQ(driver_->take_used(queues_[0]).len, 3u);
    EXPECT_EQ(driver_->take_used(queues_[0]).len, 2u);
    EXPECT_EQ(text(0, 3) + text(100, 2), "login");
}

TEST_F(VirtioConsole, KeepsInputUntilThereIsADriverAndTakesNoMoreThanItsLimit) {
    EXPECT_EQ(stream_.type(std::string(5000, 'x')), Console::kInputLimitBytes);
    EXPECT_EQ(stream_.type("y"), 0u);
    bring_up();
    EXPECT_EQ(stream_.resumes, 0);
    post(0, 4096);
    EXPECT_EQ(driver_->take_used(queues_[0]).len, 4096u);
    EXPECT_EQ(stream_.resumes, 1);
    EXPECT_EQ(stream_.type("y"), 1u);
}

TEST_F(VirtioConsole, ASizeChangeInterruptsAndIsRead) {
    bring_up();
    (void)machine_.messages.take();
    const auto before = driver_->read(TestDriver::Register::config_generation, 1);
    static_cast<Console&>(function_->device()).set_size(132, 43);
    EXPECT_EQ(machine_.messages.take().size(), 1u);
    EXPECT_EQ(machine_.memory.read(driver_->base() + VirtioPciFunction::kDeviceOffset, 4), 132u | 43u << 16);
    EXPECT_NE(driver_->read(TestDriver::Register::config_generation, 1), before);
}

TEST_F(VirtioConsole, TypedInputSurvivesSaveAndRestore) {
    bring_up();
    EXPECT_EQ(stream_.type("root"), 4u);
    machine_.flush();
    function_->pause();
    const migration::Record record = function_->save();
    function_->reset();
    ASSERT_TRUE(function_->restore(record).has_value());
    EXPECT_EQ(function_->save().bytes, record.bytes);
    function_->resume();
    post(0, 16);
    EXPECT_EQ(driver_->take_used(queues_[0]).len, 4u);
    EXPECT_EQ(text(0, 4), "root");
}

TEST_F(VirtioConsole, ABrokenQueueLosesNoInput) {
    bring_up();
    driver_->make_available(queues_[0], 500);
    EXPECT_EQ(stream_.type("abc"), 3u);
    EXPECT_TRUE(driver_->needs_reset());
    bring_up();
    post(0, 16);
    EXPECT_EQ(text(0, 3), "abc");
}

} // namespace
} // namespace touka::devices::virtio
