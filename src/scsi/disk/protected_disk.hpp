// The commands of a disk that keeps protection information, in its place once it is formatted with it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "scsi/disk/disk_core.hpp"
#include "scsi/disk/job.hpp"
#include "scsi/disk/protected_medium.hpp"
#include "scsi/disk/protection.hpp"
#include "scsi/disk/protection_store.hpp"
#include "scsi/disk/step.hpp"

namespace touka::scsi {

/// What reads and writes blocks of a disk together with their protection information: data through memory of its own,
/// a chunk at a time. Commands that write have their blocks to themselves, in whole groups of the store, and commands
/// that read share them with others that read only: data and information always belong together, after a crash by
/// ProtectedMedium. (SBC-4 §4.21, §4.22)
/// Each command function looks at the medium's type and at the CDB's protect field first.
/// @return false when the medium is formatted without protection and the command goes on as on any disk.
/// Absent: DPICZ, RWWP, the application tag mode page, protection intervals smaller than a block.
class ProtectedDisk {
public:
    /// @param core, file outlive this.  @param type of a new file.
    ProtectedDisk(DiskCore& core, storage::BlockDevice& file, ProtectionType type)
        : core_(core), medium_(core.volume, file, core.block_bytes, core.block_count, type), store_(medium_.store()) {}

    enum class State : std::uint8_t {
        kOpening,
        kReady,
        kFailed, ///< the file does not suit or cannot be read or written
    };
    [[nodiscard]] State state() const { return state_; }
    /// Once, before everything else.
    Step<State> open();
    /// SYNCHRONIZE CACHE: the volume and the file.
    Step<storage::BlockStatus> flush() { return medium_.flush(); }

    [[nodiscard]] ProtectionStore& store() { return store_; }
    [[nodiscard]] const ProtectionStore& store() const { return store_; }
    [[nodiscard]] ProtectionType type() const { return store_.type(); }

    [[nodiscard]] bool read(Task& task);
    [[nodiscard]] bool write(Task& task);
    [[nodiscard]] bool write_atomic(Task& task, const BlockRange& range);
    [[nodiscard]] bool verify(Task& task, bool write_first);
    [[nodiscard]] bool compare_and_write(Task& task, const BlockRange& range);
    [[nodiscard]] bool or_write(Task& task);
    /// @param no_data NDOB: zeros, and information of blocks that nobody has written.
    [[nodiscard]] bool write_same(Task& task, const BlockRange& range, bool may_unmap, bool no_data);
    /// @param ranges within the medium.
    [[nodiscard]] bool unmap(Task& task, const std::vector<BlockRange>& ranges);

    using Blocks = ProtectedMedium::Blocks;
    using Verdict = std::optional<Sense>; ///< nothing: all is well
    /// For what moves blocks on its own (EXTENDED COPY), under any type. Information is checked when it is read and
    /// made when it is written. @param range up to kChunkBytes of blocks, held by the caller: exclusively, in whole
    /// groups of the store, to write.
    Step<Verdict> read_blocks(BlockRange range, std::vector<std::uint8_t>& data);
    Step<Verdict> write_blocks(BlockRange range, std::span<const std::uint8_t> data, bool stable);

    static constexpr std::uint64_t kChunkBytes = ProtectedMedium::kChunkBytes;

private:
    /// What a CDB says about protection.
    struct Request {
        std::uint8_t code = 0; ///< RDPROTECT and its kin
        ProtectionTags tags;
        [[nodiscard]] bool exchanged() const { return code != 0; } ///< the initiator has the information too
        [[nodiscard]] ProtectionChecks checks() const { return protection_checks(code); }
    };
    enum class Entry : std::uint8_t { kPlain, kRefused, kTaken };

    /// Looks at the CDB; refuses the task where its protect field does not fit.
    [[nodiscard]] Entry enter(Task& task, const BlockRange& range, Request& request);
    [[nodiscard]] std::optional<Sense> parse(const Cdb& cdb, const BlockRange& range, Request& request) const;
    /// Bytes of a block in the initiator's buffer.
    [[nodiscard]] std::uint64_t unit_bytes(const Request& request) const {
        return core_.block_bytes + (request.exchanged() ? spec::scsi::kProtectionBytes : 0);
    }
    [[nodiscard]] std::uint64_t chunk_blocks() const { return medium_.chunk_blocks(); }
    [[nodiscard]] bool application_tag_owner() const { return core_.modes.application_tag_owner(); }
    [[nodiscard]] std::uint16_t application_tag_to_make() const;
    [[nodiscard]] ProtectionTags tags_at(std::uint64_t lba) const;

    void resize(Blocks& blocks, std::uint64_t count) const { medium_.resize(blocks, count); }
    Step<Verdict> fetch(BlockRange range, ProtectionTags tags, ProtectionChecks checks, Blocks& blocks);
    Step<Verdict> store(BlockRange range, const Blocks& blocks, bool stable);
    /// Zeros, and information of blocks that nobody has written.
    Step<Verdict> store_unwritten(BlockRange range, bool stable, bool may_unmap);
    /// Blocks that the initiator sent, checked, or with information made for them.
    /// @param first_block of the initiator's buffer.
    [[nodiscard]] Verdict receive(const Task& task, std::uint64_t first_block, const BlockRange& range,
                                  const Request& request, Blocks& blocks) const;
    /// One block again and again. @param counts its reference tag does.  @param skipped blocks before these.
    void fill_with(const Blocks& one, bool counts, std::uint64_t skipped, std::uint64_t count, Blocks& blocks) const;
    [[nodiscard]] Verdict failure_sense(const std::optional<ProtectionFailure>& failure, std::uint64_t lba) const;
    /// @return where in the initiator's buffer, from the first of these blocks on, they differ.
    [[nodiscard]] std::optional<std::uint64_t> difference(const Blocks& medium, const Blocks& sent,
                                                          const Request& request) const;
    void finish(Task& task, const Verdict& verdict);

    Job run_read(Task& task, BlockRange range, Request request);
    /// WRITE, or ORWRITE where `or_data`.
    [[nodiscard]] bool change(Task& task, bool or_data);
    Job run_write(Task& task, BlockRange range, Request request, bool or_data);
    /// What was sent becomes what ORWRITE writes.
    Step<Verdict> or_with_medium(BlockRange range, Request request, Blocks& sent);
    Job run_write_atomic(Task& task, BlockRange range, Request request);
    Job run_verify(Task& task, BlockRange range, Request request, std::uint8_t byte_check, bool write_first);
    Job run_compare_and_write(Task& task, BlockRange range, Request request);
    Job run_write_same(Task& task, BlockRange range, Request request, bool may_unmap, bool no_data);
    Job run_unmap(Task& task, std::vector<BlockRange> ranges);
    Step<Verdict> write_same_blocks(Task& task, BlockRange range, Request request, bool may_unmap, bool no_data);
    Step<Verdict> verify_chunk(Task& task, std::uint64_t done, BlockRange range, Request request,
                               std::uint8_t byte_check, bool write_first);

    DiskCore& core_;
    ProtectedMedium medium_;
    ProtectionStore& store_;
    State state_ = State::kOpening;
};

} // namespace touka::scsi
