#include "scsi/passthrough/sg_unit.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <future>
#include <mutex>

#include "runtime/notification.hpp"
#include "scsi/passthrough/sg_response.hpp"
#include "scsi/passthrough/test_task.hpp"

namespace touka::scsi {
namespace {

using test::TestTask;
using Bytes = std::vector<std::uint8_t>;

/// The kernel, as far as these tests need it: holds commands until the test ends them.
class FakeSgDevice final : public SgDevice {
public:
    explicit FakeSgDevice(bool is_asynchronous) : asynchronous_(is_asynchronous) {}
    [[nodiscard]] bool asynchronous() const override { return asynchronous_; }
    [[nodiscard]] int fd() const override { return readable_.fd(); }
    [[nodiscard]] int begin(sg_io_hdr& header) override {
        const std::scoped_lock lock(mutex_);
        if (begin_error != 0) return begin_error;
        begun.push_back(header);
        return 0;
    }
    [[nodiscard]] int take(sg_io_hdr& header) override {
        const std::scoped_lock lock(mutex_);
        if (removed) return ENODEV;
        if (over_.empty()) {
            (void)readable_.consume();
            return EAGAIN;
        }
        header = over_.front();
        over_.erase(over_.begin());
        return 0;
    }
    [[nodiscard]] int execute(sg_io_hdr& header) override {
        if (hanging) {
            hangs.set_value();
            hung_commands.get_future().wait();
        }
        std::memset(header.dxferp, 0x5A, header.dxfer_len);
        header.resid = 1;
        return execute_error;
    }
    [[nodiscard]] int reset_unit() override {
        ++resets;
        if (hanging) hung.get_future().wait();
        if (reset_error == 0) {
            end_all([](sg_io_hdr& header) { header.host_status = 0x08; });
        }
        return reset_error;
    }
    /// The oldest command ends.
    void end(const std::function<void(sg_io_hdr&)>& how = [](sg_io_hdr&) {}) {
        const std::scoped_lock lock(mutex_);
        how(begun.front());
        over_.push_back(begun.front());
        begun.erase(begun.begin());
        readable_.signal();
    }
    void end_all(const std::function<void(sg_io_hdr&)>& how) {
        while (!begun.empty()) end(how);
    }
    void remove() {
        const std::scoped_lock lock(mutex_);
        removed = true;
        readable_.signal();
    }

    std::vector<sg_io_hdr> begun;
    int begin_error = 0, execute_error = 0, reset_error = 0;
    std::atomic<int> resets{0};
    bool removed = false;
    std::atomic<bool> hanging = false; ///< a reset and a command on a thread wait until the test fulfils their promise
    std::promise<void> hung, hung_commands, hangs; ///< the last is fulfilled when such a command has begun

private:
    bool asynchronous_;
    std::mutex mutex_;
    std::vector<sg_io_hdr> over_;
    runtime::Notification readable_;
};

class AnSgUnit : public testing::Test {
protected:
    void bring_up(bool asynchronous = true, SgUnitConfiguration configuration = {}) {
        auto device = std::make_unique<FakeSgDevice>(asynchronous);
        device_ = device.get();
        unit_ = std::make_unique<SgUnit>(reactor_, std::move(device), std::move(configuration));
    }
    void TearDown() override {
        reactor_.run_and_wait([this] { unit_.reset(); });
    }
    void start(TestTask& task) {
        reactor_.run_and_wait([&] {
            unit_->submit(task);
            unit_->commit();
        });
    }
    std::future<TaskManagementResponse> manage(TaskManagementFunction function, std::uint64_t tag = 0) {
        auto answer = std::make_shared<std::promise<TaskManagementResponse>>();
        reactor_.run_and_wait([&] {
            unit_->manage(function, nexus_, tag, [answer](TaskManagementResponse r) { answer->set_value(r); });
        });
        return answer->get_future();
    }

