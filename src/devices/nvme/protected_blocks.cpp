// ProtectedNamespace: what commands do with blocks and their information. (NVM Command Set 1.0 §3.2, §5.2)
#include <algorithm>

#include "devices/nvme/command_set.hpp"
#include "devices/nvme/protected_namespace.hpp"
#include "scsi/disk/crc.hpp"
#include "scsi/task.hpp"

namespace touka::devices::nvme {

using scsi::BlockRange;
using scsi::ProtectionFault;
using scsi::ProtectionInformation;
using scsi::ProtectionType;
using scsi::RangeHold;
using scsi::Step;
using spec::nvme::Status;
using spec::scsi::kProtectionBytes;
using storage::BlockStatus;

namespace {

Status status_of(ProtectionFault fault) {
    switch (fault) {
        case ProtectionFault::kGuard: return Status::kGuardCheckError;
        case ProtectionFault::kApplicationTag: return Status::kApplicationTagCheckError;
        case ProtectionFault::kReferenceTag: break;
    }
    return Status::kReferenceTagCheckError;
}

/// What PRACT inserts: guards, LBAT, and ILBRT, which counts but in type 3. (§5.2.2.1)
/// @param first blocks before these in the command.
void insert(const ProtectedCommand& command, std::uint64_t first, std::size_t block_bytes,
            scsi::ProtectedMedium::Blocks& blocks) {
    const bool counts = command.type != ProtectionType::kType3;
    for (std::size_t block = 0; block * kProtectionBytes < blocks.information.size(); ++block) {
        const auto data = std::span<const std::uint8_t>(blocks.data).subspan(block * block_bytes, block_bytes);
        const auto step = counts ? static_cast<std::uint32_t>(first + block) : 0;
        ProtectionInformation{.guard = scsi::GuardCrc::of(data),
                              .application_tag = command.application_tag,
                              .reference_tag = command.reference_tag + step}
            .store(std::span(blocks.information).subspan(block * kProtectionBytes, kProtectionBytes));
    }
}

/// Fetches what the host sent.
void receive(const ProtectedCommand& command, std::size_t block_bytes, scsi::ProtectedMedium::Blocks& blocks) {
    if (!command.exchanged) {
        (void)scsi::copy_from(command.memory, 0, blocks.data);
    } else if (command.extended) {
        std::vector<std::uint8_t> mixed(blocks.data.size() + blocks.information.size());
        (void)scsi::copy_from(command.memory, 0, mixed);
        scsi::part_protection(mixed, block_bytes, blocks.data, blocks.information);
    } else {
        (void)scsi::copy_from(command.memory, 0, blocks.data);
        (void)scsi::copy_from(command.memory, command.data_bytes, blocks.information);
    }
}

ProtectedRange part_of(const ProtectedRange& range, std::uint64_t done, std::uint64_t limit) {
    return {
        {range.blocks.lba + done, std::min(range.blocks.count - done, limit)}, range.tags.after(done), range.checks};
}

} // namespace

Status ProtectedNamespace::check(const ProtectedRange& range, const Blocks& blocks) const {
    // Escapes switch checks off wherever information comes from. (§5.2.3)
    const auto failure = scsi::check_protection(blocks.data, blocks.information, medium_->block_bytes(), range.tags,
                                                range.checks, scsi::ProtectionSource::kMedium);
    return failure ? status_of(failure->fault) : Status::kSuccess;
}

Step<Status> ProtectedNamespace::fetch(ProtectedRange range, Blocks& blocks) {
    Step<BlockStatus> reading = medium_->read(range.blocks, blocks);
    const BlockStatus status = co_await reading;
    if (status != BlockStatus::kOk) co_return read_status(status);
    co_return check(range, blocks);
}

Step<Status> ProtectedNamespace::read(const ProtectedCommand& command) {
    Blocks blocks;
    Step<Status> fetching = fetch(command.ranges.front(), blocks);
    const Status status = co_await fetching;
    if (status != Status::kSuccess) co_return status;
    if (command.exchanged && command.extended) {
        std::vector<std::uint8_t> mixed(blocks.data.size() + blocks.information.size());
        scsi::mix_protection(blocks.data, blocks.information, medium_->block_bytes(), mixed);
        (void)scsi::copy_to(command.memory, 0, mixed);
        co_return status;
    }
    (void)scsi::copy_to(command.memory, 0, blocks.data);
    if (command.exchanged) (void)scsi::copy_to(command.memory, command.data_bytes, blocks.information);
    co_return status;
}

Step<Status> ProtectedNamespace::write(const ProtectedCommand& command) {
    const ProtectedRange& range = command.ranges.front();
    Blocks blocks;
    medium_->resize(blocks, range.blocks.count);
    receive(command, medium_->block_bytes(), blocks);
    if (!command.exchanged) {
        insert(command, 0, medium_->block_bytes(), blocks);
    } else if (const Status status = check(range, blocks); status != Status::kSuccess) {
        co_return status;
    }
    Step<BlockStatus> writing = medium_->write(range.blocks, blocks, command.stable);
    const BlockStatus status = co_await writing;
    co_return write_status(status);
}

/// Information is checked on both sides, and not compared. (§3.2.1)
Step<Status> ProtectedNamespace::compare(const ProtectedCommand& command) {
    const ProtectedRange& range = command.ranges.front();
    Blocks sent, found;
    medium_->resize(sent, range.blocks.count);
    receive(command, medium_->block_bytes(), sent);
    Status status = command.exchanged ? check(range, sent) : Status::kSuccess;
    if (status != Status::kSuccess) co_return status;
    Step<Status> fetching = fetch(range, found);
    status = co_await fetching;
    if (status == Status::kSuccess && sent.data != found.data) status = Status::kCompareFailure;
    co_return status;
}

Step<Status> ProtectedNamespace::verify(ProtectedRange range) {
    Blocks blocks;
    for (std::uint64_t done = 0; done < range.blocks.count;) {
        const ProtectedRange part = part_of(range, done, medium_->chunk_blocks());
        RangeHold hold(locks_, part.blocks, false);
        co_await hold;
        Step<Status> fetching = fetch(part, blocks);
        const Status status = co_await fetching;
        if (status != Status::kSuccess) co_return status;
        done += part.blocks.count;
    }
    co_return Status::kSuccess;
}

/// Without PRACT the information is zeros, as the data is; deallocated blocks have that of blocks that nobody has
/// written. (§3.2.8)
Step<Status> ProtectedNamespace::write_zeroes(const ProtectedCommand& command) {
    const ProtectedRange& range = command.ranges.front();
    if (command.exchanged && command.deallocates) {
        Step<BlockStatus> writing = medium_->write_unwritten(range.blocks, command.stable, true);
        const BlockStatus status = co_await writing;
        co_return write_status(status);
    }
    Blocks blocks;
    for (std::uint64_t done = 0; done < range.blocks.count;) {
        const ProtectedRange part = part_of(range, done, medium_->chunk_blocks());
        medium_->resize(blocks, part.blocks.count);
        std::ranges::fill(blocks.information, std::uint8_t{0});
        if (!command.exchanged) insert(command, done, medium_->block_bytes(), blocks);
        Step<BlockStatus> writing = medium_->write(part.blocks, blocks, command.stable);
        const BlockStatus status = co_await writing;
        if (status != BlockStatus::kOk) co_return write_status(status);
        done += part.blocks.count;
    }
    co_return Status::kSuccess;
}

Step<Status> ProtectedNamespace::deallocate(const ProtectedCommand& command) {
    for (const ProtectedRange& range : command.ranges) {
        if (range.blocks.count == 0) continue;
        RangeHold hold(locks_, medium_->store().whole_groups(range.blocks), true);
        co_await hold;
        Step<BlockStatus> writing = medium_->write_unwritten(range.blocks, command.stable, true);
        const BlockStatus status = co_await writing;
        if (status != BlockStatus::kOk) co_return write_status(status);
    }
    co_return Status::kSuccess;
}

/// Sources and destination are held one after the other: they may overlap. (§3.2.2)
Step<Status> ProtectedNamespace::copy(const ProtectedCommand& command, std::uint32_t& failed) {
    Blocks blocks;
    std::uint64_t written = 0;
    failed = 0;
    for (const ProtectedRange& range : command.ranges) {
        for (std::uint64_t done = 0; done < range.blocks.count;) {
            const ProtectedRange part = part_of(range, done, medium_->chunk_blocks());
            Status status;
            {
                RangeHold hold(locks_, part.blocks, false);
                co_await hold;
                Step<Status> fetching = fetch(part, blocks);
                status = co_await fetching;
            }
            if (status != Status::kSuccess) co_return status;
            const ProtectedRange to = part_of(command.destination, written, part.blocks.count);
            if (!command.exchanged) {
                insert(command, written, medium_->block_bytes(), blocks);
            } else if (status = check(to, blocks); status != Status::kSuccess) {
                co_return status;
            }
            RangeHold hold(locks_, medium_->store().whole_groups(to.blocks), true);
            co_await hold;
            Step<BlockStatus> writing = medium_->write(to.blocks, blocks, command.stable);
            const BlockStatus stored = co_await writing;
            if (stored != BlockStatus::kOk) co_return write_status(stored);
            done += part.blocks.count;
            written += part.blocks.count;
        }
        ++failed;
    }
    failed = 0;
    co_return Status::kSuccess;
}

} // namespace touka::devices::nvme
