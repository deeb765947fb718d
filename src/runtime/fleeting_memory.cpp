#include "runtime/fleeting_memory.hpp"

#include <signal.h>
#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <mutex>

namespace touka::runtime {

namespace {

std::array<FleetingMemory::Slot, FleetingMemory::kLimit> slots; // read by the handler, which may not lock
struct sigaction before_us;

/// Within the handler: no more than what is safe in a signal.
bool replace(std::uintptr_t address) {
    for (auto& slot : slots) {
        const std::uintptr_t begin = slot.begin.load(std::memory_order_acquire);
        const std::uintptr_t end = slot.end.load(std::memory_order_relaxed);
        if (begin == 0 || address < begin || address >= end || slot.begin.load(std::memory_order_acquire) != begin)
            continue;
        slot.lost.store(true, std::memory_order_relaxed);
        const int error = errno;
        // All of it: of large pages a part cannot be replaced.
        const void* const zeros = ::mmap(reinterpret_cast<void*>(begin), end - begin, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
        errno = error;
        return zeros != MAP_FAILED;
    }
    return false;
}

void on_bus_error(int number, siginfo_t* info, void* context) {
    if (info->si_code > 0 && replace(reinterpret_cast<std::uintptr_t>(info->si_addr))) return;
    if ((before_us.sa_flags & SA_SIGINFO) != 0) return before_us.sa_sigaction(number, info, context);
    // The instruction runs again and meets what was there before us.
    ::sigaction(number, &before_us, nullptr);
}

void install() {
    static std::once_flag once;
    std::call_once(once, [] {
        struct sigaction action{};
        action.sa_sigaction = &on_bus_error;
        action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
        sigemptyset(&action.sa_mask);
        ::sigaction(SIGBUS, nullptr, &before_us);
        ::sigaction(SIGBUS, &action, nullptr);
    });
}

} // namespace

std::optional<FleetingMemory> FleetingMemory::watch(std::span<std::byte> pages) {
    install();
    for (Slot& slot : slots) {
        if (slot.taken.exchange(true, std::memory_order_acquire)) continue;
        const auto begin = reinterpret_cast<std::uintptr_t>(pages.data());
        slot.lost.store(false, std::memory_order_relaxed);
        slot.end.store(begin + pages.size(), std::memory_order_relaxed);
        slot.begin.store(begin, std::memory_order_release);
        return FleetingMemory(slot);
    }
    return std::nullopt;
}

FleetingMemory::~FleetingMemory() {
    if (slot_ == nullptr) return;
    slot_->begin.store(0, std::memory_order_release);
    slot_->taken.store(false, std::memory_order_release);
}

} // namespace touka::runtime
