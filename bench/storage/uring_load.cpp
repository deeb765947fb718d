// The limit: the same reads of the same file by io_uring, without a protocol or another process.
#include <fcntl.h>
#include <liburing.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <vector>

#include "load.hpp"

using namespace touka::bench;

namespace {

struct Ring {
    io_uring ring{};
    bool made;
    explicit Ring(unsigned depth) : made(::io_uring_queue_init(depth, &ring, IORING_SETUP_COOP_TASKRUN) == 0) {}
    ~Ring() {
        if (made) ::io_uring_queue_exit(&ring);
    }
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;
};

int run(const std::string& path, const LoadOptions& options) {
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
    for (unsigned slot = 0; slot < options.depth; ++slot) start(slot);
    std::vector<io_uring_cqe*> done(options.depth);
    while (!load.over()) {
        ::io_uring_submit_and_wait(&ring, 1);
        const unsigned count = ::io_uring_peek_batch_cqe(&ring, done.data(), options.depth);
        for (unsigned i = 0; i < count; ++i) {
            if (load.ended(done[i]->res == static_cast<int>(kReadBytes))) start(::io_uring_cqe_get_data64(done[i]));
        }
        ::io_uring_cq_advance(&ring, count);
    }
    return load.report();
}

} // namespace

int main(int argc, char** argv) {
    CLI::App app("Random reads of a file by io_uring, for ./dev bench storage.");
    std::string path;
    app.add_option("file", path)->required();
    const LoadOptions options(app, 256);
    CLI11_PARSE(app, argc, argv);
    return run(path, options);
}
