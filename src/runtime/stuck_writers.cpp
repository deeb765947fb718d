#include "runtime/stuck_writers.hpp"

#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace touka::runtime {

namespace {

constexpr int kNone = -1;
constexpr std::chrono::milliseconds kLookEvery{500};

/// One thread that writes. Its owner writes `fd` and `count`, the one that looks after it the others.
struct Writer {
    std::atomic<int> fd{kNone};          // written to now
    std::atomic<std::uint64_t> count{0}; // of writes, so that a second one is not taken for the first
    std::atomic<bool> helping{false};    // the owner waits for that, so that `fd` stays open meanwhile
    std::atomic<bool> helped{false};
    std::uint64_t seen = 0; // count at the last look
    bool owned = true;      // under the list's lock
};

class Writers {
public:
    /// Never destroyed: threads outlive static objects.
    static Writers& instance() {
        static Writers& all = *new Writers;
        return all;
    }
    Writer& add() {
        const std::scoped_lock lock(mutex_);
        for (const auto& each : list_) {
            if (each->owned) continue;
            each->owned = true;
            return *each;
        }
        return *list_.emplace_back(std::make_unique<Writer>());
    }
    void remove(Writer& writer) {
        const std::scoped_lock lock(mutex_);
        writer.owned = false;
    }

private:
    Writers() {
        std::thread([this] { look(); }).detach();
    }

    [[noreturn]] void look() {
        while (true) {
            std::this_thread::sleep_for(kLookEvery);
            const std::scoped_lock lock(mutex_);
            for (const auto& each : list_) look_at(*each);
        }
    }
    static void look_at(Writer& writer) {
        const std::uint64_t count = writer.count.load();
        const int fd = writer.fd.load();
        if (fd != kNone && count == writer.seen) {
            writer.helping.store(true);
            // Still the same write: its owner sees `helping`, and returns when this is done.
            if (writer.fd.load() == fd && writer.count.load() == count) {
                writer.helped.store(true);
                (void)take_back_foreign(fd);
            }
            writer.helping.store(false);
        }
        writer.seen = count;
    }

    std::mutex mutex_;
    std::vector<std::unique_ptr<Writer>> list_;
};

struct OwnWriter {
    Writer& writer = Writers::instance().add();
    ~OwnWriter() { Writers::instance().remove(writer); }
};

} // namespace

bool raise_foreign(int fd) {
    thread_local const OwnWriter own;
    Writer& writer = own.writer;
    writer.count.store(writer.count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    writer.fd.store(fd);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(fd, &one, sizeof one); // a full counter is raised already
    writer.fd.store(kNone);
    while (writer.helping.load()) std::this_thread::yield();
    return !writer.helped.exchange(false);
}

bool take_back_foreign(int fd) {
    std::uint64_t count = 0;
    const iovec place{&count, sizeof count};
    return ::preadv2(fd, &place, 1, -1, RWF_NOWAIT) == sizeof count;
}

} // namespace touka::runtime
