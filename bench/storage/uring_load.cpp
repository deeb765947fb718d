// The limits: the same reads of the same file by io_uring, without a protocol; and those of a process that another one
// wakes for them and that wakes it in return, as every server has to whose client waits.
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <csignal>
#include <optional>
#include <vector>

#include "load.hpp"
#include "runtime/notification.hpp"

using namespace touka::bench;
using touka::runtime::Notification;

namespace {

struct Ring {
    io_uring ring{};
    bool made;
    /// As touka's queues make theirs.
    explicit Ring(unsigned depth) : made(::io_uring_queue_init(depth, &ring, IORING_SETUP_COOP_TASKRUN) == 0) {
        if (made) (void)::io_uring_register_ring_fd(&ring);
    }
    ~Ring() {
        if (made) ::io_uring_queue_exit(&ring);
    }
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;
};

/// Waits until it is signalled. @return false when nobody does for long.
bool wait_for(const Notification& notification) {
    constexpr int kStallMs = 5000;
    pollfd ready{notification.fd(), POLLIN, 0};
    return ::poll(&ready, 1, kStallMs) == 1 && notification.consume();
}

/// Another process, on a processor of its own, that asks and waits for the answer.
class Client {
public:
    explicit Client(int processor) : process_(::fork()) {
        if (process_ != 0) return;
        cpu_set_t own;
        CPU_ZERO(&own);
        CPU_SET(static_cast<unsigned>(processor), &own);
        ::sched_setaffinity(0, sizeof own, &own);
        do kick_.signal();
        while (wait_for(call_));
        ::_exit(0);
    }
    ~Client() {
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
    }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    [[nodiscard]] bool has_asked() const { return wait_for(kick_); }
    void answer() const { call_.signal(); }

private:
    Notification kick_, call_;
    pid_t process_;
};

int run(const std::string& path, const LoadOptions& options, std::optional<int> client_processor) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return fail("cannot open " + path);
    Ring owner(options.depth);
    io_uring& ring = owner.ring;
    if (!owner.made || ::io_uring_register_files(&ring, &file, 1) != 0) return fail("io_uring is not permitted here");
    std::vector<char> memory(std::size_t{options.depth} * kReadBytes);
    LoadRun load(options);
    const auto start = [&](std::uint64_t slot) {
        io_uring_sqe* const entry = ::io_uring_get_sqe(&ring);
        ::io_uring_prep_read(entry, 0, memory.data() + slot * kReadBytes, kReadBytes, load.next_offset());
        entry->flags |= IOSQE_FIXED_FILE;
        ::io_uring_sqe_set_data64(entry, slot);
    };
    std::optional<Client> client;
    if (client_processor) client.emplace(*client_processor);
    for (unsigned slot = 0; slot < options.depth; ++slot) start(slot);
    std::vector<io_uring_cqe*> done(options.depth);
    while (!load.over()) {
        if (client && !client->has_asked()) return fail("the client does not ask");
        ::io_uring_submit_and_wait(&ring, client ? options.depth : 1); // the client gets its answers together
        const unsigned count = ::io_uring_peek_batch_cqe(&ring, done.data(), options.depth);
        for (unsigned i = 0; i < count; ++i) {
            if (load.ended(done[i]->res == static_cast<int>(kReadBytes))) start(::io_uring_cqe_get_data64(done[i]));
        }
        ::io_uring_cq_advance(&ring, count);
        if (client) client->answer();
    }
    return load.report();
}

} // namespace

int main(int argc, char** argv) {
    CLI::App app("Random reads of a file by io_uring, for ./dev bench storage.");
    std::string path;
    app.add_option("file", path)->required();
    std::optional<int> client;
    app.add_option("--client", client, "processor of a process that waits for the reads: wakes, and is woken");
    const LoadOptions options(app, 256);
    CLI11_PARSE(app, argc, argv);
    return run(path, options, client);
}
