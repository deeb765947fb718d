#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "devices/nvme/test_driver.hpp"
#include "spec/nvme/feature.hpp"
#include "spec/nvme/identify.hpp"
#include "spec/nvme/log_page.hpp"

namespace touka::devices::nvme::test {

/// One controller with a namespace of 512-byte blocks on a volume in memory.
class NvmeFixture : public testing::Test {
protected:
    static constexpr std::uint64_t kVolumeBytes = 4 << 20;
    using Status = spec::nvme::Status;

    NvmeFixture() {
        (void)subsystem_.add_namespace(namespace_on(volume_));
        data_ = machine_.allocate(64 << 10);
    }
    [[nodiscard]] static NvmePciConfiguration configuration(std::uint16_t id = 0) {
        NvmePciConfiguration result;
        result.controller = {.id = id, .queue_pairs = 5, .vectors = 5};
        return result;
    }
    void make_function() {
        function_ = std::make_unique<NvmePciFunction>("nvme@00:03.0", subsystem_, configuration(), machine_.context());
        driver_ = std::make_unique<TestDriver>(machine_, *function_);
    }
    void bring_up(std::uint16_t io_entries = 16) {
        make_function();
        ASSERT_TRUE(driver_->bring_up(io_entries));
    }
    void TearDown() override {
        driver_.reset();
        function_.reset();
    }
    /// A command on the I/O queue.
    Status io(const spec::nvme::SubmissionEntry& command) { return driver_->run(driver_->io, command); }
    Status admin(const spec::nvme::SubmissionEntry& command) { return driver_->run(driver_->admin, command); }
    Status identify(spec::nvme::Cns cns, std::uint32_t nsid = 0, std::uint32_t cdw11 = 0) {
        return admin(
            admin_command(spec::nvme::AdminOpcode::kIdentify, nsid, data_, static_cast<std::uint32_t>(cns), cdw11));
    }
    Status set_feature(spec::nvme::FeatureId id, std::uint32_t value, std::uint32_t nsid = 0) {
        return admin(
            admin_command(spec::nvme::AdminOpcode::kSetFeatures, nsid, data_, static_cast<std::uint32_t>(id), value));
    }
    Status get_feature(spec::nvme::FeatureId id, std::uint32_t value = 0, std::uint32_t nsid = 0) {
        return admin(
            admin_command(spec::nvme::AdminOpcode::kGetFeatures, nsid, data_, static_cast<std::uint32_t>(id), value));
    }
    Status get_log(spec::nvme::LogId id, std::uint32_t bytes, std::uint32_t nsid = 0xFFFF'FFFF) {
        return admin(admin_command(spec::nvme::AdminOpcode::kGetLogPage, nsid, data_,
                                   static_cast<std::uint32_t>(id) | (bytes / 4 - 1) << 16));
    }
    void on_reactor(const std::function<void()>& work) { machine_.reactor.run_and_wait(work); }
    void complete_held() {
        on_reactor([this] { volume_.complete_all(); });
        driver_->settle();
    }

    TestMachine machine_;
    storage::MemoryVolume volume_{kVolumeBytes};
    Subsystem subsystem_{{.nqn = "nqn.2014-08.org.example:test", .serial = "SN1", .namespace_limit = 4}};
    std::unique_ptr<NvmePciFunction> function_;
    std::unique_ptr<TestDriver> driver_;
    std::uint64_t data_ = 0;
};

} // namespace touka::devices::nvme::test
