#include "storage/raw_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <future>
#include <numeric>
#include <random>

#include "storage/faulty_block_device.hpp"

namespace touka::storage {
namespace {

/// A file of its own that goes with the test.
class DiskFile {
public:
    explicit DiskFile(std::uint64_t size_bytes, const std::string& folder = "/var/tmp")
        : path(folder + "/touka-disk-XXXXXX") {
        fd_ = runtime::UniqueFd(::mkstemp(path.data()));
        EXPECT_EQ(::ftruncate(fd_.get(), static_cast<off_t>(size_bytes)), 0);
    }
    ~DiskFile() { ::unlink(path.c_str()); }
    DiskFile(const DiskFile&) = delete;
    DiskFile& operator=(const DiskFile&) = delete;

    [[nodiscard]] std::string bytes(std::uint64_t offset, std::size_t count) const {
        std::string text(count, '?');
        EXPECT_EQ(::pread(fd_.get(), text.data(), count, static_cast<off_t>(offset)), static_cast<ssize_t>(count));
        return text;
    }
    void fill(char value, std::size_t count) const {
        const std::string text(count, value);
        EXPECT_EQ(::pwrite(fd_.get(), text.data(), count, 0), static_cast<ssize_t>(count));
        ::fsync(fd_.get());
    }
    [[nodiscard]] std::uint64_t allocated_bytes() const {
        struct stat status{};
        EXPECT_EQ(::fstat(fd_.get(), &status), 0);
        return static_cast<std::uint64_t>(status.st_blocks) * 512;
    }
    void shrink(std::uint64_t size_bytes) const {
        EXPECT_EQ(::ftruncate(fd_.get(), static_cast<off_t>(size_bytes)), 0);
    }

    std::string path;

private:
    runtime::UniqueFd fd_;
};

iovec vector_of(std::string& text) { return {.iov_base = text.data(), .iov_len = text.size()}; }

/// Submits one request on the reactor and waits for its end.
BlockStatus run(runtime::Reactor& reactor, BlockDevice& device, BlockRequest request) {
    std::promise<BlockStatus> ended;
    request.complete = [&](BlockStatus status) { ended.set_value(status); };
    reactor.post([&] {
        device.submit(request);
        device.commit();
    });
    const BlockStatus status = ended.get_future().get();
    reactor.run_and_wait([] {}); // the submitting handler has left
    return status;
}

class RawFileOn : public testing::TestWithParam<RawFile::Backend> {
protected:
    void open(const std::string& path, bool direct = false, bool read_only = false, std::uint32_t depth = 256) {
        RawFile::Options options;
        options.backend = GetParam();
        options.direct = direct;
        options.read_only = read_only;
        options.depth = depth;
        auto opened = RawFile::open(path, options);
        ASSERT_TRUE(opened) << opened.error().text;
        file = std::move(*opened);
        if (GetParam() == RawFile::Backend::kUring && !file->uses_uring()) GTEST_SKIP() << "io_uring is forbidden here";
        queue = file->open_queue(reactor);
    }
    void TearDown() override {
        reactor.run_and_wait([this] { queue.reset(); });
    }
    BlockStatus transfer(BlockOperation operation, std::uint64_t offset, std::string& text, bool fua = false) {
        const iovec vector = vector_of(text);
        return run(reactor, *queue,
                   {.operation = operation,
                    .offset_bytes = offset,
                    .length_bytes = text.size(),
                    .buffers = {&vector, 1},
                    .force_unit_access = fua,
                    .complete = {}});
    }
    BlockStatus range(BlockOperation operation, std::uint64_t offset, std::uint64_t length, bool may_unmap = false,
                      bool fua = false) {
        return run(reactor, *queue,
                   {.operation = operation,
                    .offset_bytes = offset,
                    .length_bytes = length,
                    .buffers = {},
                    .force_unit_access = fua,
                    .may_unmap = may_unmap,
                    .complete = {}});
    }

