#include "devices/virtio/vhost_user/front_end.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "devices/virtio/scsi.hpp"
#include "devices/virtio/test_driver.hpp"
#include "devices/virtio/test_unit.hpp"
#include "devices/virtio/vhost_user/listener.hpp"

namespace touka::devices::virtio {
namespace {

using namespace spec::virtio;
using test::TestDriver;
using test::TestMachine;
using test::TestUnit;

/// A back-end with one unit at target 0, LUN 0.
struct BackEnd {
    explicit BackEnd(const std::string& path) {
        reactor.run_and_wait([&] {
            listener = VhostUserListener::listen(reactor, path, [this] {
                           auto scsi = std::make_unique<Scsi>(
                               ScsiConfiguration{{spec::scsi::ProtocolIdentifier::kFibreChannel, "1"}, 2});
                           scsi->attach(0, target, 1, {{scsi::Lun::from_number(0), &unit}});
                           return scsi;
                       }).value();
        });
    }
    ~BackEnd() {
        on_reactor([this] {
            unit.held = false;
            unit.complete_all();
            listener->close_connection();
        });
        for (bool connected = true; connected;) on_reactor([&] { connected = listener->connected(); });
        on_reactor([this] { listener.reset(); });
    }
    void on_reactor(const std::function<void()>& work) { reactor.run_and_wait(work); }
    std::size_t held() {
        std::size_t count = 0;
        on_reactor([&] { count = unit.waiting.size(); });
        return count;
    }

