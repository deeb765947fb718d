#include "sandbox.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>

namespace touka::usernet {

namespace {

constexpr uid_t kNobody = 65534;

std::unexpected<std::string> failure(const char* step) {
    return std::unexpected(fmt::format("sandbox: {}: {}", step, std::strerror(errno)));
}

/// Allowed with any arguments: data on descriptors, sockets, memory, time, the end.
constexpr std::array kAllowed{
    SCMP_SYS(read),          SCMP_SYS(write),          SCMP_SYS(readv),      SCMP_SYS(writev),
    SCMP_SYS(recvfrom),      SCMP_SYS(sendto),         SCMP_SYS(recvmsg),    SCMP_SYS(sendmsg),
    SCMP_SYS(recvmmsg),      SCMP_SYS(sendmmsg),       SCMP_SYS(poll),       SCMP_SYS(ppoll),
    SCMP_SYS(close),         SCMP_SYS(shutdown),       SCMP_SYS(connect),    SCMP_SYS(bind),
    SCMP_SYS(listen),        SCMP_SYS(accept),         SCMP_SYS(accept4),    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),   SCMP_SYS(getsockopt),     SCMP_SYS(setsockopt), SCMP_SYS(fcntl),
    SCMP_SYS(fstat),         SCMP_SYS(newfstatat),     SCMP_SYS(lseek),      SCMP_SYS(brk),
    SCMP_SYS(munmap),        SCMP_SYS(mremap),         SCMP_SYS(madvise),    SCMP_SYS(futex),
    SCMP_SYS(getpid),        SCMP_SYS(gettid),         SCMP_SYS(getrandom),  SCMP_SYS(time),
    SCMP_SYS(gettimeofday),  SCMP_SYS(exit),           SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(clock_gettime), SCMP_SYS(restart_syscall)};

/// Allowed with an argument of this kind only.
struct Condition {
    int call;
    scmp_arg_cmp argument;
};

int add_rules(scmp_filter_ctx filter) {
    for (const int call : kAllowed) {
        if (const int result = ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0); result != 0) return result;
    }
    const std::array conditions{
        Condition{SCMP_SYS(socket), SCMP_A0_64(SCMP_CMP_EQ, AF_INET)},
        Condition{SCMP_SYS(ioctl), SCMP_A1_64(SCMP_CMP_EQ, FIONREAD)},
        Condition{SCMP_SYS(ioctl), SCMP_A1_64(SCMP_CMP_EQ, FIONBIO)},
        // /etc/resolv.conf, looked at again as it changes
        Condition{SCMP_SYS(openat), SCMP_A2_64(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY)},
        Condition{SCMP_SYS(mmap), SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)},
        Condition{SCMP_SYS(mprotect), SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)},
    };
    for (const Condition& condition : conditions) {
        const int result = ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, condition.call, 1, condition.argument);
        if (result != 0) return result;
    }
    return 0;
}

std::expected<void, std::string> leave_root() {
    if (::geteuid() != 0) return {};
    if (::setgroups(0, nullptr) != 0) return failure("groups");
    if (::setresgid(kNobody, kNobody, kNobody) != 0) return failure("group");
    if (::setresuid(kNobody, kNobody, kNobody) != 0) return failure("user"); // capabilities go with it
    return {};
}

} // namespace

std::expected<void, std::string> enter_sandbox() {
    if (auto left = leave_root(); !left) return left;
    // After the change of user, which would clear it.
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return failure("death signal");
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failure("no new privileges");
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return failure("core dumps");
    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
    if (::setrlimit(RLIMIT_FSIZE, &none) != 0) return failure("file size");

    const std::unique_ptr<void, decltype(&::seccomp_release)> filter(::seccomp_init(SCMP_ACT_KILL_PROCESS),
                                                                     ::seccomp_release);
    if (filter == nullptr) return failure("filter");
    int result = add_rules(filter.get());
    if (result == 0) result = ::seccomp_load(filter.get());
    if (result == 0) return {};
    errno = -result;
    return failure("filter");
}

} // namespace touka::usernet
