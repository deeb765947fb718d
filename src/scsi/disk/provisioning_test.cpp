#include "scsi/disk/provisioning.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <future>

#include "runtime/reactor.hpp"
#include "scsi/disk/test_disk.hpp"
#include "scsi/parameter_data.hpp"
#include "storage/faulty_block_device.hpp"
#include "storage/raw_file.hpp"

namespace touka::scsi {
namespace {

using storage::BlockOperation;
using storage::BlockStatus;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint8_t kUnmapFlag = 0x08, kNoDataOut = 0x01;

std::vector<std::uint8_t> unmap_list(const std::vector<BlockRange>& ranges) {
    ParameterData data;
    data.number(6 + 16 * ranges.size(), 2).number(16 * ranges.size(), 2).zeros(4);
    for (const BlockRange& range : ranges) data.number(range.lba, 8).number(range.count, 4).zeros(4);
    return data.take();
}
std::vector<std::uint8_t> unmap_cdb(std::size_t length) {
    return {0x42, 0, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(length >> 8), static_cast<std::uint8_t>(length), 0};
}
std::vector<std::uint8_t> get_lba_status(std::uint64_t lba, std::uint32_t allocation_length = 1024) {
    return cdb16(0x9E, lba, allocation_length, 0x12);
}
struct LbaStatus {
    std::uint64_t lba, count;
    int status;
    bool operator==(const LbaStatus&) const = default;
};
std::vector<LbaStatus> parse_lba_status(std::span<const std::uint8_t> data) {
    using spec::scsi::load_number;
    std::vector<LbaStatus> list;
    EXPECT_EQ(load_number(data.first(4)), data.size() - 4);
    for (std::size_t at = 8; at + 16 <= data.size(); at += 16) {
        list.push_back({load_number(data.subspan(at, 8)), load_number(data.subspan(at + 8, 4)), data[at + 12]});
    }
    return list;
}

class ProvisioningTest : public testing::Test, public TestDisk {
protected:
    TestTask& unmap(const std::vector<BlockRange>& ranges) {
        auto list = unmap_list(ranges);
        const auto cdb = unmap_cdb(list.size());
        return run(cdb, std::move(list));
    }
};

TEST_F(ProvisioningTest, UnmappedBlocksReadAsZeros) {
    fill(0, 64, 7);
    EXPECT_EQ(unmap({{8, 8}, {0, 0}, {32, 1}}).status, Status::kGood);
    EXPECT_THAT(volume.operations, ElementsAre(BlockOperation::kWriteZeroes, BlockOperation::kWriteZeroes));
    EXPECT_TRUE(volume.last_may_unmap);
    EXPECT_TRUE(on_medium(7) == 7 && on_medium(8) == 0 && on_medium(15) == 0 && on_medium(16) == 7);
    EXPECT_TRUE(on_medium(32) == 0 && on_medium(33) == 7);
}

TEST_F(ProvisioningTest, NoUnmapDescriptorIsDoneWhenOneIsWrong) {
    fill(0, 64, 7);
    EXPECT_EQ(unmap({{8, 8}, {kBlocks - 1, 2}}).sense_code(), SenseCode::kLogicalBlockAddressOutOfRange);
    EXPECT_EQ(on_medium(8), 7);
}

TEST_F(ProvisioningTest, UnmapListsOfWrongLengthAreRefused) {
    EXPECT_EQ(run(unmap_cdb(0)).status, Status::kGood);
    EXPECT_EQ(run(unmap_cdb(7), std::vector<std::uint8_t>(7)).sense_code(), SenseCode::kParameterListLengthError);
    EXPECT_EQ(run(unmap_cdb(24), std::vector<std::uint8_t>(16)).sense_code(), SenseCode::kParameterListLengthError);
    EXPECT_EQ(unmap(std::vector<BlockRange>(257, {0, 1})).sense_code(), SenseCode::kInvalidFieldInParameterList);
    EXPECT_EQ(unmap(std::vector<BlockRange>(256, {0, 1})).status, Status::kGood);
    auto list = unmap_list({{0, 1}});
    list[3] = 0xFF; // claims more descriptors than came
    EXPECT_EQ(run(unmap_cdb(list.size()), list).status, Status::kGood);
}

TEST_F(ProvisioningTest, UnmapStopsAtTheFirstFailure) {
    storage::FaultyBlockDevice faulty(volume, 2, BlockStatus::kIoError);
    open_again(faulty);
    fill(0, 8, 7);
    EXPECT_EQ(unmap({{0, 1}, {1, 1}, {2, 1}}).sense_code(), SenseCode::kWriteError);
    EXPECT_TRUE(on_medium(0) == 0 && on_medium(1) == 7 && on_medium(2) == 7);
}

TEST_F(ProvisioningTest, AnAbortedUnmapStopsAtTheNextDescriptor) {
    fill(0, 8, 7);
    volume.held = true;
    auto& task = unmap({{0, 1}, {1, 1}});
    disk().unit().manage(TaskManagementFunction::kAbortTaskSet, user().a, 0, [](auto) {});
    complete_all();
    EXPECT_TRUE(task.aborted);
    EXPECT_TRUE(on_medium(0) == 0 && on_medium(1) == 7);
}

TEST_F(ProvisioningTest, WithoutDiscardThereIsNoUnmapping) {
    volume.geometry().discard_granularity_bytes = 0;
    open_again();
    EXPECT_EQ(unmap({{0, 1}}).sense_code(), SenseCode::kInvalidCommandOperationCode);
    EXPECT_EQ(run(cdb16(0x93, 0, 1, kUnmapFlag), blocks(1, 0)).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(run(cdb16(0x93, 0, 1), blocks(1, 0)).status, Status::kGood);
    EXPECT_EQ(run({0x12, 0x01, 0xB2, 0, 64, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(read(cdb16(0x9E, 0, 32, 0x10))[14], 0) << "READ CAPACITY(16): LBPME";
}

TEST_F(ProvisioningTest, WriteSameRepeatsOneBlock) {
    const auto block = blocks(1, 0x5A);
    for (const auto& cdb : {cdb10(0x41, 4, 3), cdb16(0x93, 4, 3), cdb32(0x000D, 4, 3)}) {
        fill(0, 16, 1);
        const auto& task = run(cdb, block);
        EXPECT_EQ(task.status, Status::kGood);
        EXPECT_EQ(task.transfer_bytes, 512u);
        EXPECT_TRUE(on_medium(3) == 1 && on_medium(4) == 0x5A && on_medium(6, 511) == 0x5A && on_medium(7) == 1);
    }
}

TEST_F(ProvisioningTest, WriteSameOfNoBlocksGoesToTheEnd) {
    EXPECT_EQ(run(cdb10(0x41, kBlocks - 3, 0), blocks(1, 1)).status, Status::kGood);
    EXPECT_TRUE(on_medium(kBlocks - 4) == 0 && on_medium(kBlocks - 3) == 1 && on_medium(kBlocks - 1) == 1);
    EXPECT_EQ(run(cdb10(0x41, kBlocks, 0), blocks(1, 1)).sense_code(), SenseCode::kLogicalBlockAddressOutOfRange);
    EXPECT_EQ(run(cdb16(0x93, kBlocks - 1, 2), blocks(1, 1)).sense_code(), SenseCode::kLogicalBlockAddressOutOfRange);
}

TEST_F(ProvisioningTest, WriteSameOfZerosWritesNoData) {
    fill(0, 16, 1);
    EXPECT_EQ(run(cdb16(0x93, 0, 8, kUnmapFlag), blocks(1, 0)).status, Status::kGood);
    EXPECT_TRUE(volume.last_may_unmap);
    EXPECT_EQ(run(cdb16(0x93, 8, 2), blocks(1, 0)).status, Status::kGood);
    EXPECT_FALSE(volume.last_may_unmap) << "without UNMAP the blocks stay allocated";
    EXPECT_THAT(volume.operations, ElementsAre(BlockOperation::kWriteZeroes, BlockOperation::kWriteZeroes));
    EXPECT_TRUE(on_medium(9) == 0 && on_medium(10) == 1);
}

TEST_F(ProvisioningTest, NdobNeedsNoData) {
    fill(0, 16, 1);
    const auto& task = run(cdb16(0x93, 0, 2, kNoDataOut | kUnmapFlag));
    EXPECT_EQ(task.status, Status::kGood);
    EXPECT_EQ(task.transfer_bytes, 0u);
    EXPECT_TRUE(on_medium(1) == 0 && on_medium(2) == 1);
    EXPECT_EQ(run(cdb10(0x41, 0, 2, kNoDataOut)).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(run(cdb16(0x93, 0, 2), blocks(1, 0)).status, Status::kGood);
    EXPECT_EQ(run(cdb16(0x93, 0, 2), std::vector<std::uint8_t>(100)).sense_code(), SenseCode::kInvalidFieldInCdb);
}

TEST_F(ProvisioningTest, AVolumeThatTellsNothingIsMappedWholly) {
    EXPECT_THAT(parse_lba_status(run(get_lba_status(5)).received()), ElementsAre(LbaStatus{5, kBlocks - 5, 0}));
    EXPECT_EQ(run(get_lba_status(kBlocks)).sense_code(), SenseCode::kLogicalBlockAddressOutOfRange);
}

/// A file with holes, and a disk on it; everything on the reactor's thread.
class SparseFile : public testing::Test {
protected:
    static constexpr std::uint64_t kSize = 4 << 20;

    SparseFile() {
        std::string name = "/var/tmp/touka-scsi-XXXXXX";
        fd_ = ::mkstemp(name.data());
        path_ = name;
        EXPECT_EQ(::ftruncate(fd_, kSize), 0);
        const std::string data(1 << 20, 'x');
        EXPECT_EQ(::pwrite(fd_, data.data(), data.size(), 1 << 20), static_cast<ssize_t>(data.size()));
        file_ = std::move(*storage::RawFile::open(path_, {}));
        reactor_.run_and_wait([&] {
            volume_ = file_->open_queue(reactor_);
            disk_.emplace(*volume_, test_disk_options());
            user_.emplace(*disk_);
        });
    }
    ~SparseFile() override {
        reactor_.run_and_wait([&] {
            user_.reset();
            disk_.reset();
            volume_.reset();
        });
        ::close(fd_);
        ::unlink(path_.c_str());
    }
    /// Runs a command to its end.
    TestTask& run(std::vector<std::uint8_t> cdb, std::vector<std::uint8_t> data = {}) {
        auto& task = *tasks_.emplace_back(std::make_unique<TestTask>(user_->a, std::move(cdb), std::move(data), kSize));
        std::promise<void> ended;
        task.on_complete = [&](TestTask&) { ended.set_value(); };
        reactor_.post([&] {
            disk_->unit().submit(task);
            disk_->unit().commit();
        });
        ended.get_future().get();
        reactor_.run_and_wait([] {});
        return task;
    }

    runtime::Reactor reactor_{"test"};
    std::string path_;
    int fd_ = -1;
    std::unique_ptr<storage::RawFile> file_;
    std::unique_ptr<storage::BlockDevice> volume_;
    std::optional<DiskUnit> disk_;
    std::optional<DiskUser> user_;
    std::deque<std::unique_ptr<TestTask>> tasks_;
};

TEST_F(SparseFile, ReportsItsHolesAndMakesNewOnes) {
    constexpr std::uint64_t kMiB = (1 << 20) / 512;
    EXPECT_THAT(parse_lba_status(run(get_lba_status(0)).received()),
                ElementsAre(LbaStatus{0, kMiB, 1}, LbaStatus{kMiB, kMiB, 0}, LbaStatus{2 * kMiB, 2 * kMiB, 1}));
    EXPECT_THAT(parse_lba_status(run(get_lba_status(0, 24)).received()), ElementsAre(LbaStatus{0, kMiB, 1}))
        << "one descriptor has room";
    auto list = unmap_list({{kMiB + kMiB / 2, kMiB / 2}});
    EXPECT_EQ(run(unmap_cdb(list.size()), list).status, Status::kGood);
    EXPECT_THAT(parse_lba_status(run(get_lba_status(kMiB)).received()),
                ElementsAre(LbaStatus{kMiB, kMiB / 2, 0}, LbaStatus{kMiB + kMiB / 2, 5 * kMiB / 2, 1}));
    const auto& read = run(cdb16(0x88, kMiB + kMiB / 2 - 1, 2));
    EXPECT_EQ(read.received()[511], 'x');
    EXPECT_EQ(read.received()[512], 0);
}

TEST_F(SparseFile, WriteSameOfZerosFreesOrKeepsAsItIsAsked) {
    constexpr std::uint64_t kMiB = (1 << 20) / 512;
    EXPECT_EQ(run(cdb16(0x93, kMiB, kMiB, kUnmapFlag | kNoDataOut)).status, Status::kGood);
    EXPECT_THAT(parse_lba_status(run(get_lba_status(0)).received()), ElementsAre(LbaStatus{0, 4 * kMiB, 1}));
}

TEST_F(SparseFile, WritesAndReadsBackThroughTheKernel) {
    EXPECT_EQ(run(cdb10(0x2A, 1, 3, kFua), blocks(3, 1, 1)).status, Status::kGood);
    const auto& task = run(cdb10(0x28, 0, 5));
    EXPECT_EQ(task.received()[0], 0);
    EXPECT_EQ(task.received()[512], 1);
    EXPECT_EQ(task.received()[3 * 512], 3);
    EXPECT_EQ(task.received()[4 * 512], 0);
    EXPECT_EQ(run(cdb10(0x35, 0, 0)).status, Status::kGood);
}

} // namespace
} // namespace touka::scsi
