// The memory of a client, as far as it was granted. (vfio-user Protocol, "Client memory access", "VFIO_USER_DMA_MAP")
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "devices/passthrough/dma_fault_log.hpp"
#include "devices/passthrough/vfio_user/dirty_pages.hpp"
#include "devices/passthrough/vfio_user/grant_table.hpp"
#include "memory/dma_space.hpp"
#include "runtime/shared_mapping.hpp"
#include "runtime/unique_fd.hpp"

namespace touka::devices::passthrough {

/// Memory that only its owner reaches, who is asked. Any thread; bounded in time.
class RemoteMemory {
public:
    virtual ~RemoteMemory() = default;
    /// @return false when the owner refuses, does not answer or is gone.
    [[nodiscard]] virtual bool read(memory::Iova address, std::span<std::byte> to) = 0;
    [[nodiscard]] virtual bool write(memory::Iova address, std::span<const std::byte> from) = 0;
    /// An access that was not performed, for an owner who wants to know, as one with an IOMMU. Does not wait.
    virtual void blocked(memory::Iova, memory::DmaAccess) {}
};

enum class GrantError {
    kEmpty,     ///< no bytes, or no rights
    kWraps,     ///< over the end of all addresses
    kOverlaps,  ///< a region that is granted already
    kTooMany,   ///< regions, or bytes to map
    kNotInFile, ///< the file does not have that part
    kNoSuch,    ///< nothing was granted exactly so
};

/// A DMA space of grants: an access outside of them is a fault, recorded and never performed (rule T5).
///
/// A region with a file is mapped; when its owner makes the file shorter, an access there is a fault, too, at the
/// latest the second one. A region without, or with a file that SharedMapping does not map, is reached through
/// RemoteMemory: by read() and write() alone, translate() refuses. The space is any thread's; grant, revoke and logging
/// are its owner's, one thread's.
class MappedDmaSpace final : public memory::DmaSpace {
public:
    static constexpr std::size_t kGrantLimit = 65535;
    /// Of files, each of which is mapped whole.
    static constexpr std::uint64_t kMappedLimitBytes = std::uint64_t{4} << 40;

    /// @param requester who is named in faults.
    explicit MappedDmaSpace(std::string requester);
    /// @pre no use and no hold is left.
    ~MappedDmaSpace() override = default;

    /// @param file not owned by anybody else: empty when the region is not mappable.
    [[nodiscard]] std::expected<void, GrantError> grant(memory::Iova start, std::uint64_t length_bytes,
                                                        DmaRights rights, const runtime::UniqueFd& file,
                                                        std::uint64_t file_offset);
    /// Called when nobody reaches what was revoked, with its dirty pages if they were logged; on any thread.
    using OnRevoked = std::function<void(std::shared_ptr<DirtyPages>)>;
    /// Takes a region away at once; what was granted must be named exactly. Holds of other regions delay nothing.
    [[nodiscard]] std::expected<void, GrantError> revoke(memory::Iova start, std::uint64_t length_bytes,
                                                         OnRevoked on_revoked);
    void revoke_all(OnRevoked on_revoked);
    [[nodiscard]] std::size_t grant_count() const;

    // For a space that stands before this one, and translates other addresses to those that are granted.
    /// What translate() gives, or nothing: then nothing is recorded.
    [[nodiscard]] std::span<std::byte> find(memory::Iova address, std::uint64_t length_bytes, memory::DmaAccess access);
    /// Records an access that is refused, and tells the client. @param address as the device used it.
    [[nodiscard]] std::unexpected<memory::DmaFault> fault(memory::Iova address, std::uint64_t length_bytes,
                                                          memory::DmaAccess access);
    /// Holds name other addresses than grants do: from then on they are known by their memory. The owner's.
    void set_holds_translated(bool translated) { holds_translated_.store(translated); }
    /// Calls `done` when no hold is left that `affected` says yes to. @param affected is asked about active ones.
    void when_not_held(const std::function<bool(const memory::DmaHold&)>& affected, std::function<void()> done) {
        holds_.when_over(affected, std::move(done));
    }

    /// Whom to ask from now on; nobody when empty. Any thread.
    void set_remote(std::shared_ptr<RemoteMemory> remote) { *remote_.lock() = std::move(remote); }
    /// For a device that wants its client to see an access. Null: nobody is there.
    [[nodiscard]] std::shared_ptr<RemoteMemory> remote() { return *remote_.lock(); }

    struct Range {
        memory::Iova start;
        std::uint64_t length_bytes = 0;
    };
    /// Starts a log of the pages that the device writes, all clean. @param ranges empty: everything.
    void start_logging(std::span<const Range> ranges);
    void stop_logging();
    [[nodiscard]] bool logging() const { return logging_; }
    /// Takes the log's bits for a range, one for each page_bytes, as bytes of a bitmap of 64-bit words.
    /// @param page_bytes a power of two, 4096 at least.  @pre the range does not wrap around.
    [[nodiscard]] std::vector<std::byte> take_dirty(Range range, std::uint64_t page_bytes);

    [[nodiscard]] DmaFaultLog& faults() { return faults_; }

    [[nodiscard]] std::expected<std::span<std::byte>, memory::DmaFault>
    translate(memory::Iova address, std::uint64_t length_bytes, memory::DmaAccess access) override;
    void written(std::span<const std::byte> host_memory) override;
    [[nodiscard]] std::expected<void, memory::DmaFault> read(memory::Iova address, std::span<std::byte> to) override;
    [[nodiscard]] std::expected<void, memory::DmaFault> write(memory::Iova address,
                                                              std::span<const std::byte> from) override;

protected:
    void begin_hold(memory::DmaHold& hold) override { begin_hold_in(holds_, hold); }

private:
    /// A whole file, since regions may be many and of one page each.
    struct MappedFile {
        std::uint64_t device = 0, inode = 0; // nobody else's while it is mapped
        std::weak_ptr<const runtime::SharedMapping> mapping;
    };
    /// @return null when it is no file to map.
    [[nodiscard]] std::expected<std::shared_ptr<const runtime::SharedMapping>, GrantError>
    mapping_of(const runtime::UniqueFd& file, std::uint64_t offset, std::uint64_t length_bytes);
    void publish(GrantTable table, std::function<void()> done);

    // Readers take the pointer within a use; a table goes when the uses that may have seen it are over.
    std::shared_ptr<const GrantTable> current_ = std::make_shared<const GrantTable>();
    std::atomic<const GrantTable*> table_{current_.get()};
    std::vector<MappedFile> files_; // the owner's
    std::atomic<bool> logging_{false}, holds_translated_{false};
    runtime::Guarded<std::shared_ptr<RemoteMemory>> remote_; // taken alone
    DmaFaultLog faults_;
    memory::DmaHolds holds_;
};

/// Sets the bits of a bitmap of 64-bit words for the dirty pages of a part of a region.
/// @param first_bit_offset where in the region bit 0 stands, which may be before its start (then it wraps around).
void collect_dirty(DirtyPages& pages, std::uint64_t offset, std::uint64_t length_bytes, std::uint64_t first_bit_offset,
                   std::uint64_t page_bytes, std::span<std::byte> bitmap);
/// Bytes of a bitmap for so many pages, in whole 64-bit words.
[[nodiscard]] constexpr std::uint64_t bitmap_bytes(std::uint64_t length_bytes, std::uint64_t page_bytes) {
    const std::uint64_t pages = length_bytes / page_bytes + (length_bytes % page_bytes != 0 ? 1 : 0);
    return (pages / 64 + (pages % 64 != 0 ? 1 : 0)) * 8;
}

} // namespace touka::devices::passthrough
