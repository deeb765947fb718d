// Debian's tgtd for tests: a target of somebody else on loopback, started and stopped by the test.
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace touka::scsi::test {

class TgtServer {
public:
    static constexpr const char* kTarget = "iqn.2026-01.example:disk";
    static constexpr std::uint64_t kDiskBytes = 16 << 20;

    static bool installed() { return ::access("/usr/sbin/tgtd", X_OK) == 0 && ::geteuid() == 0; }

    TgtServer() : port_(free_port()) {
        char folder[] = "/tmp/touka-tgt-XXXXXX";
        folder_ = ::mkdtemp(folder);
        std::filesystem::path disk = folder_ / "disk.img";
        const int fd = ::open(disk.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        (void)!::ftruncate(fd, static_cast<off_t>(kDiskBytes));
        ::close(fd);
    }
    ~TgtServer() {
        stop();
        std::filesystem::remove_all(folder_);
    }
    /// Starts tgtd with one target that has the disk as LUN 1. @return false when it does not come up.
    bool start() {
        process_ = spawn({"tgtd", "-f", "--control-port", "0", "--iscsi", "portal=127.0.0.1:" + std::to_string(port_)});
        for (int i = 0; i < 100; ++i) {
            if (admin("--mode target --op new --tid 1 -T " + std::string(kTarget))) break;
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
        return admin("--mode logicalunit --op new --tid 1 --lun 1 -b " + (folder_ / "disk.img").string()) &&
               admin("--mode target --op bind --tid 1 -I ALL");
    }
    /// SIGKILL: tgtd ignores SIGTERM while it has targets.
    void stop() {
        if (!process_) return;
        ::kill(*process_, SIGKILL);
        ::waitpid(*process_, nullptr, 0);
        process_.reset();
        std::filesystem::remove(folder_ / "tgt.sock.0");
        std::filesystem::remove(folder_ / "tgt.sock.0.lock");
    }
    /// It no longer answers, but its sockets are there.
    void freeze() { ::kill(*process_, SIGSTOP); }
    void thaw() { ::kill(*process_, SIGCONT); }
    bool admin(const std::string& arguments) {
        return std::system(("TGT_IPC_SOCKET=" + (folder_ / "tgt.sock").string() + " tgtadm --lld iscsi " + arguments +
                            " >/dev/null 2>&1")
                               .c_str()) == 0;
    }
    [[nodiscard]] std::string url(const std::string& credentials = "") const {
        return "iscsi://" + credentials + "127.0.0.1:" + std::to_string(port_) + "/" + kTarget + "/1";
    }

private:
    static std::uint16_t free_port() {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        (void)!::bind(fd, reinterpret_cast<sockaddr*>(&address), length);
        (void)!::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
        ::close(fd);
        return ntohs(address.sin_port);
    }
    pid_t spawn(std::vector<std::string> words) {
        std::vector<char*> arguments;
        for (std::string& word : words) arguments.push_back(word.data());
        arguments.push_back(nullptr);
        const pid_t child = ::fork();
        if (child != 0) return child;
        ::setenv("TGT_IPC_SOCKET", (folder_ / "tgt.sock").c_str(), 1);
        const int log = ::open((folder_ / "tgtd.log").c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
        ::dup2(log, 1);
        ::dup2(log, 2);
        ::execv("/usr/sbin/tgtd", arguments.data());
        ::_exit(127);
    }

    std::filesystem::path folder_;
    std::uint16_t port_;
    std::optional<pid_t> process_;
};

} // namespace touka::scsi::test
