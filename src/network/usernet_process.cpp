#include "network/usernet_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>

#include "network/usernet_protocol.hpp"

namespace touka::network {

namespace {

constexpr int kSocketBufferBytes = 1 << 20;

std::string beside_this_program(const char* name) {
    std::array<char, PATH_MAX> path{};
    const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size());
    const std::string program(path.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
    return program.substr(0, program.rfind('/') + 1) + name;
}

/// What of the parent does not go on in the child: descriptors, signal mask, process group (Ctrl-C is not for it).
class SpawnSettings {
public:
    explicit SpawnSettings(int socket) {
        ::posix_spawn_file_actions_init(&files_);
        ::posix_spawn_file_actions_adddup2(&files_, socket, usernet_protocol::kSocketFd);
        ::posix_spawn_file_actions_addopen(&files_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        ::posix_spawn_file_actions_addopen(&files_, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        ::posix_spawn_file_actions_addclosefrom_np(&files_, usernet_protocol::kSocketFd + 1);
        ::posix_spawnattr_init(&attributes_);
        sigset_t none, all;
        ::sigemptyset(&none);
        ::sigfillset(&all);
        ::posix_spawnattr_setsigmask(&attributes_, &none);
        ::posix_spawnattr_setsigdefault(&attributes_, &all);
        ::posix_spawnattr_setpgroup(&attributes_, 0);
        ::posix_spawnattr_setflags(&attributes_,
                                   POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    }
    ~SpawnSettings() {
        ::posix_spawnattr_destroy(&attributes_);
        ::posix_spawn_file_actions_destroy(&files_);
    }
    SpawnSettings(const SpawnSettings&) = delete;
    SpawnSettings& operator=(const SpawnSettings&) = delete;
    [[nodiscard]] const posix_spawn_file_actions_t* files() const { return &files_; }
    [[nodiscard]] const posix_spawnattr_t* attributes() const { return &attributes_; }

private:
    posix_spawn_file_actions_t files_{};
    posix_spawnattr_t attributes_{};
};

} // namespace

std::expected<UsernetProcess, std::string> UsernetProcess::start(const Options& options) {
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) {
        return std::unexpected(fmt::format("user network: no sockets: {}", std::strerror(errno)));
    }
    runtime::UniqueFd ours(pair[0]);
    const runtime::UniqueFd theirs(pair[1]);
    for (const int fd : pair) {
        ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSocketBufferBytes, sizeof kSocketBufferBytes);
    }
    ::fcntl(ours.get(), F_SETFL, O_NONBLOCK);

    std::vector<std::string> words{options.program.empty() ? beside_this_program(usernet_protocol::kProgram)
                                                           : options.program};
    if (options.restricted) words.emplace_back(usernet_protocol::kRestrictedOption);
    for (const PortForward& forward : options.forwards) {
        words.emplace_back(usernet_protocol::kForwardOption);
        words.push_back(to_string(forward));
    }
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    std::array<char*, 1> no_environment{nullptr};

    const SpawnSettings settings(theirs.get());
    pid_t pid = -1;
    const int error = ::posix_spawn(&pid, words[0].c_str(), settings.files(), settings.attributes(), arguments.data(),
                                    no_environment.data());
    if (error != 0) {
        return std::unexpected(fmt::format("user network: {} cannot be started: {}", words[0], std::strerror(error)));
    }
    return UsernetProcess(pid, std::move(ours));
}

UsernetProcess::~UsernetProcess() { end(); }

std::string UsernetProcess::end() {
    if (pid_ < 0) return "ended";
    const pid_t pid = std::exchange(pid_, -1);
    siginfo_t ended{};
    // Its socket closes a moment before it can be waited for; leave it that moment, to learn its own reason.
    for (int i = 0; i < 100 && ended.si_pid == 0; ++i) {
        ::waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOHANG | WNOWAIT);
        if (ended.si_pid == 0) ::usleep(100);
    }
    if (ended.si_pid == 0) ::kill(pid, SIGKILL);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status)) return fmt::format("signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
    return fmt::format("exit status {}", WEXITSTATUS(status));
}

} // namespace touka::network
