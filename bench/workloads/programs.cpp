// Programs as Debian's packages have them, loaded, linked and run as in any guest. They and what they work on are on
// the root that tools/bench.sh makes; the answer is what they print.
#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workloads.hpp"

namespace touka::bench {

namespace {

constexpr const char* kText = "/bench/text";

// Runs it to its end, `output` (inherited) being its standard output, with an environment that is the same everywhere.
pid_t start(std::vector<std::string> command, int output) {
    posix_spawn_file_actions_t files;
    require(::posix_spawn_file_actions_init(&files) == 0 &&
                ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0) == 0 &&
                ::posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO) == 0,
            "posix_spawn_file_actions");
    std::vector<char*> arguments(command.size() + 1, nullptr); // ends with a null pointer
    for (std::size_t i = 0; i < command.size(); ++i) arguments[i] = command[i].data();
    std::string path = "PATH=/usr/bin:/bin";
    std::string locale = "LC_ALL=C";
    std::string home = "HOME=/"; // sqlite3 warns without one
    const std::array<char*, 4> environment{path.data(), locale.data(), home.data(), nullptr};
    pid_t child = 0;
    errno = ::posix_spawn(&child, arguments[0], &files, nullptr, arguments.data(), environment.data());
    require(errno == 0, command[0]);
    return child;
}

void finish(pid_t child, const std::string& program) {
    int status = 0;
    require(::waitpid(child, &status, 0) == child, "waitpid");
    errno = 0;
    require(WIFEXITED(status) && WEXITSTATUS(status) == 0, program + " failed");
}

Answer output_of(const std::vector<std::string>& command) {
    std::array<int, 2> ends{};
    require(::pipe2(ends.data(), O_CLOEXEC) == 0, "pipe2");
    const pid_t child = start(command, ends[1]);
    ::close(ends[1]);
    Answer answer;
    std::array<unsigned char, 65'536> buffer{};
    ssize_t got = 0;
    std::size_t length = 0;
    while ((got = ::read(ends[0], buffer.data(), buffer.size())) > 0) {
        answer.add(std::span(buffer).first(static_cast<std::size_t>(got)));
        length += static_cast<std::size_t>(got);
    }
    finish(child, command[0]);
    require(length > 0, command[0] + " printed nothing");
    return answer;
}

Answer interpret(Trial& trial, std::vector<std::string> command, std::uint64_t amount) {
    command.push_back(std::to_string(trial.amount(amount)));
    trial.start_clock();
    return output_of(command);
}

} // namespace

std::string_view lacks_programs() { return ::access(kText, R_OK) == 0 ? "" : "not on the benchmark's root"; }

Answer xz(Trial& /*trial*/) { return output_of({"/usr/bin/xz", "-c", "-2", "-T1", kText}); }

Answer unxz(Trial& trial) {
    std::string name = "/tmp/text-XXXXXX";
    const int file = ::mkstemp(name.data());
    require(file >= 0, name);
    const std::string program = "/usr/bin/xz";
    finish(start({program, "-c", "-2", "-T1", kText}, file), program);
    const std::uint64_t rounds = trial.amount(5);
    trial.start_clock();
    Answer answer;
    for (std::uint64_t round = 0; round < rounds; ++round)
        answer.add(output_of({program, "-d", "-c", "--format=xz", name}).hash());
    trial.stop_clock();
    ::unlink(name.c_str());
    return answer;
}

Answer bzip2(Trial& /*trial*/) { return output_of({"/bin/bzip2", "-c", kText}); }

Answer sqlite(Trial& trial) {
    const std::string rows = ".parameter set @rows " + std::to_string(trial.amount(40'000));
    trial.start_clock();
    return output_of({"/usr/bin/sqlite3", "-batch", "-cmd", rows, ":memory:", ".read /bench/orders.sql"});
}

Answer python(Trial& trial) {
    return interpret(trial, {"/usr/bin/python3.11", "-S", "-E", "/bench/words.py", kText}, 60);
}
Answer perl(Trial& trial) { return interpret(trial, {"/usr/bin/perl", "/bench/words.pl", kText}, 60); }
Answer gawk(Trial& trial) { return interpret(trial, {"/usr/bin/gawk", "-f", "/bench/columns.awk", kText}, 60); }
Answer luajit(Trial& trial) { return interpret(trial, {"/usr/bin/luajit", "/bench/numbers.lua"}, 60); }
Answer lua_interpreter(Trial& trial) {
    return interpret(trial, {"/usr/bin/luajit", "-joff", "/bench/numbers.lua"}, 60);
}

Answer shell(Trial& trial) {
    static constexpr const char* kScript = R"(
        count=0; sum=0
        while [ $count -lt $1 ]; do
            case $((count % 5)) in
                0 | 1) sum=$((sum + count)) ;;
                *) word=${count#1}; sum=$((sum + ${#word})) ;;
            esac
            count=$((count + 1))
        done
        echo $sum)";
    return interpret(trial, {"/bin/busybox", "sh", "-c", kScript, "sh"}, 40'000);
}

} // namespace touka::bench
