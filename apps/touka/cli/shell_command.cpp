#include "shell_command.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>

#include "runtime/unique_fd.hpp"

namespace touka::cli {
namespace {

using runtime::UniqueFd;

std::unexpected<std::string> system_error(int error) { return std::unexpected(std::string(std::strerror(error))); }

/// A file in memory, at its beginning. Unlike a pipe it takes all before anybody reads.
std::expected<UniqueFd, std::string> file_of(std::string_view text) {
    UniqueFd file(::memfd_create("input", MFD_CLOEXEC));
    if (!file) return system_error(errno);
    while (!text.empty()) {
        const ssize_t count = ::write(file.get(), text.data(), text.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return system_error(errno);
        text.remove_prefix(static_cast<std::size_t>(count));
    }
    if (::lseek(file.get(), 0, SEEK_SET) < 0) return system_error(errno);
    return file;
}

std::expected<pid_t, std::string> start(const std::string& command, int input, int output) {
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    std::string shell = "sh", flag = "-c", words = command;
    char* const arguments[] = {shell.data(), flag.data(), words.data(), nullptr};
    pid_t child = 0;
    const int error = ::posix_spawn(&child, "/bin/sh", &actions, nullptr, arguments, environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (error != 0) return system_error(error);
    return child;
}

/// All that comes, up to one byte more than the limit.
std::string read_all(int from, std::size_t limit_bytes) {
    std::string text;
    char buffer[16'384];
    while (text.size() <= limit_bytes) {
        const ssize_t count = ::read(from, buffer, sizeof buffer);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;
        text.append(buffer, static_cast<std::size_t>(count));
    }
    return text;
}

/// @return how the child failed.
std::optional<std::string> failure_of(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) return std::strerror(errno);
    }
    if (WIFSIGNALED(status)) return fmt::format("ended by signal {}", WTERMSIG(status));
    if (WEXITSTATUS(status) != 0) return fmt::format("exit status {}", WEXITSTATUS(status));
    return std::nullopt;
}

} // namespace

std::expected<std::string, std::string> run_by_shell(const std::string& command, std::string_view input,
                                                     std::size_t limit_bytes) {
    const auto file = file_of(input);
    if (!file) return std::unexpected(file.error());
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) return system_error(errno);
    UniqueFd output(ends[0]), child_output(ends[1]);
    const auto child = start(command, file->get(), child_output.get());
    child_output.reset();
    if (!child) return std::unexpected(child.error());
    std::string text = read_all(output.get(), limit_bytes);
    output.reset(); // who still prints, fails
    const auto failure = failure_of(*child);
    if (text.size() > limit_bytes) return std::unexpected(fmt::format("printed more than {} bytes", limit_bytes));
    if (failure) return std::unexpected(*failure);
    return text;
}

} // namespace touka::cli
