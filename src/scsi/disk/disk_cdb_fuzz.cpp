// Initiators that send anything to a disk: the input is a list of steps that submit any CDB with any data, abort,
// reset, let the volume go on or fail. Every task ends exactly once, and the disk works afterwards.
#include <cstdlib>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "scsi/disk/test_disk.hpp"
#include "scsi/target.hpp"

namespace {

using namespace touka;
using namespace touka::scsi;

/// The input, read from front to back; zeros behind its end.
class Input {
public:
    explicit Input(std::span<const std::uint8_t> bytes) : rest_(bytes) {}
    [[nodiscard]] bool empty() const { return rest_.empty(); }
    std::uint8_t byte() {
        if (rest_.empty()) return 0;
        const std::uint8_t value = rest_.front();
        rest_ = rest_.subspan(1);
        return value;
    }
    std::vector<std::uint8_t> bytes(std::size_t count) {
        std::vector<std::uint8_t> taken(count);
        for (std::uint8_t& value : taken) value = byte();
        return taken;
    }

private:
    std::span<const std::uint8_t> rest_;
};

class Fabric {
public:
    explicit Fabric(bool removable) {
        auto options = test_disk_options();
        options.removable = removable;
        disk_.emplace(volume_, options);
        const std::vector<MappedUnit> map{{Lun::from_number(0), &disk_->unit()}};
        for (std::uint8_t i = 0; i < 2; ++i) open(i, map);
    }

    void step(Input& input) {
        const std::uint8_t what = input.byte();
        Nexus& nexus = *nexuses_[what >> 7];
        switch (what & 0x0F) {
            case 0: manage(nexus, static_cast<TaskManagementFunction>(input.byte() % 10), input.byte()); break;
            case 1: volume_.held = !volume_.held; break;
            case 2: volume_.complete_all(); break;
            case 3: volume_.status = static_cast<storage::BlockStatus>(input.byte() % 6); break;
            case 4: reopen(what >> 7); break;
            case 5: disk_->maintenance().set_medium_present(input.byte() % 2 == 0); break;
            default: submit(nexus, input, what); break;
        }
    }
    void check_end() {
        volume_.status = storage::BlockStatus::kOk;
        while (volume_.in_flight() > 0) volume_.complete_all();
        volume_.held = false;
        for (const auto& task : tasks_) require(task->completions == 1);
        require(closing_ == 0);
        int closed = 0, stopped = 0;
        for (Nexus* nexus : nexuses_) target_.close(*nexus, [&] { ++closed; });
        disk_->stop([&] { ++stopped; });
        require(closed == 2 && stopped == 1);
    }

private:
    static constexpr std::uint64_t kSizeBytes = 64 << 10;

    static void require(bool condition) {
        if (!condition) std::abort();
    }
    void open(std::uint8_t index, std::vector<MappedUnit> map) {
        NexusName name{{spec::scsi::ProtocolIdentifier::kIscsi, std::string(1, static_cast<char>('a' + index))},
                       static_cast<RelativeTargetPort>(index + 1)};
        nexuses_[index] = &target_.open(std::move(name), std::move(map));
        (void)disk_->server().attentions().take(nexuses_[index]->name);
    }
    void reopen(std::uint8_t index) {
        auto map = nexuses_[index]->units;
        ++closing_;
        target_.close(*nexuses_[index], [this] { --closing_; });
        open(index, std::move(map));
    }
    void manage(Nexus& nexus, TaskManagementFunction function, std::uint8_t tag) {
        target_.manage(function, nexus, Lun{}, tag, [](auto) {});
    }
    void submit(Nexus& nexus, Input& input, std::uint8_t what) {
        static constexpr std::uint8_t kLengths[]{6, 10, 12, 16, 32, 16, 10, 5};
        const std::uint8_t sizes = input.byte();
        auto cdb = input.bytes(kLengths[sizes & 7]);
        std::vector<std::uint8_t> data;
        switch (sizes >> 3 & 3) {
            case 1: data = input.bytes(input.byte()); break;
            case 2: data = blocks(1 + (sizes >> 5), input.byte()); break;
            default: break;
        }
        auto& task = *tasks_.emplace_back(
            std::make_unique<TestTask>(nexus, std::move(cdb), std::move(data), (sizes & 0x80) != 0 ? 700 : 256 << 10));
        task.tag = tasks_.size() & 0xFF;
        task.attribute = static_cast<TaskAttribute>(what >> 5 & 3);
        task.no_memory = (what & 0x10) != 0;
        target_.submit(task);
        target_.commit();
    }

    storage::MemoryVolume volume_{kSizeBytes};
    std::optional<DiskUnit> disk_;
    Target target_;
    Nexus* nexuses_[2]{};
    int closing_ = 0;
    std::deque<std::unique_ptr<TestTask>> tasks_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input input({data, size});
    Fabric fabric((input.byte() & 1) != 0);
    for (int steps = 0; steps < 200 && !input.empty(); ++steps) fabric.step(input);
    fabric.check_end();
    return 0;
}
