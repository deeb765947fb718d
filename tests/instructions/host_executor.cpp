#include "instructions/host_executor.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

#include "instructions/vector_state.hpp"

namespace touka::tests::instructions {
namespace {

constexpr std::array<int, 16> kGprOrder = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                           REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
constexpr std::array<int, 5> kSignals = {SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
constexpr std::uint64_t kUserCode64 = 0x33, kUserCode32 = 0x23, kUserData = 0x2B; // Linux's selectors
constexpr std::size_t kSignalStackBytes = 256 * 1024;
constexpr unsigned kPageFault = 14;

// The floating-point frame is an XSAVE area in standard form; Linux says in its software bytes how long it is.
constexpr std::size_t kFpPointers = 6, kFpPointersBytes = 18, kFpSoftware = 464, kFpMax = 16384;

enum class Stage { kIdle, kEntering, kRunning };

struct Crossing {
    volatile Stage stage = Stage::kIdle;
    const Case* test = nullptr;
    Result* result = nullptr;
    gregset_t saved_gregs;
    std::array<std::byte, kFpMax> saved_fp;
    std::size_t fp_bytes = 0;
};
Crossing crossing; // signal handlers have no other way to find it

template <class T>
T take(const std::byte* from, std::size_t offset) {
    T value;
    std::memcpy(&value, from + offset, sizeof(T));
    return value;
}
std::size_t frame_bytes(const std::byte* fp) {
    constexpr std::uint32_t kMagic1 = 0x46505853; // FP_XSTATE_MAGIC1
    if (take<std::uint32_t>(fp, kFpSoftware) != kMagic1) std::abort();
    const auto bytes = take<std::uint32_t>(fp, kFpSoftware + 4);
    if (bytes > kFpMax || bytes < vector_area_bytes()) std::abort();
    return bytes;
}

void enter(ucontext_t& context) {
    auto* fp = reinterpret_cast<std::byte*>(context.uc_mcontext.fpregs);
    std::memcpy(crossing.saved_gregs, context.uc_mcontext.gregs, sizeof(gregset_t));
    crossing.fp_bytes = frame_bytes(fp);
    std::memcpy(crossing.saved_fp.data(), fp, crossing.fp_bytes);

    const Registers& r = crossing.test->before;
    auto& gregs = context.uc_mcontext.gregs;
    for (std::size_t n = 0; n < 16; ++n) gregs[kGprOrder[n]] = static_cast<greg_t>(r.gpr[n]);
    gregs[REG_RIP] = static_cast<greg_t>(r.rip);
    gregs[REG_EFL] = static_cast<greg_t>(r.rflags);
    const auto selectors = static_cast<std::uint64_t>(gregs[REG_CSGSFS]);
    const std::uint64_t cs = crossing.test->compat ? kUserCode32 : kUserCode64;
    gregs[REG_CSGSFS] = static_cast<greg_t>((selectors & ~std::uint64_t{0xFFFF}) | cs);
    std::memset(fp + kFpPointers, 0, kFpPointersBytes);
    put_vectors(r, std::span(fp, crossing.fp_bytes));
    crossing.stage = Stage::kRunning;
}

void leave(ucontext_t& context) {
    auto* fp = reinterpret_cast<std::byte*>(context.uc_mcontext.fpregs);
    auto& gregs = context.uc_mcontext.gregs;
    Result& result = *crossing.result;
    Registers& r = result.after;
    for (std::size_t n = 0; n < 16; ++n) r.gpr[n] = static_cast<std::uint64_t>(gregs[kGprOrder[n]]);
    r.rip = static_cast<std::uint64_t>(gregs[REG_RIP]);
    r.rflags = static_cast<std::uint64_t>(gregs[REG_EFL]);
    result.vector = static_cast<unsigned>(gregs[REG_TRAPNO]);
    // Linux remembers the last error code and address; they belong to the exceptions that have them.
    const bool has_code = result.vector >= 10 && result.vector <= kPageFault;
    result.error_code = has_code ? static_cast<std::uint32_t>(gregs[REG_ERR]) : 0;
    result.cr2 = result.vector == kPageFault ? static_cast<std::uint64_t>(gregs[REG_CR2]) : 0;

    take_vectors(std::span(fp, crossing.fp_bytes), r);
    std::memcpy(gregs, crossing.saved_gregs, sizeof(gregset_t));
    std::memcpy(fp, crossing.saved_fp.data(), crossing.fp_bytes);
    crossing.stage = Stage::kIdle;
}

/// Linux starts handlers with the AC flag of what they interrupt; ours are not written for alignment checks.
void clear_alignment_check() {
    asm volatile("lea -128(%%rsp), %%rsp\n\t"
                 "pushfq\n\t"
                 "andl $0xFFFBFFFF, (%%rsp)\n\t"
                 "popfq\n\t"
                 "lea 128(%%rsp), %%rsp"
                 :
                 :
                 : "memory", "cc");
}

void on_signal(int number, siginfo_t*, void* context) {
    clear_alignment_check();
    switch (crossing.stage) {
        case Stage::kEntering: return enter(*static_cast<ucontext_t*>(context));
        case Stage::kRunning: return leave(*static_cast<ucontext_t*>(context));
        case Stage::kIdle: ::signal(number, SIG_DFL); // a fault of our own: let it kill us
    }
}

[[noreturn]] void give_up(const char* what) {
    std::perror(what);
    std::abort();
}

} // namespace

HostExecutor::HostExecutor() {
    const int fd = ::memfd_create("touka-instructions", MFD_CLOEXEC);
    constexpr std::size_t kBytes = kPages.size() * kPageBytes;
    if (fd < 0 || ::ftruncate(fd, kBytes) != 0) give_up("memfd_create");
    void* alias = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (alias == MAP_FAILED) give_up("mmap");
    alias_ = static_cast<std::byte*>(alias);
    for (std::size_t n = 0; n < kPages.size(); ++n) {
        const int rights = PROT_READ | (kPages[n].writable ? PROT_WRITE : 0) | (kPages[n].executable ? PROT_EXEC : 0);
        auto* place = reinterpret_cast<std::byte*>(kPages[n].linear);
        if (::mmap(place, kPageBytes, rights, MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, fd,
                   static_cast<off_t>(n * kPageBytes)) != place) {
            give_up("mmap of a test page");
        }
        // Page tables must be filled, or the first access would fault invisibly and a refused one differently.
        ::mlock(place, kPageBytes);
    }
    ::close(fd);
    signal_stack_ = ::mmap(nullptr, kSignalStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t stack{};
    stack.ss_sp = signal_stack_;
    stack.ss_size = kSignalStackBytes;
    if (signal_stack_ == MAP_FAILED || ::sigaltstack(&stack, nullptr) != 0) give_up("sigaltstack");
    struct sigaction action{};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    // 32-bit code needs data segments; 64-bit code, this process included, ignores them.
    asm volatile("mov %0, %%ds\n\tmov %0, %%es" : : "r"(kUserData));
    for (const int number : kSignals) {
        if (::sigaction(number, &action, nullptr) != 0) give_up("sigaction");
    }
    runs_32bit_code_ = completes_a_nop(true, kStackPage + 0x800);
    keeps_any_stack_pointer_ = completes_a_nop(false, std::uint64_t{0x9000} << 32);
}

bool HostExecutor::completes_a_nop(bool compat, std::uint64_t rsp) {
    Case test;
    Result result;
    test.compat = compat;
    for (auto& page : test.memory.pages) page.fill(0xCC);
    *test.memory.at(kEntry) = 0x90;
    test.before.gpr[4] = rsp;
    run(test, result);
    return result.vector == 3 && result.after.rip == kEntry + 2;
}

bool HostExecutor::is_telling(const Case& test, const Result& result) const {
    if (test.compat) return runs_32bit_code_;
    const auto is_canonical = [](std::uint64_t a) {
        return static_cast<std::int64_t>(a << 16) >> 16 == static_cast<std::int64_t>(a);
    };
    if (keeps_any_stack_pointer_) return true;
    return is_canonical(test.before.gpr[4]) && is_canonical(result.after.gpr[4]);
}

HostExecutor::~HostExecutor() {
    for (const int number : kSignals) ::signal(number, SIG_DFL);
    stack_t off{};
    off.ss_flags = SS_DISABLE;
    ::sigaltstack(&off, nullptr);
    ::munmap(signal_stack_, kSignalStackBytes);
    ::munmap(alias_, kPages.size() * kPageBytes);
    for (const auto& page : kPages) ::munmap(reinterpret_cast<void*>(page.linear), kPageBytes);
}

void HostExecutor::run(const Case& test, Result& result) {
    std::memcpy(alias_, test.memory.pages.data(), sizeof(test.memory.pages));
    crossing.test = &test;
    crossing.result = &result;
    crossing.stage = Stage::kEntering;
    asm volatile("int3" ::: "memory", "cc"); // to enter(), into the test, to leave(), and back here
    std::memcpy(result.memory.pages.data(), alias_, sizeof(test.memory.pages));
}

} // namespace touka::tests::instructions
