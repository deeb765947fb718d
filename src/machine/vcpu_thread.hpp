// The thread of one vCPU: runs it, holds it still, ends it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "cpu/vcpu.hpp"

namespace touka::machine {

/// Owns a Vcpu and its thread. Made paused. All calls come from the machine's control thread, but for step_out().
class VcpuThread {
public:
    /// @param on_exit called on the vCPU's thread when run() ended with kShutdown or kFailed; the thread then waits
    /// as if paused. It must not call back into this object.
    VcpuThread(std::uint32_t index, std::unique_ptr<cpu::Vcpu> vcpu, std::function<void(cpu::VcpuExit)> on_exit);
    /// Ends the thread, running or not.
    ~VcpuThread();
    VcpuThread(const VcpuThread&) = delete;
    VcpuThread& operator=(const VcpuThread&) = delete;

    void resume();
    /// Returns when the vCPU is out of run() and stays out.
    void pause();
    /// Returns when the vCPU is not in run(), or has been out of it since: what it had begun with devices is over. Any
    /// thread; the vCPU runs on.
    void step_out();
    /// @pre paused, for state() and set_state().
    [[nodiscard]] cpu::Vcpu& vcpu() { return *vcpu_; }

private:
    enum class Wish : std::uint8_t { kPause, kRun, kEnd };
    void loop();

    std::unique_ptr<cpu::Vcpu> vcpu_;
    std::function<void(cpu::VcpuExit)> on_exit_;
    std::mutex mutex_; // guards the three below
    std::condition_variable changed_;
    Wish wish_ = Wish::kPause;
    bool running_ = false;
    std::uint64_t ways_out_ = 0; // of run()
    std::thread thread_;
};

} // namespace touka::machine
