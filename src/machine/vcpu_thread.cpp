#include "machine/vcpu_thread.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <utility>

namespace touka::machine {

VcpuThread::VcpuThread(std::uint32_t index, std::unique_ptr<cpu::Vcpu> vcpu, std::function<void(cpu::VcpuExit)> on_exit)
    : vcpu_(std::move(vcpu)), on_exit_(std::move(on_exit)), thread_([this, index] {
          ::pthread_setname_np(::pthread_self(), fmt::format("vcpu{}", index).c_str());
          loop();
      }) {}

VcpuThread::~VcpuThread() {
    {
        const std::scoped_lock lock(mutex_);
        wish_ = Wish::kEnd;
    }
    changed_.notify_all();
    vcpu_->kick();
    thread_.join();
}

void VcpuThread::resume() {
    {
        const std::scoped_lock lock(mutex_);
        wish_ = Wish::kRun;
    }
    changed_.notify_all();
}

void VcpuThread::pause() {
    std::unique_lock lock(mutex_);
    wish_ = Wish::kPause;
    // A kick that comes before run() ends the next one, which then sees the wish: no pause is missed.
    if (running_) vcpu_->kick();
    changed_.wait(lock, [this] { return !running_; });
}

void VcpuThread::step_out() {
    std::unique_lock lock(mutex_);
    if (!running_) return;
    vcpu_->kick();
    changed_.wait(lock, [this, before = ways_out_] { return !running_ || ways_out_ != before; });
}

void VcpuThread::loop() {
    std::unique_lock lock(mutex_);
    while (wish_ != Wish::kEnd) {
        if (wish_ == Wish::kPause) {
            running_ = false;
            changed_.notify_all();
            changed_.wait(lock, [this] { return wish_ != Wish::kPause; });
            continue;
        }
        running_ = true;
        lock.unlock();
        const cpu::VcpuExit exit = vcpu_->run();
        if (exit != cpu::VcpuExit::kKicked) on_exit_(exit);
        lock.lock();
        ++ways_out_;
        changed_.notify_all();
        if (exit != cpu::VcpuExit::kKicked && wish_ == Wish::kRun) wish_ = Wish::kPause;
    }
    running_ = false;
}

} // namespace touka::machine
