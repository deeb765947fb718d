// Page faults that the kernel serves, page protections that change, and faults that come back as signals.
#include <csignal>

#include <sys/mman.h>

#include "workloads.hpp"

namespace touka::bench {

namespace {

constexpr std::size_t kPage = 4096;

unsigned char* map_pages(std::size_t pages, int protection) {
    void* const memory = ::mmap(nullptr, pages * kPage, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(memory != MAP_FAILED, "mmap");
    // Faults of 4 KiB are what this is about.
    require(::madvise(memory, pages * kPage, MADV_NOHUGEPAGE) == 0 || errno == EINVAL, "madvise");
    return static_cast<unsigned char*>(memory);
}

// Volatile: each access must happen, on the page as it is then.
void write_byte(unsigned char* address, unsigned char value) { *const_cast<volatile unsigned char*>(address) = value; }
unsigned char read_byte(const unsigned char* address) { return *const_cast<const volatile unsigned char*>(address); }

// What the signal handler works with; only one thread of the process runs.
unsigned char* forbidden_page = nullptr;
volatile std::sig_atomic_t signals = 0;

void allow_access(int /*signal*/, siginfo_t* information, void* /*context*/) {
    if (information->si_addr != forbidden_page || ::mprotect(forbidden_page, kPage, PROT_READ | PROT_WRITE) != 0)
        give_up("SIGSEGV at a wrong address");
    signals = signals + 1;
}

} // namespace

Answer page_fault(Trial& trial) {
    constexpr std::size_t kPages = 2048;
    std::uint64_t sum = 0;
    const std::uint64_t rounds = trial.amount(15);
    for (std::uint64_t round = 0; round < rounds; ++round) {
        unsigned char* const memory = map_pages(kPages, PROT_READ | PROT_WRITE);
        for (std::size_t page = 0; page < kPages; ++page) {
            sum += read_byte(memory + page * kPage + 1) + (page & 0x3f);
            write_byte(memory + page * kPage, static_cast<unsigned char>(page));
        }
        require(::munmap(memory, kPages * kPage) == 0, "munmap");
    }
    Answer answer;
    answer.add(sum);
    return answer;
}

Answer protection(Trial& trial) {
    constexpr std::size_t kPages = 64;
    unsigned char* const memory = map_pages(kPages, PROT_READ | PROT_WRITE);
    for (std::size_t page = 0; page < kPages; ++page) write_byte(memory + page * kPage, 1);
    std::uint64_t sum = 0;
    const std::uint64_t rounds = trial.amount(3'000);
    trial.start_clock();
    for (std::uint64_t round = 0; round < rounds; ++round) {
        require(::mprotect(memory, kPages * kPage, PROT_READ) == 0, "mprotect");
        for (std::size_t page = 0; page < kPages; page += 8) sum += read_byte(memory + page * kPage);
        require(::mprotect(memory, kPages * kPage, PROT_READ | PROT_WRITE) == 0, "mprotect");
        for (std::size_t page = 0; page < kPages; page += 8)
            write_byte(memory + page * kPage, static_cast<unsigned char>(round));
    }
    Answer answer;
    answer.add(sum);
    return answer;
}

Answer signal_on_fault(Trial& trial) {
    forbidden_page = map_pages(1, PROT_NONE);
    struct sigaction action{};
    action.sa_sigaction = allow_access;
    action.sa_flags = SA_SIGINFO;
    require(::sigaction(SIGSEGV, &action, nullptr) == 0, "sigaction");
    const std::uint64_t rounds = trial.amount(8'000);
    trial.start_clock();
    for (std::uint64_t round = 0; round < rounds; ++round) {
        write_byte(forbidden_page, static_cast<unsigned char>(round));
        require(::mprotect(forbidden_page, kPage, PROT_NONE) == 0, "mprotect");
    }
    Answer answer;
    answer.add(static_cast<std::uint64_t>(signals));
    return answer;
}

} // namespace touka::bench
