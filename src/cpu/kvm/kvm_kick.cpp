#include "cpu/kvm/kvm_kick.hpp"

#include <csignal>

namespace touka::cpu::kvm {

void KvmKick::prepare_process() {
    struct sigaction action{};
    action.sa_handler = [](int) {};
    action.sa_flags = SA_RESTART; // KVM_RUN ends with EINTR all the same; other calls of the thread need not notice
    ::sigaction(SIGRTMIN, &action, nullptr);
}

KvmKick::Running::Running(KvmKick& kick) : kick_(kick) {
    sigset_t signals;
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGRTMIN);
    ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
    *kick_.thread_.lock() = ::pthread_self();
}

KvmKick::Running::~Running() { kick_.thread_.lock()->reset(); }

void KvmKick::kick() {
    kicked_.store(true, std::memory_order_seq_cst);
    set_immediate_exit(1);
    auto thread = thread_.lock();
    if (*thread) ::pthread_kill(**thread, SIGRTMIN);
}

bool KvmKick::take() {
    // Whoever kicks after the first line sets immediate_exit again; whoever kicked before it is seen by the second.
    set_immediate_exit(0);
    return kicked_.exchange(false, std::memory_order_seq_cst);
}

void KvmKick::set_immediate_exit(std::uint8_t value) {
    std::atomic_ref<std::uint8_t>(run_.immediate_exit).store(value, std::memory_order_seq_cst);
}

} // namespace touka::cpu::kvm
