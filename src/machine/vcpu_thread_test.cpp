#include "machine/vcpu_thread.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace touka::machine {
namespace {

/// Runs until kicked, or ends its first run with a shutdown.
class FakeVcpu final : public cpu::Vcpu {
public:
    explicit FakeVcpu(bool shut_down) : shut_down_(shut_down) {}
    cpu::VcpuExit run() override {
        ++runs;
        if (shut_down_) return cpu::VcpuExit::kShutdown;
        while (!kicked_.exchange(false)) kicked_.wait(false);
        return cpu::VcpuExit::kKicked;
    }
    void kick() override {
        kicked_ = true;
        kicked_.notify_all();
    }
    std::expected<cpu::CpuState, cpu::CpuError> state() override { return cpu::CpuState{}; }
    std::expected<void, cpu::CpuError> set_state(const cpu::CpuState&) override { return {}; }
    std::string failure() const override { return {}; }

    std::atomic<int> runs{0};

private:
    bool shut_down_;
    std::atomic<bool> kicked_{false};
};

TEST(VcpuThread, DoesNotRunBeforeItIsResumed) {
    auto vcpu = std::make_unique<FakeVcpu>(false);
    const FakeVcpu& fake = *vcpu;
    VcpuThread thread(0, std::move(vcpu), [](cpu::VcpuExit) {});
    thread.pause();
    EXPECT_EQ(fake.runs, 0);
}

TEST(VcpuThread, PauseReturnsOnlyWhenTheVcpuIsOutOfRun) {
    auto vcpu = std::make_unique<FakeVcpu>(false);
    FakeVcpu& fake = *vcpu;
    VcpuThread thread(0, std::move(vcpu), [](cpu::VcpuExit) {});
    for (int i = 0; i < 200; ++i) {
        thread.resume();
        thread.pause();
        const int runs = fake.runs;
        thread.pause();
        ASSERT_EQ(fake.runs, runs);
    }
}

TEST(VcpuThread, StepsOutOfRunOnceAndRunsOn) {
    auto vcpu = std::make_unique<FakeVcpu>(false);
    FakeVcpu& fake = *vcpu;
    VcpuThread thread(0, std::move(vcpu), [](cpu::VcpuExit) {});
    thread.step_out(); // paused: nothing to wait for
    thread.resume();
    while (fake.runs == 0) std::this_thread::yield();
    for (int i = 0; i < 200; ++i) {
        const int runs = fake.runs;
        thread.step_out();
        while (fake.runs == runs) std::this_thread::yield(); // nobody resumes it
    }
}

TEST(VcpuThread, ReportsAShutdownOnceAndStaysStill) {
    std::promise<cpu::VcpuExit> exit;
    auto vcpu = std::make_unique<FakeVcpu>(true);
    const FakeVcpu& fake = *vcpu;
    VcpuThread thread(0, std::move(vcpu), [&](cpu::VcpuExit reason) { exit.set_value(reason); });
    thread.resume();
    EXPECT_EQ(exit.get_future().get(), cpu::VcpuExit::kShutdown);
    thread.pause();
    EXPECT_EQ(fake.runs, 1);
}

TEST(VcpuThread, EndsARunningVcpuWhenItIsDestroyed) {
    for (int i = 0; i < 50; ++i) {
        VcpuThread thread(0, std::make_unique<FakeVcpu>(false), [](cpu::VcpuExit) {});
        thread.resume();
    }
}

} // namespace
} // namespace touka::machine
