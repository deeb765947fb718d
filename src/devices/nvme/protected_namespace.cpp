#include "devices/nvme/protected_namespace.hpp"

#include <algorithm>
#include <future>
#include <utility>

#include "devices/nvme/command_set.hpp"

namespace touka::devices::nvme {

using scsi::BlockRange;
using scsi::Job;
using scsi::ProtectedMedium;
using scsi::ProtectionStore;
using scsi::ProtectionType;
using scsi::RangeHold;
using scsi::Step;
using spec::nvme::IoOpcode;
using spec::nvme::Status;
using storage::BlockStatus;

std::uint64_t ProtectedNamespace::file_bytes(const storage::BlockGeometry& volume) {
    return ProtectionStore::file_bytes(volume.size_bytes / 512);
}

std::expected<std::shared_ptr<ProtectedNamespace>, std::string>
ProtectedNamespace::open(runtime::Reactor& reactor, const Opener& volume, const Opener& file) {
    std::shared_ptr<ProtectedNamespace> made(new ProtectedNamespace(reactor));
    std::promise<BlockStatus> opened;
    reactor.post([&] {
        made->volume_ = volume(reactor);
        made->file_ = file(reactor);
        if (made->volume_ == nullptr || made->file_ == nullptr) return opened.set_value(BlockStatus::kIoError);
        made->open_medium([&opened](BlockStatus status) { opened.set_value(status); });
    });
    if (opened.get_future().get() != BlockStatus::kOk) return std::unexpected("is no metadata of this volume");
    return made;
}

ProtectedNamespace::~ProtectedNamespace() {
    reactor_.run_and_wait([this] { medium_.reset(), volume_.reset(), file_.reset(); });
}

ProtectedNamespace::Format ProtectedNamespace::format() const {
    return {medium_->type(), medium_->block_bytes(), medium_->store().layout()};
}

/// The file knows for which blocks it is; a new one suits the first.
Job ProtectedNamespace::open_medium(std::function<void(BlockStatus)> done) {
    const storage::BlockGeometry geometry = volume_->geometry();
    BlockStatus status = BlockStatus::kIoError;
    for (const std::uint32_t block_bytes : {512u, 4096u}) {
        if (status == BlockStatus::kOk || block_bytes < geometry.logical_block_bytes) continue;
        medium_ = std::make_unique<ProtectedMedium>(*volume_, *file_, block_bytes, geometry.size_bytes / block_bytes,
                                                    ProtectionType::kNone);
        Step<BlockStatus> opening = medium_->open(geometry.read_only);
        status = co_await opening;
    }
    done(status);
}

void ProtectedNamespace::run(ProtectedCommand command, Done done) {
    // A function that is copied keeps the command where it is. (std::function asks for that)
    reactor_.post([this, command = std::make_shared<ProtectedCommand>(std::move(command)), done = std::move(done)] {
        execute(std::move(*command), done);
    });
}

Job ProtectedNamespace::execute(ProtectedCommand command, Done done) {
    const bool writes = command.opcode == IoOpcode::kWrite || command.opcode == IoOpcode::kWriteZeroes;
    const bool holds = writes || command.opcode == IoOpcode::kRead || command.opcode == IoOpcode::kCompare;
    const BlockRange blocks = holds ? command.ranges.front().blocks : BlockRange{};
    RangeHold hold(locks_, writes ? medium_->store().whole_groups(blocks) : blocks, writes); // others hold their own
    co_await hold;
    std::uint32_t failed = 0;
    Step<Status> step = start(command, failed);
    const Status status = co_await step;
    done(status, failed);
}

Step<Status> ProtectedNamespace::start(const ProtectedCommand& command, std::uint32_t& failed) {
    switch (command.opcode) {
        case IoOpcode::kRead: return read(command);
        case IoOpcode::kWrite: return write(command);
        case IoOpcode::kCompare: return compare(command);
        case IoOpcode::kVerify: return verify(command.ranges.front());
        case IoOpcode::kWriteZeroes: return write_zeroes(command);
        case IoOpcode::kCopy: return copy(command, failed);
        default: return deallocate(command); // Dataset Management: there are no others
    }
}

// --- formats, and stable storage ---

void ProtectedNamespace::begin_format(Done done) {
    reactor_.post([this, done = std::move(done)] { start_format(done); });
}

Job ProtectedNamespace::start_format(Done done) {
    Step<BlockStatus> setting = medium_->store().set_type(ProtectionType::kNone);
    const BlockStatus status = co_await setting;
    done(write_status(status), 0);
}

void ProtectedNamespace::end_format(const Format& format, Done done) {
    reactor_.post([this, format, done = std::move(done)] { finish_format(format, done); });
}

Job ProtectedNamespace::finish_format(Format format, Done done) {
    RangeHold hold(formats_, {0, 1}, true);
    co_await hold;
    const std::uint64_t blocks = volume_->geometry().size_bytes / format.block_bytes;
    auto made = std::make_unique<ProtectedMedium>(*volume_, *file_, format.block_bytes, blocks, ProtectionType::kNone);
    ProtectionStore& store = made->store();
    Step<BlockStatus> clearing = store.regions().clear();
    BlockStatus status = co_await clearing;
    if (status == BlockStatus::kOk) {
        Step<BlockStatus> resetting = store.reset({0, blocks}, true);
        status = co_await resetting;
    }
    if (status == BlockStatus::kOk) {
        Step<BlockStatus> setting = store.set_type(format.type, format.layout);
        status = co_await setting;
    }
    store.regions().set_region_blocks(store.region_blocks(blocks));
    if (status == BlockStatus::kOk) medium_ = std::move(made); // otherwise blocks are as they were, if not their data
    done(write_status(status), 0);
}

void ProtectedNamespace::flush(std::function<void(BlockStatus)> done) {
    reactor_.post([this, done = std::move(done)] { flush_all(done); });
}

Job ProtectedNamespace::flush_all(std::function<void(BlockStatus)> done) {
    RangeHold hold(formats_, {0, 1}, false);
    co_await hold;
    Step<BlockStatus> flushing = medium_->flush();
    const BlockStatus status = co_await flushing;
    done(status);
}

namespace {

class FlushingVolume final : public storage::BlockDevice {
public:
    FlushingVolume(std::unique_ptr<BlockDevice> volume, ProtectedNamespace& metadata, runtime::Reactor& reactor)
        : volume_(std::move(volume)), metadata_(metadata), reactor_(reactor) {}
    [[nodiscard]] const storage::BlockGeometry& geometry() const override { return volume_->geometry(); }
    void submit(storage::BlockRequest& request) override {
        if (request.operation != storage::BlockOperation::kFlush) return volume_->submit(request);
        ++flushes_;
        metadata_.flush([this, &request](BlockStatus status) {
            reactor_.post([this, &request, status] {
                --flushes_;
                request.complete(status);
            });
        });
    }
    void commit() override { volume_->commit(); }
    [[nodiscard]] bool withdraw(storage::BlockRequest& request) override { return volume_->withdraw(request); }
    [[nodiscard]] std::size_t in_flight() const override { return volume_->in_flight() + flushes_; }
    [[nodiscard]] storage::BlockExtent extent_at(std::uint64_t offset_bytes) const override {
        return volume_->extent_at(offset_bytes);
    }
    void prefetch(std::uint64_t offset_bytes, std::uint64_t length_bytes) override {
        volume_->prefetch(offset_bytes, length_bytes);
    }

private:
    std::unique_ptr<BlockDevice> volume_;
    ProtectedNamespace& metadata_;
    runtime::Reactor& reactor_;
    std::size_t flushes_ = 0;
};

} // namespace

std::unique_ptr<storage::BlockDevice> ProtectedNamespace::with_metadata(std::unique_ptr<storage::BlockDevice> volume,
                                                                        runtime::Reactor& reactor) {
    if (volume == nullptr) return nullptr;
    return std::make_unique<FlushingVolume>(std::move(volume), *this, reactor);
}

} // namespace touka::devices::nvme