    runtime::Reactor reactor_{"sg"};
    Nexus nexus_;
    std::unique_ptr<SgUnit> unit_;
    FakeSgDevice* device_ = nullptr;
};

TEST_F(AnSgUnit, HandsTheKernelTheCommandWithoutItsPaddingAndTheTasksOwnBuffers) {
    bring_up();
    Bytes cdb(32);
    cdb[0] = 0x28;
    cdb[8] = 8;
    TestTask task(nexus_, cdb, 4096);
    start(task);
    ASSERT_EQ(device_->begun.size(), 1u);
    const sg_io_hdr& header = device_->begun[0];
    EXPECT_EQ(header.interface_id, 'S');
    EXPECT_EQ(header.cmd_len, 10);
    EXPECT_EQ(header.cmdp[8], 8);
    EXPECT_EQ(header.dxfer_direction, SG_DXFER_FROM_DEV);
    EXPECT_EQ(header.dxfer_len, 4096u);
    EXPECT_EQ(header.iovec_count, 2);
    EXPECT_EQ(static_cast<const iovec*>(header.dxferp)[0].iov_base, task.in.data());
    EXPECT_EQ(header.mx_sb_len, 252);
    device_->end([](sg_io_hdr& h) { h.resid = 96; });
    ASSERT_TRUE(task.wait());
    EXPECT_EQ(task.status, Status::kGood);
    EXPECT_EQ(task.data_in_bytes, 4000u);
    EXPECT_EQ(task.transfer_bytes, 4000u);
}

TEST_F(AnSgUnit, DataOutGoInOnePieceAndSenseDataComeBackBitForBit) {
    bring_up();
    TestTask task(nexus_, {0x2A, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 0, Bytes(512, 7));
    start(task);
    ASSERT_EQ(device_->begun.size(), 1u);
    EXPECT_EQ(device_->begun[0].dxfer_direction, SG_DXFER_TO_DEV);
    EXPECT_EQ(device_->begun[0].dxferp, task.out.data());
    EXPECT_EQ(device_->begun[0].iovec_count, 0);
    device_->end([](sg_io_hdr& h) {
        const Bytes sense{0x72, 0x0B, 0x47, 0x03, 0, 0, 0, 4, 0x80, 2, 0xAA, 0x55};
        std::ranges::copy(sense, h.sbp);
        h.sb_len_wr = static_cast<unsigned char>(sense.size());
        h.status = 2;
        h.resid = 512;
    });
    ASSERT_TRUE(task.wait());
    EXPECT_EQ(task.status, Status::kCheckCondition);
    const auto sense = task.sense.bytes();
    EXPECT_EQ(Bytes(sense.begin(), sense.end()), (Bytes{0x72, 0x0B, 0x47, 0x03, 0, 0, 0, 4, 0x80, 2, 0xAA, 0x55}));
    EXPECT_EQ(task.transfer_bytes, 0u);
}

TEST_F(AnSgUnit, GivesTheKernelNoMoreThanItTakesAndTheRestAsSoonAsItDoes) {
    bring_up();
    std::vector<std::unique_ptr<TestTask>> tasks;
    for (std::size_t i = 0; i < SgUnit::kQueueLimit + 3; ++i) {
        tasks.push_back(std::make_unique<TestTask>(nexus_, Bytes(6)));
        start(*tasks.back());
    }
    EXPECT_EQ(device_->begun.size(), SgUnit::kQueueLimit);
    for (const auto& task : tasks) {
        device_->end();
        ASSERT_TRUE(task->wait());
    }
    TestTask refused(nexus_, Bytes(6));
    device_->begin_error = EDOM; // with nothing in flight there is nothing to wait for
    start(refused);
    ASSERT_TRUE(refused.wait());
    EXPECT_EQ(refused.status, Status::kBusy);
}

TEST_F(AnSgUnit, ARemovedDeviceEndsWhatItHadAndTakesNothingNew) {
    bring_up();
    TestTask task(nexus_, Bytes(6));
    start(task);
    device_->remove();
    ASSERT_TRUE(task.wait());
    EXPECT_EQ(task.delivery, Delivery::kTransportFailure);
    TestTask late(nexus_, Bytes(6));
    start(late);
    ASSERT_TRUE(late.wait());
    EXPECT_EQ(late.delivery, Delivery::kTransportFailure);
}

TEST_F(AnSgUnit, AUnitResetEndsItsTasks) {
    bring_up();
    TestTask task(nexus_, Bytes(6));
    start(task);
    EXPECT_EQ(manage(TaskManagementFunction::kLogicalUnitReset).get(), TaskManagementResponse::kComplete);
    EXPECT_TRUE(task.aborted);
    EXPECT_EQ(device_->resets, 1);
    device_->reset_error = EBUSY;
    EXPECT_EQ(manage(TaskManagementFunction::kLogicalUnitReset).get(), TaskManagementResponse::kRejected);
}

TEST_F(AnSgUnit, AnAbortWaitsForTheTaskAndIsRejectedWhenThatTakesTooLong) {
    bring_up(true, {.abort_patience_ms = 100});
    TestTask task(nexus_, Bytes(6));
    task.tag = 5;
    start(task);
    EXPECT_EQ(manage(TaskManagementFunction::kAbortTask, 6).get(), TaskManagementResponse::kTaskDoesNotExist);
    EXPECT_EQ(manage(TaskManagementFunction::kQueryTask, 5).get(), TaskManagementResponse::kSucceeded);
    EXPECT_EQ(manage(TaskManagementFunction::kAbortTask, 5).get(), TaskManagementResponse::kRejected);
    auto answer = manage(TaskManagementFunction::kAbortTask, 5);
    device_->end();
    EXPECT_EQ(answer.get(), TaskManagementResponse::kComplete);
    EXPECT_FALSE(task.aborted); // it was faster
    EXPECT_EQ(device_->resets, 0);
}

TEST_F(AnSgUnit, WhatTheKernelHasNotGotIsAbortedAtOnce) {
    bring_up();
    std::vector<std::unique_ptr<TestTask>> tasks;
    for (std::size_t i = 0; i < SgUnit::kQueueLimit + 1; ++i) {
        tasks.push_back(std::make_unique<TestTask>(nexus_, Bytes(6)));
        tasks.back()->tag = i;
        start(*tasks.back());
    }
    EXPECT_EQ(manage(TaskManagementFunction::kAbortTask, SgUnit::kQueueLimit).get(), TaskManagementResponse::kComplete);
    EXPECT_TRUE(tasks.back()->aborted);
    device_->end_all([](sg_io_hdr&) {});
    EXPECT_TRUE(tasks.front()->wait());
    EXPECT_EQ(manage(TaskManagementFunction::kAbortTaskSet).get(), TaskManagementResponse::kComplete);
}

TEST_F(AnSgUnit, ALostNexusBecomesAResetWhenItsTasksDoNotEnd) {
    bring_up(true, {.abort_patience_ms = 50});
    TestTask task(nexus_, Bytes(6));
    start(task);
    EXPECT_EQ(manage(TaskManagementFunction::kItNexusReset).get(), TaskManagementResponse::kComplete);
    EXPECT_EQ(device_->resets, 1);
    EXPECT_TRUE(task.aborted);
}

TEST_F(AnSgUnit, AResetThatDoesNotReturnFailsInBoundedTime) {
    bring_up(true, {.abort_patience_ms = 50});
    TestTask task(nexus_, Bytes(6));
    start(task);
    device_->hanging = true;
    EXPECT_EQ(manage(TaskManagementFunction::kLogicalUnitReset).get(), TaskManagementResponse::kTargetFailure);
    EXPECT_EQ(manage(TaskManagementFunction::kItNexusReset).get(), TaskManagementResponse::kTargetFailure);
    EXPECT_EQ(task.completions, 0);
    device_->hanging = false;
    device_->hung.set_value();
    EXPECT_TRUE(task.wait());
    EXPECT_TRUE(task.aborted);
    EXPECT_EQ(manage(TaskManagementFunction::kLogicalUnitReset).get(), TaskManagementResponse::kComplete);
}

TEST_F(AnSgUnit, AResetThatDoesNotEndItsTasksFailsInBoundedTimeAndALostNexusGoesOnWaiting) {
    bring_up(false, {.abort_patience_ms = 50, .thread_count = 1});
    TestTask task(nexus_, {0x12, 0, 0, 0, 36, 0}, 1);
    device_->reset_error = EIO;
    device_->hanging = true;
    start(task);
    device_->hangs.get_future().wait();
    device_->hung.set_value(); // of the first reset
    EXPECT_NE(manage(TaskManagementFunction::kLogicalUnitReset).get(), TaskManagementResponse::kComplete);
    device_->hanging = false;
    EXPECT_NE(manage(TaskManagementFunction::kLogicalUnitReset).get(), TaskManagementResponse::kComplete);
    EXPECT_EQ(device_->resets, 2) << "though the thread for commands is not free";
    std::promise<void> detached;
    auto gone = detached.get_future();
    reactor_.run_and_wait([&] { unit_->detach(nexus_, [&] { detached.set_value(); }); });
    EXPECT_EQ(gone.wait_for(std::chrono::milliseconds(300)), std::future_status::timeout);
    device_->hung_commands.set_value();
    EXPECT_TRUE(task.wait());
    gone.get();
}

TEST_F(AnSgUnit, WithoutTheAsynchronousInterfaceCommandsAreExecutedOnThreads) {
    bring_up(false);
    TestTask task(nexus_, {0x12, 0, 0, 0, 36, 0}, 1);
    start(task);
    ASSERT_TRUE(task.wait());
    EXPECT_EQ(task.in[0], 0x5A);
    EXPECT_EQ(task.data_in_bytes, 0u);
    device_->execute_error = ENXIO;
    TestTask failed(nexus_, {0x12, 0, 0, 0, 36, 0}, 1);
    start(failed);
    ASSERT_TRUE(failed.wait());
    EXPECT_EQ(failed.delivery, Delivery::kTransportFailure);
}

TEST_F(AnSgUnit, DeniesWhatItsPolicyDoesNotAllow) {
    bring_up(true, {.policy = CommandPolicy::only({{0x12, {}}})});
    TestTask format(nexus_, {0x04, 0, 0, 0, 0, 0});
    start(format);
    ASSERT_TRUE(format.wait());
    EXPECT_EQ(format.sense.decode()->code, SenseCode::kInvalidCommandOperationCode);
    EXPECT_TRUE(device_->begun.empty());
    EXPECT_EQ(unit_->policy().denied_count(), 1u);
}

TEST(SgResponse, MapsTheHostStatusToWhetherThereWasAResponse) {
    Nexus nexus;
    const auto taken = [&](unsigned short host_status, unsigned char status) {
        auto task = std::make_unique<TestTask>(nexus, Bytes(6));
        sg_io_hdr header{};
        header.host_status = host_status;
        header.status = status;
        take_sg_response(*task, header, {});
        return task;
    };
    EXPECT_EQ(taken(0x00, 0x18)->status, Status::kReservationConflict);
    EXPECT_EQ(taken(0x11, 0x18)->status, Status::kReservationConflict); // DID_NEXUS_FAILURE has it, too
    for (const int host_status : {0x01, 0x03, 0x04, 0x07, 0x0E, 0x0F, 0x77}) {
        EXPECT_EQ(taken(static_cast<unsigned short>(host_status), 0)->delivery, Delivery::kTransportFailure);
    }
    EXPECT_EQ(taken(0x10, 0)->delivery, Delivery::kTargetFailure);
    EXPECT_EQ(taken(0x10, 2)->status, Status::kCheckCondition);
    EXPECT_TRUE(taken(0x05, 0)->aborted);
    EXPECT_TRUE(taken(0x08, 0)->aborted);
    EXPECT_EQ(taken(0x0D, 0)->status, Status::kBusy);
}

TEST(SgResponse, AResidualThatCannotBeIsBounded) {
    Nexus nexus;
    TestTask task(nexus, Bytes(6), 512);
    sg_io_hdr header{};
    header.dxfer_direction = SG_DXFER_FROM_DEV;
    header.dxfer_len = 512;
    header.resid = 1000;
    header.sb_len_wr = 255;
    take_sg_response(task, header, std::array<std::uint8_t, 4>{0x70});
    EXPECT_EQ(task.data_in_bytes, 0u);
    EXPECT_EQ(task.sense.bytes().size(), 4u);
    header.resid = -5;
    take_sg_response(task, header, {});
    EXPECT_EQ(task.data_in_bytes, 512u);
}

TEST(OpenSgDevice, SaysThatAFileIsNoScsiDevice) {
    EXPECT_NE(open_sg_device("/dev/null").error().find("not a SCSI device"), std::string::npos);
    EXPECT_NE(open_sg_device("/nonexistent").error().find("No such file"), std::string::npos);
}

} // namespace
} // namespace touka::scsi
