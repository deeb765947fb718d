// Entering and leaving the kernel: with nothing to do there, with a few bytes, with many.
#include <array>
#include <vector>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "workloads.hpp"

namespace touka::bench {

Answer get_pid(Trial& trial) {
    const auto own = ::syscall(SYS_getpid);
    std::uint64_t right = 0;
    const std::uint64_t calls = trial.amount(300'000);
    for (std::uint64_t call = 0; call < calls; ++call)
        right += static_cast<std::uint64_t>(::syscall(SYS_getpid) == own);
    Answer answer;
    answer.add(right);
    return answer;
}

Answer pipe_bytes(Trial& trial) {
    std::array<int, 2> ends{};
    require(::pipe(ends.data()) == 0, "pipe");
    std::array<unsigned char, 64> buffer{};
    const std::uint64_t rounds = trial.amount(80'000);
    trial.start_clock();
    for (std::uint64_t round = 0; round < rounds; ++round) {
        ++buffer[round % buffer.size()];
        require(::write(ends[1], buffer.data(), buffer.size()) == std::ssize(buffer), "write");
        require(::read(ends[0], buffer.data(), buffer.size()) == std::ssize(buffer), "read");
    }
    Answer answer;
    answer.add(buffer);
    return answer;
}

Answer read_zero(Trial& trial) {
    const int zero = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
    require(zero >= 0, "/dev/zero");
    std::vector<unsigned char> buffer(std::size_t{64} << 10, 1);
    std::uint64_t bytes = 0;
    const std::uint64_t rounds = trial.amount(30'000);
    trial.start_clock();
    for (std::uint64_t round = 0; round < rounds; ++round) {
        const auto got = ::read(zero, buffer.data(), buffer.size());
        require(got > 0 && buffer[static_cast<std::size_t>(got) - 1] == 0, "read");
        bytes += static_cast<std::uint64_t>(got);
    }
    Answer answer;
    answer.add(bytes);
    return answer;
}

} // namespace touka::bench