    TestUnit unit;
    scsi::Target target;
    runtime::Reactor reactor{"back-end"};
    std::unique_ptr<VhostUserListener> listener;
};

template <class Condition>
bool eventually(Condition condition) {
    for (int i = 0; i < 3000; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
}

class VhostUserFrontEnd : public testing::Test {
protected:
    VhostUserFrontEnd() : path_(std::filesystem::temp_directory_path() / ("touka-vuf-" + std::to_string(::getpid()))) {}
    void start_machine() { machine_ = std::make_unique<TestMachine>(); }
    void bring_up(bool log_writes = false) {
        if (!machine_) start_machine();
        if (!child_) back_end_ = std::make_unique<BackEnd>(path_);
        function_ = make_function(log_writes);
        driver_.emplace(*machine_, *function_);
        queues_ = driver_->bring_up(VIRTIO_SCSI_F_HOTPLUG, kScsiFirstRequestQueue, 16, 2, request_ring_size_);
        header_ = driver_->allocate(4096);
        response_ = driver_->allocate(4096);
        data_ = driver_->allocate(4096);
    }
    std::unique_ptr<VirtioPciFunction> make_function(bool log_writes = false) {
        VhostUserConfiguration configuration;
        configuration.socket_path = path_;
        configuration.log_writes = log_writes;
        configuration.retry_ms = 10;
        std::expected<std::unique_ptr<VhostUserScsi>, std::string> device = std::unexpected("");
        EXPECT_TRUE(eventually([&] {
            return (device = VhostUserScsi::create(configuration, *machine_->ram)).has_value();
        })) << device.error();
        return std::make_unique<VirtioPciFunction>("vhost-user-scsi@00:03.0", std::move(*device), machine_->context());
    }
    void TearDown() override {
        driver_.reset();
        function_.reset();
        back_end_.reset();
        if (child_) {
            ::kill(*child_, SIGKILL);
            ::waitpid(*child_, nullptr, 0);
        }
        std::filesystem::remove(path_);
    }
    void submit(unsigned queue = 2) {
        ScsiCommandHeader header{};
        header.lun[0] = 1;
        header.lun[2] = 0x40;
        driver_->store(header_, header);
        driver_->store(response_ + 11, std::uint8_t{0xEE});
        driver_->send(queues_[queue], {{header_, 51, false}, {response_, 108, true}, {data_, 512, true}});
    }
    [[nodiscard]] std::uint8_t response() { return driver_->load<std::uint8_t>(response_ + 11); }
    [[nodiscard]] bool used(unsigned queue, std::uint16_t index) {
        return eventually([&] { return driver_->used_index(queues_[queue]) == index; });
    }
    /// Another process as the back-end, whose unit ends no task. Before the machine's threads are there.
    void fork_back_end_that_never_answers() {
        const pid_t child = ::fork();
        if (child == 0) {
            BackEnd back_end(path_);
            back_end.on_reactor([&] { back_end.unit.held = true; });
            while (true) ::pause();
        }
        child_ = child;
    }

    std::string path_;
    std::optional<pid_t> child_;
    std::unique_ptr<TestMachine> machine_;
    std::unique_ptr<BackEnd> back_end_;
    std::unique_ptr<VirtioPciFunction> function_;
    std::optional<TestDriver> driver_;
    std::vector<TestDriver::Queue> queues_;
    std::uint64_t header_ = 0, response_ = 0, data_ = 0;
    std::uint16_t request_ring_size_ = 16;
};

TEST_F(VhostUserFrontEnd, ADriversCommandIsDoneByTheBackEndAndInterruptsItsOwnVector) {
    bring_up();
    const auto execute = [](scsi::Task& task) {
        std::memset(task.data_in(512)[0].iov_base, 0x5A, 512);
        task.data_in_bytes = task.transfer_bytes = 512;
        task.complete();
    };
    back_end_->on_reactor([&] { back_end_->unit.execute = execute; });
    submit();
    ASSERT_TRUE(used(2, 1));
    EXPECT_EQ(response(), VIRTIO_SCSI_S_OK);
    EXPECT_EQ(driver_->load<std::uint8_t>(data_ + 511), 0x5A);
    EXPECT_TRUE(eventually([&] {
        for (const auto& message : machine_->messages.take()) {
            if (message.data == TestDriver::kFirstMessage + 3) return true; // queue 2
        }
        return false;
    }));
    submit(3);
    EXPECT_TRUE(used(3, 1));
}

TEST_F(VhostUserFrontEnd, RequestRingsAreAsLongAsTheChainsThatTheBackEndTakes) {
    start_machine();
    back_end_ = std::make_unique<BackEnd>(path_);
    function_ = make_function();
    driver_.emplace(*machine_, *function_);
    driver_->enable();
    const auto size_of = [this](unsigned queue) {
        driver_->write(TestDriver::Register::queue_select, 2, queue);
        return driver_->read(TestDriver::Register::queue_size, 2);
    };
    EXPECT_EQ(size_of(kScsiControlQueue), 256u);
    EXPECT_EQ(size_of(kScsiEventQueue), 256u);
    EXPECT_EQ(size_of(2), ScsiRequestQueue::kSize);
    EXPECT_EQ(size_of(3), ScsiRequestQueue::kSize);
}

TEST_F(VhostUserFrontEnd, ARequestRingOfTheFullLengthWorks) {
    request_ring_size_ = ScsiRequestQueue::kSize;
    bring_up();
    submit();
    ASSERT_TRUE(used(2, 1));
    EXPECT_EQ(response(), VIRTIO_SCSI_S_OK);
}

TEST_F(VhostUserFrontEnd, ShowsTheBackEndsConfigurationAndPassesTheTwoFieldsOn) {
    bring_up();
    const std::uint64_t config = driver_->base() + VirtioPciFunction::kDeviceOffset;
    EXPECT_EQ(machine_->memory.read(config, 4), 2u);
    machine_->memory.write(config + offsetof(ScsiConfig, sense_size), 4, 18);
    machine_->memory.write(config + offsetof(ScsiConfig, cdb_size), 4, 0);
    EXPECT_EQ(machine_->memory.read(config + offsetof(ScsiConfig, sense_size), 4), 18u);
    EXPECT_EQ(machine_->memory.read(config + offsetof(ScsiConfig, cdb_size), 4), 32u);
    EXPECT_TRUE(eventually([&] {
        std::array<std::byte, 4> bytes{};
        back_end_->on_reactor(
            [&] { back_end_->listener->connection()->device().read_config(offsetof(ScsiConfig, sense_size), bytes); });
        return bytes[0] == std::byte{18};
    }));
}

TEST_F(VhostUserFrontEnd, PauseWaitsForTheBackEndAndResumeGoesOnWhereItWas) {
    bring_up();
    back_end_->on_reactor([this] { back_end_->unit.held = true; });
    submit();
    ASSERT_TRUE(eventually([&] { return back_end_->held() == 1; }));
    std::thread control([this] { function_->pause(); });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(driver_->used_index(queues_[2]), 0);
    back_end_->on_reactor([this] {
        back_end_->unit.held = false;
        back_end_->unit.complete_all();
    });
    control.join();
    EXPECT_EQ(driver_->used_index(queues_[2]), 1);
    submit();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(driver_->used_index(queues_[2]), 1); // paused
    function_->resume();
    EXPECT_TRUE(used(2, 2));
}

TEST_F(VhostUserFrontEnd, ARestoredMachineGoesOnWithItsRings) {
    bring_up();
    submit();
    ASSERT_TRUE(used(2, 1));
    function_->pause();
    const migration::Record record = function_->save();
    machine_->root.unplug(TestDriver::kPlace);
    function_.reset();
    function_ = make_function();
    ASSERT_TRUE(machine_->root.plug(TestDriver::kPlace, *function_).has_value());
    ASSERT_TRUE(function_->restore(record).has_value());
    EXPECT_EQ(function_->save().bytes, record.bytes);
    function_->resume();
    submit();
    EXPECT_TRUE(used(2, 2));
    EXPECT_EQ(response(), VIRTIO_SCSI_S_OK);
}

TEST_F(VhostUserFrontEnd, ADeviceResetEndsWhatTheBackEndHas) {
    bring_up();
    back_end_->on_reactor([this] { back_end_->unit.held = true; });
    submit();
    ASSERT_TRUE(eventually([&] { return back_end_->held() == 1; }));
    driver_->write(TestDriver::Register::device_status, 1, 0);
    EXPECT_TRUE(eventually([&] { return driver_->status() == 0; }));
    EXPECT_EQ(back_end_->held(), 0u);
    back_end_->on_reactor([this] { back_end_->unit.held = false; });
    queues_ = driver_->bring_up(0, 4, 16);
    submit();
    EXPECT_TRUE(used(2, 1));
}

TEST_F(VhostUserFrontEnd, WhatABackEndThatDiedHadIsDoneByTheNextOne) {
    fork_back_end_that_never_answers();
    start_machine();
    bring_up();
    submit();
    submit();
    std::this_thread::sleep_for(std::chrono::milliseconds(100)); // the child takes them
    ::kill(*child_, SIGKILL);
    ::waitpid(*child_, nullptr, 0);
    child_.reset();
    back_end_ = std::make_unique<BackEnd>(path_);
    EXPECT_TRUE(used(2, 2));
    EXPECT_EQ(response(), VIRTIO_SCSI_S_OK);
    submit();
    EXPECT_TRUE(used(2, 3));
}

TEST_F(VhostUserFrontEnd, ABackEndThatIsAwayDelaysAResetByNothing) {
    bring_up();
    back_end_.reset();
    ASSERT_TRUE(eventually([&] {
        bool connected = true;
        machine_->reactor.run_and_wait(
            [&] { connected = static_cast<VhostUserScsi&>(function_->device()).connected(); });
        return !connected;
    }));
    driver_->write(TestDriver::Register::device_status, 1, 0);
    EXPECT_EQ(driver_->status(), 0);
    back_end_ = std::make_unique<BackEnd>(path_);
    queues_ = driver_->bring_up(0, 4, 16);
    submit();
    EXPECT_TRUE(used(2, 1));
}

TEST_F(VhostUserFrontEnd, WhatTheBackEndWroteIsToldToTheMachinesMemory) {
    start_machine();
    machine_->ram->dirty_log().set_enabled(true);
    bring_up(true);
    submit();
    ASSERT_TRUE(used(2, 1));
    bool response_dirty = false, data_dirty = false;
    const auto has = [](const std::vector<std::uint64_t>& words, std::uint64_t page) {
        return (words.at(page / 64) >> page % 64 & 1) != 0;
    };
    EXPECT_TRUE(eventually([&] {
        const auto words = machine_->ram->dirty_log().take();
        response_dirty |= has(words, response_ / 4096);
        data_dirty |= has(words, data_ / 4096);
        return response_dirty;
    }));
    EXPECT_FALSE(data_dirty); // nothing came in
}

TEST_F(VhostUserFrontEnd, SaysWhyThereIsNoBackEnd) {
    start_machine();
    VhostUserConfiguration configuration;
    configuration.socket_path = "/nonexistent/socket";
    EXPECT_NE(VhostUserScsi::create(configuration, *machine_->ram).error().find("No such file"), std::string::npos);
}

} // namespace
} // namespace touka::devices::virtio
