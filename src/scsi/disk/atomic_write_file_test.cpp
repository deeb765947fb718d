#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <future>
#include <thread>

#include "scsi/disk/powered_disk.hpp"
#include "storage/side_file.hpp"

namespace touka::scsi {
namespace {

using namespace spec::scsi;

class Folder {
public:
    Folder() {
        std::string name = "/var/tmp/touka-atomic-XXXXXX";
        path = ::mkdtemp(name.data());
    }
    ~Folder() { std::filesystem::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::filesystem::path path;
};

using Opened = std::expected<std::unique_ptr<storage::RawFile>, storage::OpenFailure>;

/// A disk on files, with the host's queues, on a reactor of its own.
class FileDisk {
public:
    explicit FileDisk(const std::filesystem::path& folder)
        : disk_(open(folder / "disk", 4 << 20)), journal_(open(folder / "journal", AtomicJournal::kUsualFileBytes)) {
        if (!disk_ || !journal_) return;
        reactor_.run_and_wait([&] {
            disk_queue_ = (*disk_)->open_queue(reactor_);
            journal_queue_ = (*journal_)->open_queue(reactor_);
            DiskOptions options;
            options.identity.serial = "1";
            options.atomic_journal = journal_queue_.get();
            unit_ = std::make_unique<DiskUnit>(*disk_queue_, std::move(options));
            unit_->unit().attach(nexus_);
        });
        while (run({0, 0, 0, 0, 0, 0}) != Status::kGood) {
        } // recovery, unit attention
    }
    ~FileDisk() {
        reactor_.run_and_wait([&] {
            unit_.reset();
            journal_queue_.reset();
            disk_queue_.reset();
        });
    }
    FileDisk(const FileDisk&) = delete;
    FileDisk& operator=(const FileDisk&) = delete;

    [[nodiscard]] bool is_open() const { return unit_ != nullptr; }
    Status run(Bytes cdb, Bytes data = {}) {
        TestTask task(nexus_, std::move(cdb), std::move(data));
        std::promise<void> done;
        task.on_complete = [&](TestTask&) { done.set_value(); };
        reactor_.post([&] {
            unit_->unit().submit(task);
            unit_->unit().commit();
        });
        done.get_future().wait();
        reactor_.run_and_wait([] {}); // whoever completed it has left
        return task.status;
    }

private:
    /// The kernel finishes what a killed process had submitted, and only then is the file free.
    static Opened open(const std::filesystem::path& path, std::uint64_t size_bytes) {
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        for (;;) {
            auto opened = storage::open_side_file(path, size_bytes, storage::SideFileSpace::kReserved);
            const bool again = !opened && opened.error().error == storage::OpenError::kInUse;
            if (!again || std::chrono::steady_clock::now() > until) return opened;
            std::this_thread::yield();
        }
    }

    runtime::Reactor reactor_{"disk"};
    Opened disk_, journal_;
    std::unique_ptr<storage::BlockDevice> disk_queue_, journal_queue_;
    std::unique_ptr<DiskUnit> unit_;
    Nexus nexus_;
};

Bytes bytes_of(const std::filesystem::path& path, std::uint64_t offset, std::size_t count) {
    Bytes found(count);
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(::pread(fd, found.data(), count, static_cast<off_t>(offset)), static_cast<ssize_t>(count));
    ::close(fd);
    return found;
}

TEST(SideFile, IsMadeForItsOwnerAloneAndOnlyGrows) {
    const Folder folder;
    const std::string path = folder.path / "side";
    {
        EXPECT_TRUE(storage::open_side_file(path, 8192, storage::SideFileSpace::kSparse));
    }
    struct stat status{};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600u);
    EXPECT_EQ(status.st_size, 8192);
    {
        EXPECT_TRUE(storage::open_side_file(path, 4096, storage::SideFileSpace::kReserved));
    }
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_size, 8192);
    EXPECT_FALSE(storage::open_side_file(folder.path, 4096, storage::SideFileSpace::kSparse));
    EXPECT_FALSE(storage::open_side_file(folder.path / "none" / "side", 4096, storage::SideFileSpace::kSparse));
}

TEST(WriteAtomic, WorksOnFilesWithTheHostsQueues) {
    const Folder folder;
    {
        FileDisk disk(folder.path);
        ASSERT_TRUE(disk.is_open());
        EXPECT_EQ(disk.run(write_atomic(5, 2048), pattern(2048, 9)), Status::kGood);
    }
    EXPECT_EQ(bytes_of(folder.path / "disk", 5 * 512, 2048 * 512), pattern(2048, 9));
}

/// Writes the same blocks again and again, each time full of another byte, and tells of each through the pipe.
[[noreturn]] void write_until_killed(const std::filesystem::path& folder, int pipe) {
    FileDisk disk(folder);
    for (std::uint8_t value = 1; disk.is_open(); ++value) {
        if (disk.run(write_atomic(5, 2048), Bytes(2048 * 512, value)) != Status::kGood) break;
        if (::write(pipe, &value, 1) != 1) break;
    }
    ::_exit(1);
}

TEST(WriteAtomic, IsWholeWhenItsProcessWasKilled) {
    const Folder folder;
    for (unsigned round = 0; round < 5; ++round) {
        std::array<int, 2> pipe{};
        ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
        const pid_t child = ::fork(); // no test before this one has left a thread
        if (child == 0) write_until_killed(folder.path, pipe[1]);
        ::close(pipe[1]);
        std::uint8_t acknowledged = 0;
        for (unsigned writes = 0; writes < 3; ++writes) ASSERT_EQ(::read(pipe[0], &acknowledged, 1), 1);
        const auto until = std::chrono::steady_clock::now() + round * std::chrono::microseconds(1700);
        while (std::chrono::steady_clock::now() < until) {
        } // elsewhere in the write each time
        ASSERT_EQ(::kill(child, SIGKILL), 0);
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status));
        while (::read(pipe[0], &acknowledged, 1) == 1) {
        }
        ::close(pipe[0]);
        {
            const FileDisk recovered(folder.path);
        }
        const Bytes found = bytes_of(folder.path / "disk", 5 * 512, 2048 * 512);
        ASSERT_EQ(found, Bytes(found.size(), found[0])) << "round " << round;
        ASSERT_TRUE(found[0] == acknowledged || found[0] == static_cast<std::uint8_t>(acknowledged + 1));
    }
}

} // namespace
} // namespace touka::scsi
