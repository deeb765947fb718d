// Processes: made, replaced by a program, and taking turns.
#include <array>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "workloads.hpp"

namespace touka::bench {

namespace {

constexpr int kChildStatus = 42;

pid_t fork_process() {
    const pid_t child = ::fork();
    require(child >= 0, "fork");
    return child;
}

bool ended_well(pid_t child, int status_wanted) {
    int status = 0;
    require(::waitpid(child, &status, 0) == child, "waitpid");
    return WIFEXITED(status) && WEXITSTATUS(status) == status_wanted;
}

// @return false at the pipe's end.
bool pass_on(int from, int to, unsigned char add) {
    unsigned char byte = 0;
    if (::read(from, &byte, 1) != 1) return false;
    byte = static_cast<unsigned char>(byte + add);
    return ::write(to, &byte, 1) == 1;
}

} // namespace

Answer fork_and_wait(Trial& trial) {
    std::vector<unsigned char> memory(std::size_t{4} << 20, 1); // that a child shares until it writes
    std::uint64_t right = 0;
    const std::uint64_t children = trial.amount(150);
    trial.start_clock();
    for (std::uint64_t i = 0; i < children; ++i) {
        const pid_t child = fork_process();
        if (child == 0) {
            for (std::size_t page = 0; page < 16; ++page) ++memory[page * 4096];
            ::_exit(kChildStatus - 1 + memory[i % 2]); // 0: written by the child, 1: not
        }
        right += static_cast<std::uint64_t>(ended_well(child, kChildStatus + (i % 2 == 0 ? 1 : 0)));
    }
    require(memory[0] == 1, "a child wrote its parent's memory");
    Answer answer;
    answer.add(right);
    return answer;
}

Answer fork_and_execute(Trial& trial) {
    std::uint64_t right = 0;
    const std::uint64_t children = trial.amount(80);
    for (std::uint64_t i = 0; i < children; ++i) {
        const pid_t child = fork_process();
        if (child == 0) {
            ::execl("/proc/self/exe", "cpu_workloads", "--nothing", static_cast<char*>(nullptr));
            give_up("/proc/self/exe");
        }
        right += static_cast<std::uint64_t>(ended_well(child, 0));
    }
    require(right == children, "a program did not end well");
    Answer answer;
    answer.add(right);
    return answer;
}

Answer context_switch(Trial& trial) {
    std::array<int, 2> there{};
    std::array<int, 2> back{};
    require(::pipe(there.data()) == 0 && ::pipe(back.data()) == 0, "pipe");
    const pid_t child = fork_process();
    if (child == 0) {
        ::close(there[1]);
        while (pass_on(there[0], back[1], 1)) {
        }
        ::_exit(kChildStatus);
    }
    const std::uint64_t rounds = trial.amount(20'000);
    trial.start_clock();
    unsigned char byte = 0;
    require(::write(there[1], &byte, 1) == 1, "write");
    for (std::uint64_t round = 1; round < rounds; ++round) require(pass_on(back[0], there[1], 2), "pipe");
    require(::read(back[0], &byte, 1) == 1, "read");
    trial.stop_clock();
    ::close(there[1]);
    require(ended_well(child, kChildStatus), "the other process failed");
    Answer answer;
    answer.add(byte);
    return answer;
}

} // namespace touka::bench
