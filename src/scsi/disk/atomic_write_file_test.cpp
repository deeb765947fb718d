#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <future>

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
    std::filesystem::path path;
};

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
    runtime::Reactor reactor("disk");
    auto disk = storage::open_side_file(folder.path / "disk", 4 << 20, storage::SideFileSpace::kSparse);
    auto journal = storage::open_side_file(folder.path / "journal", AtomicJournal::kUsualFileBytes,
                                           storage::SideFileSpace::kReserved);
    ASSERT_TRUE(disk && journal);
    std::unique_ptr<storage::BlockDevice> disk_queue, journal_queue;
    std::unique_ptr<DiskUnit> unit;
    Nexus nexus;
    reactor.run_and_wait([&] {
        disk_queue = (*disk)->open_queue(reactor);
        journal_queue = (*journal)->open_queue(reactor);
        DiskOptions options;
        options.identity.serial = "1";
        options.atomic_journal = journal_queue.get();
        unit = std::make_unique<DiskUnit>(*disk_queue, std::move(options));
        unit->unit().attach(nexus);
    });
    const auto run = [&](Bytes cdb, Bytes data) {
        TestTask task(nexus, std::move(cdb), std::move(data));
        std::promise<void> done;
        task.on_complete = [&](TestTask&) { done.set_value(); };
        reactor.post([&] {
            unit->unit().submit(task);
            unit->unit().commit();
        });
        done.get_future().wait();
        reactor.run_and_wait([] {});
        return task.status;
    };
    while (run({0, 0, 0, 0, 0, 0}, {}) != Status::kGood) {
    } // recovery, unit attention
    EXPECT_EQ(run(write_atomic(5, 2048), pattern(2048, 9)), Status::kGood);
    reactor.run_and_wait([&] {
        unit.reset();
        journal_queue.reset();
        disk_queue.reset();
    });
    const int fd = ::open((folder.path / "disk").c_str(), O_RDONLY);
    Bytes found(2048 * 512);
    EXPECT_EQ(::pread(fd, found.data(), found.size(), 5 * 512), static_cast<ssize_t>(found.size()));
    ::close(fd);
    EXPECT_EQ(found, pattern(2048, 9));
}

} // namespace
} // namespace touka::scsi
