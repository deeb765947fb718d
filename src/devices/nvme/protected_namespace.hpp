// A namespace's metadata: eight bytes of protection information for each block, in a file beside the volume.
// (NVM Command Set 1.0 §5.2)
// Absent: metadata of other sizes and without protection information, guards of 32 and 64 bits, storage tags.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/reactor.hpp"
#include "scsi/disk/job.hpp"
#include "scsi/disk/protected_medium.hpp"
#include "scsi/disk/range_locks.hpp"
#include "spec/nvme/command.hpp"
#include "storage/block_device.hpp"

namespace touka::devices::nvme {

/// What commands say of protection information, and to which blocks.
struct ProtectedRange {
    scsi::BlockRange blocks;
    scsi::ProtectionTags tags; ///< expected ones
    scsi::ProtectionChecks checks;
};

/// One command on blocks with metadata, free of its queue.
struct ProtectedCommand {
    spec::nvme::IoOpcode opcode{};
    std::vector<ProtectedRange> ranges; ///< one; Copy and Dataset Management have several
    bool exchanged = false;             ///< PRACT cleared: the host has the information, too
    bool extended = false;              ///< it lies after each block; otherwise after `data_bytes` of `memory`
    bool stable = false;
    bool deallocates = false;
    scsi::ProtectionType type{};
    std::uint16_t application_tag = 0; ///< of what is made: LBAT, and ILBRT
    std::uint32_t reference_tag = 0;
    ProtectedRange destination;    ///< of Copy
    std::span<const iovec> memory; ///< the host's, held until the end
    std::uint64_t data_bytes = 0;  ///< of `memory`, without separate metadata
};

/// Data and metadata of one namespace, moved together on one reactor whichever controller asks. Commands that write
/// have whole groups of blocks to themselves. The order of data, metadata and marks is ProtectedMedium's.
class ProtectedNamespace {
public:
    using Opener = std::function<std::unique_ptr<storage::BlockDevice>(runtime::Reactor&)>;
    /// @param detail of Copy: the source range that failed.
    using Done = std::function<void(spec::nvme::Status, std::uint32_t detail)>;

    [[nodiscard]] static std::uint64_t file_bytes(const storage::BlockGeometry& volume);

    /// Waits for the reactor. @param reactor outlives this; not the caller's.
    /// @return why the file cannot be used.
    [[nodiscard]] static std::expected<std::shared_ptr<ProtectedNamespace>, std::string>
    open(runtime::Reactor& reactor, const Opener& volume, const Opener& file);
    /// @pre nothing is in flight. Not on the reactor, or on it.
    ~ProtectedNamespace();
    ProtectedNamespace(const ProtectedNamespace&) = delete;
    ProtectedNamespace& operator=(const ProtectedNamespace&) = delete;

    /// How the file says that the namespace is formatted. kNone: without metadata.
    struct Format {
        scsi::ProtectionType type = scsi::ProtectionType::kNone;
        std::uint32_t block_bytes = 512;
        std::uint8_t layout = 0; ///< the namespace's own notes
    };
    /// As it was opened. @pre nothing was formatted since.
    [[nodiscard]] Format format() const;

    // Any thread; `done` is called on the reactor of this.
    void run(ProtectedCommand command, Done done);
    /// Before the data is zeroed: a crash from here on leaves a namespace without metadata.
    void begin_format(Done done);
    /// After it.
    void end_format(const Format& format, Done done);
    void flush(std::function<void(storage::BlockStatus)> done);

    /// `volume`, whose flushes are of the metadata, too.
    [[nodiscard]] std::unique_ptr<storage::BlockDevice> with_metadata(std::unique_ptr<storage::BlockDevice> volume,
                                                                      runtime::Reactor& reactor);

private:
    using Blocks = scsi::ProtectedMedium::Blocks;
    using Status = spec::nvme::Status;

    explicit ProtectedNamespace(runtime::Reactor& reactor) : reactor_(reactor) {}
    scsi::Job open_medium(std::function<void(storage::BlockStatus)> done);
    scsi::Job execute(ProtectedCommand command, Done done);
    scsi::Job start_format(Done done);
    scsi::Job finish_format(Format format, Done done);
    scsi::Job flush_all(std::function<void(storage::BlockStatus)> done);

    scsi::Step<Status> start(const ProtectedCommand& command, std::uint32_t& failed);
    scsi::Step<Status> read(const ProtectedCommand& command);
    scsi::Step<Status> write(const ProtectedCommand& command);
    scsi::Step<Status> compare(const ProtectedCommand& command);
    scsi::Step<Status> verify(ProtectedRange range);
    scsi::Step<Status> write_zeroes(const ProtectedCommand& command);
    scsi::Step<Status> deallocate(const ProtectedCommand& command);
    scsi::Step<Status> copy(const ProtectedCommand& command, std::uint32_t& failed);
    /// Reads and checks, holding nothing: the caller does.
    scsi::Step<Status> fetch(ProtectedRange range, Blocks& blocks);
    [[nodiscard]] Status check(const ProtectedRange& range, const Blocks& blocks) const;

    runtime::Reactor& reactor_;
    // On the reactor.
    std::unique_ptr<storage::BlockDevice> volume_, file_;
    std::unique_ptr<scsi::ProtectedMedium> medium_; ///< of the blocks that there are
    scsi::RangeLocks locks_;                        ///< of blocks
    scsi::RangeLocks formats_;                      ///< of `medium_`: who flushes shares it with others that flush
};

} // namespace touka::devices::nvme
