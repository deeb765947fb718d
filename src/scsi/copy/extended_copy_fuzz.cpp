// Initiators that ask for any copy: the input is a list of steps, most of them parameter lists of EXTENDED COPY to one
// of two disks whose designators it may use. Every task ends exactly once, and units can be stopped afterwards.
#include <algorithm>
#include <cstdlib>
#include <span>
#include <vector>

#include "scsi/copy/copy_list_builder.hpp"
#include "scsi/copy/copy_manager.hpp"
#include "scsi/disk/test_disk.hpp"

namespace {

using namespace touka;
using namespace touka::scsi;

constexpr std::uint64_t kNaa[]{0x3000'0000'0000'0001, 0x3000'0000'0000'0002};

void require(bool condition) {
    if (!condition) std::abort();
}

DiskOptions options(std::uint64_t naa, std::uint32_t block_bytes) {
    auto made = test_disk_options();
    made.identity.naa = naa;
    made.block_bytes = block_bytes;
    return made;
}

class Fabric final : public CopyDirectory {
public:
    explicit Fabric(bool different_blocks)
        : disks_{TestDisk(options(kNaa[0], 512), kSizeBytes),
                 TestDisk(options(kNaa[1], different_blocks ? 4096 : 512), kSizeBytes)} {
        for (TestDisk& disk : disks_) {
            disk.user().a.units = {{Lun::from_number(0), &disks_[0].disk().unit()},
                                   {Lun::from_number(1), &disks_[1].disk().unit()}};
        }
    }
    [[nodiscard]] std::optional<CopyEndpoint> find(std::uint64_t naa) const override {
        for (std::size_t i = 0; i < 2; ++i) {
            if (naa == kNaa[i]) return CopyEndpoint{&disks_[i].disk().unit(), &disks_[i].disk().core()};
        }
        return std::nullopt;
    }
    /// @param what the step; @param bytes what belongs to it.
    void step(std::uint8_t what, std::span<const std::uint8_t> bytes) {
        TestDisk& disk = disks_[what >> 7];
        const std::uint8_t first = bytes.empty() ? 0 : bytes[0];
        switch (what & 0x07) {
            case 0: disk.volume.held = !disk.volume.held; break;
            case 1: disk.volume.complete_all(); break;
            case 2: disk.volume.status = static_cast<storage::BlockStatus>(first % 6); break;
            case 3: submit(disk, receive_copy_cdb(first % 5, what >> 3 & 3, 4 * first), {}); break;
            case 4:
                disk.disk().unit().manage(static_cast<TaskManagementFunction>(first % 10), disk.user().a, first,
                                          [](auto) {});
                break;
            default: submit(disk, extended_copy_cdb(bytes.size()), {bytes.begin(), bytes.end()}); break;
        }
    }
    void check_end() {
        for (TestDisk& disk : disks_) disk.volume.status = storage::BlockStatus::kOk;
        while (disks_[0].volume.in_flight() + disks_[1].volume.in_flight() > 0) {
            for (TestDisk& disk : disks_) disk.volume.complete_all();
        }
        require(std::ranges::all_of(tasks_, [](const TestTask* task) { return task->completions == 1; }));
        int stopped = 0;
        for (TestDisk& disk : disks_) disk.disk().stop([&] { ++stopped; });
        require(stopped == 2);
    }

private:
    static constexpr std::uint64_t kSizeBytes = 64 << 10;

    void submit(TestDisk& disk, std::vector<std::uint8_t> cdb, std::vector<std::uint8_t> data) {
        tasks_.push_back(&disk.run(std::move(cdb), std::move(data), 4096));
    }

    mutable TestDisk disks_[2];
    CopyManager managers_[2]{{disks_[0].disk(), *this}, {disks_[1].disk(), *this}};
    std::vector<const TestTask*> tasks_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::span<const std::uint8_t> rest(data, size);
    if (rest.empty()) return 0;
    Fabric fabric((rest[0] & 1) != 0);
    rest = rest.subspan(1);
    for (int steps = 0; steps < 100 && rest.size() >= 3; ++steps) {
        const std::size_t length = std::min<std::size_t>(spec::scsi::load_number(rest.subspan(1, 2)), rest.size() - 3);
        fabric.step(rest[0], rest.subspan(3, length));
        rest = rest.subspan(3 + length);
    }
    fabric.check_end();
    return 0;
}
