#pragma once

#include <linux/kvm.h>

#include <atomic>
#include <optional>

#include "runtime/guarded.hpp"

#include <pthread.h>

namespace touka::cpu::kvm {

/// Brings one vCPU out of KVM_RUN, without a window in which a kick is lost: the kernel looks at
/// kvm_run::immediate_exit on its way in, and the signal SIGRTMIN, whose handler does nothing, gets it out from
/// within. Programs that use this engine must leave SIGRTMIN to it.
class KvmKick {
public:
    /// @param run the mapping that vCPU and kernel share; outlives this.
    explicit KvmKick(kvm_run& run) : run_(run) {}

    /// Installs the signal's handler for the process. Any number of times.
    static void prepare_process();

    /// Any thread.
    void kick();

    /// For as long as this lives, the calling thread is the one to signal; SIGRTMIN is unblocked in it.
    class Running {
    public:
        explicit Running(KvmKick& kick);
        ~Running();
        Running(const Running&) = delete;
        Running& operator=(const Running&) = delete;

    private:
        KvmKick& kick_;
    };
    /// Was there a kick since the last call? Allows the next KVM_RUN to enter the guest. @thread the vCPU's.
    [[nodiscard]] bool take();

private:
    void set_immediate_exit(std::uint8_t value);

    kvm_run& run_;
    std::atomic<bool> kicked_{false}; // set before immediate_exit, taken after it is cleared: see take()
    runtime::Guarded<std::optional<pthread_t>> thread_;
};

} // namespace touka::cpu::kvm
