#include "cpu/translator/host_faults.hpp"

#include <signal.h>
#include <ucontext.h>

#include <array>
#include <mutex>

#include "cpu/translator/translation_cache.hpp"

namespace touka::cpu::translator {
namespace {

struct Running {
    Frame* frame = nullptr;
    const TranslationCache* cache = nullptr;
};
thread_local Running running;

constexpr std::array kSignals{SIGSEGV, SIGBUS, SIGFPE};
std::array<struct sigaction, kSignals.size()> previous;

void pass_on(int number, siginfo_t* info, void* context) {
    for (std::size_t n = 0; n < kSignals.size(); ++n) {
        if (kSignals[n] != number) continue;
        if ((previous[n].sa_flags & SA_SIGINFO) != 0) return previous[n].sa_sigaction(number, info, context);
        // The instruction runs again and meets what was there before us.
        ::sigaction(number, &previous[n], nullptr);
    }
}

void handle(int number, siginfo_t* info, void* context) {
    auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    const Running& self = running;
    const auto* at = reinterpret_cast<const void*>(registers[REG_RIP]);
    if (self.cache != nullptr && self.cache->contains(at)) {
        if (const FaultSite* site = self.cache->fault_site(at)) {
            const Thunks& thunks = self.cache->thunks();
            const void* leave = site->flags_in_eflags ? thunks.exit_fault_flags : thunks.exit_fault;
            self.frame->fault_site = site;
            if (site->recovery != 0) {
                leave = self.cache->recovery(*site);
            } else {
                registers[REG_RCX] = site->offset;
            }
            registers[REG_RIP] = static_cast<greg_t>(reinterpret_cast<std::uintptr_t>(leave));
            return;
        }
    }
    pass_on(number, info, context);
}

/// Also when somebody else took the signals since the last run.
void install() {
    static std::mutex installing;
    const std::lock_guard lock(installing);
    for (std::size_t n = 0; n < kSignals.size(); ++n) {
        struct sigaction now{};
        ::sigaction(kSignals[n], nullptr, &now);
        if ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == &handle) continue;
        struct sigaction action{};
        action.sa_sigaction = &handle;
        // Translated code runs on a stack of its own that has room for a frame; other code may need its signal stack.
        action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
        sigemptyset(&action.sa_mask);
        previous[n] = now;
        ::sigaction(kSignals[n], &action, nullptr);
    }
}

} // namespace

HostFaultScope::HostFaultScope(Frame& frame, const TranslationCache& cache) {
    install();
    running = {&frame, &cache};
}

HostFaultScope::~HostFaultScope() { running = {}; }

} // namespace touka::cpu::translator
