// cpu_workloads: the part of ./dev bench cpu that runs in the guest, and on the host to compare with. Runs workloads,
// each in a process of its own, and prints a line for each:
//   WORKLOAD <group> <name> <seconds> <hash of the answer>
//   LACKING <group> <name> <what this machine lacks for it>
//   FAILED <group> <name>       (why is on standard error)
// With --serve it says READY and takes their names from standard input, so that engines can take turns at each
// workload.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "workload.hpp"

namespace touka::bench {
namespace {

struct Result {
    double seconds;
    std::uint64_t hash;
};

std::optional<Result> run_apart(const Workload& workload, double scale) {
    std::array<int, 2> ends{};
    require(::pipe(ends.data()) == 0, "pipe");
    const pid_t child = ::fork();
    require(child >= 0, "fork");
    if (child == 0) {
        ::close(ends[0]);
        Trial trial(scale);
        const Answer answer = workload.run(trial);
        const Result result{trial.seconds(), answer.hash()};
        require(::write(ends[1], &result, sizeof(result)) == sizeof(result), "write");
        ::_exit(EXIT_SUCCESS);
    }
    ::close(ends[1]);
    Result result{};
    const bool answered = ::read(ends[0], &result, sizeof(result)) == sizeof(result);
    ::close(ends[0]);
    int status = 0;
    require(::waitpid(child, &status, 0) == child, "waitpid");
    if (!answered || status != 0) return std::nullopt;
    return result;
}

bool run_and_print(const Workload& workload, double scale) {
    const std::string title = fmt::format("{} {}", name_of(workload.group), workload.name);
    const std::string_view lacking = workload.lacks != nullptr ? workload.lacks() : "";
    const auto result = lacking.empty() ? run_apart(workload, scale) : std::nullopt;
    if (result)
        fmt::print("WORKLOAD {} {:.6f} {:016x}\n", title, result->seconds, result->hash);
    else if (!lacking.empty())
        fmt::print("LACKING {} {}\n", title, lacking);
    else
        fmt::print("FAILED {}\n", title);
    (void)std::fflush(stdout); // whoever reads it shows progress
    return result || !lacking.empty();
}

const Workload* find(std::string_view name) {
    const auto found = std::ranges::find(catalogue(), name, &Workload::name);
    return found != catalogue().end() ? &*found : nullptr;
}

// @return what is wrong with it, as CLI11 wants it.
std::string is_known(const std::string& name) { return find(name) != nullptr ? "" : "no workload " + name; }

// One name a line; an empty one ends it, as a console has no end of file.
bool serve(double scale) {
    fmt::print("READY\n");
    (void)std::fflush(stdout);
    bool all_well = true;
    for (std::string name; std::getline(std::cin, name) && !name.empty();) {
        const Workload* const workload = find(name);
        require(workload != nullptr, "no workload " + name);
        all_well = run_and_print(*workload, scale) && all_well;
    }
    return all_well;
}

int run(int argc, char** argv) {
    CLI::App arguments{"Runs the workloads of the CPU benchmark."};
    bool list = false;
    bool nothing = false;
    bool serving = false;
    double scale = 1;
    std::vector<std::string> names;
    arguments.add_flag("--list", list, "print group and name of each workload and end");
    arguments.add_flag("--nothing", nothing, "end at once (what fork_exec executes)");
    arguments.add_flag("--serve", serving, "run those named on standard input, until an empty line");
    arguments.add_option("--scale", scale, "amount of work; 1 is what is measured")->check(CLI::PositiveNumber);
    arguments.add_option("name", names, "workloads to run (default all)")->delimiter(',')->check(is_known, "NAME");
    CLI11_PARSE(arguments, argc, argv);

    if (nothing) return EXIT_SUCCESS;
    if (serving) return serve(scale) ? EXIT_SUCCESS : EXIT_FAILURE;
    bool all_well = true;
    for (const Workload& workload : catalogue()) {
        if (!names.empty() && std::ranges::find(names, workload.name) == names.end()) continue;
        if (list)
            fmt::print("{} {}\n", name_of(workload.group), workload.name);
        else
            all_well = run_and_print(workload, scale) && all_well;
    }
    return all_well ? EXIT_SUCCESS : EXIT_FAILURE;
}

} // namespace
} // namespace touka::bench

int main(int argc, char** argv) { return touka::bench::run(argc, argv); }