    runtime::Reactor reactor{"test"};
    std::unique_ptr<RawFile> file;
    std::unique_ptr<BlockDevice> queue;
};
INSTANTIATE_TEST_SUITE_P(Backends, RawFileOn, testing::Values(RawFile::Backend::kUring, RawFile::Backend::kThreads),
                         [](const auto& param_info) {
                             return param_info.param == RawFile::Backend::kUring ? "Uring" : "Threads";
                         });

TEST_P(RawFileOn, WritesTheBytesAndReadsThemBack) {
    const DiskFile disk(1 << 20);
    ASSERT_NO_FATAL_FAILURE(open(disk.path));
    std::string out(4096, 'w'), in(4096, ' ');
    EXPECT_EQ(transfer(BlockOperation::kWrite, 8192, out), BlockStatus::kOk);
    EXPECT_EQ(disk.bytes(8192, 4096), out) << "the disk's bytes are the file's bytes";
    EXPECT_EQ(transfer(BlockOperation::kRead, 8192, in), BlockStatus::kOk);
    EXPECT_EQ(in, out);
    EXPECT_EQ(transfer(BlockOperation::kWrite, 0, out, true), BlockStatus::kOk);
    EXPECT_EQ(range(BlockOperation::kFlush, 0, 0), BlockStatus::kOk);
}

TEST_P(RawFileOn, ScattersAndGathersManyBuffers) {
    const DiskFile disk(4 << 20);
    ASSERT_NO_FATAL_FAILURE(open(disk.path));
    std::string text(2000 * 512, ' ');
    std::mt19937 random(7);
    for (char& byte : text) byte = static_cast<char>(random());
    std::vector<iovec> vectors; // more than one call to the kernel takes
    for (std::size_t at = 0; at < text.size(); at += 512) vectors.push_back({.iov_base = &text[at], .iov_len = 512});
    EXPECT_EQ(run(reactor, *queue,
                  {.operation = BlockOperation::kWrite,
                   .offset_bytes = 512,
                   .length_bytes = text.size(),
                   .buffers = vectors,
                   .complete = {}}),
              BlockStatus::kOk);
    EXPECT_EQ(disk.bytes(512, text.size()), text);
}

TEST_P(RawFileOn, BouncesBuffersThatDirectIoCannotTake) {
    const DiskFile disk(2 << 20);
    ASSERT_NO_FATAL_FAILURE(open(disk.path, true));
    const std::size_t length = 600 * 1024; // several bounce buffers' worth
    std::string memory(length + 4096, ' ');
    char* const odd = memory.data() + 4096 - reinterpret_cast<std::uintptr_t>(memory.data()) % 4096 + 1;
    for (std::size_t i = 0; i < length; ++i) odd[i] = static_cast<char>(i * 31 >> 4);
    const std::string expected(odd, length);
    const std::array vectors{iovec{.iov_base = odd, .iov_len = 1000},
                             iovec{.iov_base = odd + 1000, .iov_len = length - 1000}};
    const auto request = [&](BlockOperation operation) {
        return BlockRequest{
            .operation = operation, .offset_bytes = 4096, .length_bytes = length, .buffers = vectors, .complete = {}};
    };
    EXPECT_EQ(run(reactor, *queue, request(BlockOperation::kWrite)), BlockStatus::kOk);
    EXPECT_EQ(disk.bytes(4096, length), expected);
    std::fill_n(odd, length, ' ');
    EXPECT_EQ(run(reactor, *queue, request(BlockOperation::kRead)), BlockStatus::kOk);
    EXPECT_EQ(std::string(odd, length), expected);
}

TEST_P(RawFileOn, DiscardPunchesAHole) {
    const DiskFile disk(1 << 20);
    disk.fill('d', 1 << 20);
    ASSERT_NO_FATAL_FAILURE(open(disk.path));
    ASSERT_GT(queue->geometry().discard_granularity_bytes, 0u);
    const std::uint64_t before = disk.allocated_bytes();
    EXPECT_EQ(range(BlockOperation::kDiscard, 65536, 524288), BlockStatus::kOk);
    EXPECT_LE(disk.allocated_bytes(), before - 500'000);
    EXPECT_EQ(disk.bytes(0, 65536), std::string(65536, 'd'));
}

TEST_P(RawFileOn, WriteZeroesKeepsTheBlocksUnlessTheyMayBeUnmapped) {
    const DiskFile disk(1 << 20);
    disk.fill('d', 1 << 20);
    ASSERT_NO_FATAL_FAILURE(open(disk.path));
    const std::uint64_t before = disk.allocated_bytes();
    EXPECT_EQ(range(BlockOperation::kWriteZeroes, 512, 65536, false, true), BlockStatus::kOk);
    EXPECT_EQ(disk.bytes(512, 65536), std::string(65536, '\0'));
    EXPECT_EQ(disk.bytes(0, 512), std::string(512, 'd'));
    EXPECT_GE(disk.allocated_bytes(), before);
    EXPECT_EQ(range(BlockOperation::kWriteZeroes, 131072, 262144, true), BlockStatus::kOk);
    EXPECT_EQ(disk.bytes(131072, 262144), std::string(262144, '\0'));
    EXPECT_LT(disk.allocated_bytes(), before - 200'000);
}

TEST_P(RawFileOn, RefusesWhatIsOutOfRangeOrNotWholeSectors) {
    const DiskFile disk(1 << 20);
    ASSERT_NO_FATAL_FAILURE(open(disk.path));
    std::string sector(512, 'x'), part(100, 'x');
    EXPECT_EQ(transfer(BlockOperation::kWrite, 1 << 20, sector), BlockStatus::kOutOfRange);
    EXPECT_EQ(transfer(BlockOperation::kRead, ~std::uint64_t{511}, sector), BlockStatus::kOutOfRange);
    EXPECT_EQ(transfer(BlockOperation::kWrite, 1, sector), BlockStatus::kOutOfRange);
    EXPECT_EQ(transfer(BlockOperation::kWrite, 0, part), BlockStatus::kOutOfRange);
    EXPECT_EQ(range(BlockOperation::kWriteZeroes, 512, 1 << 20), BlockStatus::kOutOfRange);
    EXPECT_EQ(range(BlockOperation::kDiscard, 0, ~std::uint64_t{511}), BlockStatus::kOutOfRange);
    EXPECT_EQ(disk.allocated_bytes(), 0u);
}

TEST_P(RawFileOn, AReadOnlyDiskCanBeReadAndFlushedAndNothingElse) {
    const DiskFile disk(1 << 20);
    disk.fill('r', 4096);
    ASSERT_NO_FATAL_FAILURE(open(disk.path, false, true));
    EXPECT_TRUE(queue->geometry().read_only);
    std::string sector(512, 'x');
    EXPECT_EQ(transfer(BlockOperation::kWrite, 0, sector), BlockStatus::kReadOnly);
    EXPECT_EQ(range(BlockOperation::kDiscard, 0, 512), BlockStatus::kReadOnly);
    EXPECT_EQ(range(BlockOperation::kWriteZeroes, 0, 512), BlockStatus::kReadOnly);
    EXPECT_EQ(range(BlockOperation::kFlush, 0, 0), BlockStatus::kOk);
    EXPECT_EQ(transfer(BlockOperation::kRead, 0, sector), BlockStatus::kOk);
    EXPECT_EQ(sector, std::string(512, 'r'));
}

TEST_P(RawFileOn, ReportsAFileThatWasTruncatedBelowIt) {
    const DiskFile disk(1 << 20);
    ASSERT_NO_FATAL_FAILURE(open(disk.path));
    disk.shrink(4096);
    std::string text(8192, ' ');
    EXPECT_EQ(transfer(BlockOperation::kRead, 0, text), BlockStatus::kIoError);
}

TEST_P(RawFileOn, CompletesConcurrentRequestsExactlyOnceEach) {
    const DiskFile disk(8 << 20);
    ASSERT_NO_FATAL_FAILURE(open(disk.path, true, false, 8)); // fewer places than requests
    constexpr std::size_t kCount = 500;
    std::vector<std::string> texts(kCount);
    std::vector<iovec> vectors(kCount);
    std::vector<BlockRequest> requests(kCount);
    std::vector<int> completions(kCount);
    std::size_t left = kCount;
    std::promise<void> all;
    for (std::size_t i = 0; i < kCount; ++i) {
        texts[i].assign(4096, static_cast<char>('a' + i % 26));
        vectors[i] = vector_of(texts[i]);
        requests[i] = {.operation = BlockOperation::kWrite,
                       .offset_bytes = i * 8192,
                       .length_bytes = 4096,
                       .buffers = {&vectors[i], 1},
                       .complete = [&, i](BlockStatus status) {
                           EXPECT_EQ(status, BlockStatus::kOk);
                           ++completions[i];
                           if (--left == 0) all.set_value();
                       }};
    }
    reactor.post([&] {
        for (auto& request : requests) queue->submit(request);
        queue->commit();
    });
    all.get_future().wait();
    reactor.run_and_wait([&] { EXPECT_EQ(queue->in_flight(), 0u); });
    EXPECT_EQ(completions, std::vector<int>(kCount, 1));
    for (std::size_t i = 0; i < kCount; ++i) EXPECT_EQ(disk.bytes(i * 8192, 4096), texts[i]);
}

TEST_P(RawFileOn, DestroyingAQueueCompletesWhatIsInFlight) {
    const DiskFile disk(1 << 20);
    ASSERT_NO_FATAL_FAILURE(open(disk.path));
    std::string text(65536, 'q');
    const iovec vector = vector_of(text);
    int completions = 0;
    BlockRequest request{.operation = BlockOperation::kWrite,
                         .length_bytes = text.size(),
                         .buffers = {&vector, 1},
                         .force_unit_access = true,
                         .complete = [&](BlockStatus) { ++completions; }};
    reactor.run_and_wait([&] {
        queue->submit(request);
        queue.reset();
    });
    EXPECT_EQ(completions, 1);
    EXPECT_EQ(disk.bytes(0, text.size()), text);
}

TEST_P(RawFileOn, ARequestThatWaitsForItsPlaceCanBeWithdrawnAndOneThatHasItCannot) {
    const DiskFile disk(1 << 20);
    ASSERT_NO_FATAL_FAILURE(open(disk.path, false, false, 1));
    std::array<std::string, 3> texts{std::string(512, 'a'), std::string(512, 'b'), std::string(512, 'c')};
    std::array<iovec, 3> vectors;
    std::array<BlockRequest, 3> requests;
    std::array<int, 3> completions{};
    std::promise<void> last;
    reactor.post([&] {
        for (std::size_t i = 0; i < 3; ++i) {
            vectors[i] = vector_of(texts[i]);
            requests[i] = {.operation = BlockOperation::kWrite,
                           .offset_bytes = i * 512,
                           .length_bytes = 512,
                           .buffers = {&vectors[i], 1},
                           .complete = [&, i](BlockStatus) {
                               ++completions[i];
                               if (i == 2) last.set_value();
                           }};
            queue->submit(requests[i]);
        }
        EXPECT_FALSE(queue->withdraw(requests[0]));
        EXPECT_TRUE(queue->withdraw(requests[1]));
        EXPECT_EQ(queue->in_flight(), 2u);
        queue->commit();
    });
    last.get_future().get();
    reactor.run_and_wait([&] { EXPECT_EQ(queue->in_flight(), 0u); });
    EXPECT_EQ(completions, (std::array{1, 0, 1}));
    EXPECT_EQ(disk.bytes(0, 1536), texts[0] + std::string(512, '\0') + texts[2]);
}

TEST_P(RawFileOn, QueuesOfOneFileSeeEachOthersWrites) {
    const DiskFile disk(1 << 20);
    ASSERT_NO_FATAL_FAILURE(open(disk.path));
    runtime::Reactor other_reactor("other");
    auto other = file->open_queue(other_reactor);
    std::string out(512, 'o'), in(512, ' ');
    EXPECT_EQ(transfer(BlockOperation::kWrite, 0, out), BlockStatus::kOk);
    const iovec vector = vector_of(in);
    EXPECT_EQ(run(other_reactor, *other,
                  {.operation = BlockOperation::kRead, .length_bytes = 512, .buffers = {&vector, 1}, .complete = {}}),
              BlockStatus::kOk);
    EXPECT_EQ(in, out);
    other_reactor.run_and_wait([&] { other.reset(); });
}

/// Runs in a child with a mount namespace of its own, where a small tmpfs cannot disturb anybody.
int fill_a_small_file_system(RawFile::Backend backend) {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 77;
    if (::mount("disk", "/var/tmp", "tmpfs", 0, "size=256k") != 0) return 77;
    const DiskFile disk(1 << 20);
    RawFile::Options options;
    options.backend = backend;
    auto opened = RawFile::open(disk.path, options);
    if (!opened) return 1;
    runtime::Reactor reactor("test");
    auto queue = (*opened)->open_queue(reactor);
    std::string text(1 << 20, 'f');
    const iovec vector = vector_of(text);
    const BlockStatus full = run(
        reactor, *queue,
        {.operation = BlockOperation::kWrite, .length_bytes = text.size(), .buffers = {&vector, 1}, .complete = {}});
    // tmpfs has no FALLOC_FL_ZERO_RANGE: zeros must be written
    const BlockStatus zeroed =
        run(reactor, *queue,
            {.operation = BlockOperation::kWriteZeroes, .length_bytes = 8192, .buffers = {}, .complete = {}});
    const bool zero = disk.bytes(0, 8192) == std::string(8192, '\0');
    reactor.run_and_wait([&] { queue.reset(); });
    return full == BlockStatus::kNoSpace && zeroed == BlockStatus::kOk && zero ? 0 : 2;
}

/// Without the other fixture's reactor, as only a process of one thread may fork and go on with threads.
class SmallFileSystem : public testing::TestWithParam<RawFile::Backend> {};
INSTANTIATE_TEST_SUITE_P(Backends, SmallFileSystem,
                         testing::Values(RawFile::Backend::kUring, RawFile::Backend::kThreads));

TEST_P(SmallFileSystem, WhenFullIsReportedAndWithoutZeroRangeGetsZerosWritten) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(fill_a_small_file_system(GetParam()));
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "needs the right to mount a tmpfs of its own";
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

/// A loop device over a file, gone with its last user. Empty where the host has none to give.
runtime::UniqueFd loop_over(const std::string& path, std::string& device) {
    const runtime::UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    const runtime::UniqueFd backing(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    const int number = control ? ::ioctl(control.get(), LOOP_CTL_GET_FREE) : -1;
    if (number < 0) return {};
    device = "/dev/loop" + std::to_string(number);
    runtime::UniqueFd loop(::open(device.c_str(), O_RDWR | O_CLOEXEC));
    loop_config config{};
    config.fd = static_cast<std::uint32_t>(backing.get());
    config.block_size = 4096;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    if (!loop || ::ioctl(loop.get(), LOOP_CONFIGURE, &config) != 0) return {};
    return loop;
}

TEST_P(RawFileOn, TakesABlockDeviceForItselfWithItsSectorsAndDiscards) {
    const DiskFile disk(1 << 20);
    disk.fill('l', 1 << 20);
    std::string device;
    const runtime::UniqueFd loop = loop_over(disk.path, device);
    if (!loop) GTEST_SKIP() << "no loop device to be had";
    ASSERT_NO_FATAL_FAILURE(open(device));
    EXPECT_EQ(queue->geometry().size_bytes, std::uint64_t{1} << 20);
    EXPECT_EQ(queue->geometry().logical_block_bytes, 4096u);
    const auto second = RawFile::open(device, {});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().error, OpenError::kInUse) << second.error().text;
    const std::uint64_t before = disk.allocated_bytes();
    EXPECT_EQ(range(BlockOperation::kDiscard, 65536, 524288), BlockStatus::kOk);
    EXPECT_LE(disk.allocated_bytes(), before - 500'000);
    EXPECT_EQ(range(BlockOperation::kWriteZeroes, 0, 8192), BlockStatus::kOk);
    std::string text(16384, ' ');
    EXPECT_EQ(transfer(BlockOperation::kRead, 0, text), BlockStatus::kOk);
    EXPECT_EQ(text, std::string(8192, '\0') + std::string(8192, 'l'));
}

OpenError error_of(const std::string& path, RawFile::Options options = {}) {
    const auto opened = RawFile::open(path, options);
    EXPECT_FALSE(opened) << path;
    if (opened) return OpenError::kFailed;
    EXPECT_NE(opened.error().text.find(path), std::string::npos) << opened.error().text;
    return opened.error().error;
}

TEST(RawFile, SaysWhyAFileCannotBeADisk) {
    EXPECT_EQ(error_of("/var/tmp/touka-there-is-no-such-file"), OpenError::kNotFound);
    EXPECT_EQ(error_of("/var/tmp"), OpenError::kNotADisk);
    EXPECT_EQ(error_of("/dev/null"), OpenError::kNotADisk);
    const DiskFile empty(0), odd(1000);
    EXPECT_EQ(error_of(empty.path), OpenError::kEmpty);
    EXPECT_EQ(error_of(odd.path), OpenError::kNotWholeSectors);
}

TEST(RawFile, AWriterExcludesOthersAndReadersShare) {
    const DiskFile disk(4096);
    RawFile::Options reading;
    reading.read_only = true;
    auto writer = RawFile::open(disk.path, {});
    ASSERT_TRUE(writer);
    EXPECT_EQ(error_of(disk.path), OpenError::kInUse);
    EXPECT_EQ(error_of(disk.path, reading), OpenError::kInUse);
    writer->reset();
    const auto first = RawFile::open(disk.path, reading), second = RawFile::open(disk.path, reading);
    EXPECT_TRUE(first && second);
    EXPECT_EQ(error_of(disk.path), OpenError::kInUse);
}

TEST(RawFile, ReportsMissingPermission) {
    const DiskFile disk(4096);
    ASSERT_EQ(::chmod(disk.path.c_str(), 0), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) ::_exit(77);
        ::_exit(error_of(disk.path) == OpenError::kNoPermission ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << "cannot become another user";
    EXPECT_EQ(status, 0);
}

TEST(FaultyBlockDevice, FailsTheRequestItWasToldTo) {
    const DiskFile disk(4096);
    runtime::Reactor reactor("test");
    const auto file = RawFile::open(disk.path, {});
    ASSERT_TRUE(file);
    const auto queue = (*file)->open_queue(reactor);
    FaultyBlockDevice faulty(*queue, 2, BlockStatus::kIoError);
    const BlockRequest flush{.operation = BlockOperation::kFlush, .buffers = {}, .complete = {}};
    EXPECT_EQ(run(reactor, faulty, flush), BlockStatus::kOk);
    EXPECT_EQ(run(reactor, faulty, flush), BlockStatus::kIoError);
    EXPECT_EQ(run(reactor, faulty, flush), BlockStatus::kOk);
}

} // namespace
} // namespace touka::storage
