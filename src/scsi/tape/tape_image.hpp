// A tape kept in a file as other programs read it: docs/decisions/011-tape-image.md.
// (SIMH Magtape Representation and Handling)
// Limits: blocks up to 16 MiB - 1; one partition; ObjectIndex::kEntryLimit changes of block length. Bad records that
// other programs wrote are read as such, never written. Reserved control words are errors.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "scsi/tape/object_index.hpp"
#include "scsi/tape/tape_file.hpp"

namespace touka::scsi {

enum class TapeImageError {
    kIoError,   ///< the file below failed; what is not synchronized may be lost
    kNoSpace,   ///< the host's file system is full
    kIndexFull, ///< too many changes of block length
};

enum class TapeLoadError {
    kIoError,
    kCorrupt,  ///< the lengths around a record differ, in the middle of the file
    kReserved, ///< a control word that the format reserves
    kIndexFull,
};

struct TapeLoadFailure {
    TapeLoadError error;
    std::string text; ///< for the user: which file, where, what to do
};

/// The objects of a tape in their order. Writing is possible at the end alone; to write elsewhere, cut first.
/// Everything waits for the file. One thread at a time.
class TapeImage {
public:
    static constexpr std::uint32_t kBlockLimitBytes = 0x00FF'FFFF;

    /// Reads where the objects are: control words, no data. A last record that is not whole, and a tail of zeros as a
    /// power loss leaves it, are left out; the file itself stays as it is until something is written.
    [[nodiscard]] static std::expected<TapeImage, TapeLoadFailure> load(std::unique_ptr<TapeFile> file);

    [[nodiscard]] const ObjectIndex& index() const { return index_; }
    /// The bytes behind the last object's that were left out at load; 0 for an image that was closed in order.
    [[nodiscard]] std::uint64_t torn_bytes() const { return torn_bytes_; }
    [[nodiscard]] bool read_only() const { return file_->read_only(); }

    /// The data of a block from its first byte on, as many as fit. @pre number is a block's
    /// @return kIoError also when the file has become shorter.
    [[nodiscard]] std::expected<void, TapeImageError> read(std::uint64_t number, std::span<const iovec> to);

    /// Drops object `number` and all behind it; they are gone for good before this returns, so that nothing written
    /// afterwards can be followed by what they left.
    [[nodiscard]] std::expected<void, TapeImageError> cut(std::uint64_t number);
    /// Adds blocks of `length_bytes` each at the end; their data follow each other in `data`.
    /// @pre length_bytes 1 to kBlockLimitBytes; data are long enough
    /// @return how many were added; after an error the image ends behind the last of them.
    struct Appended {
        std::uint64_t count = 0;
        std::optional<TapeImageError> error;
    };
    [[nodiscard]] Appended append_blocks(std::uint32_t length_bytes, std::uint64_t count, std::span<const iovec> data);
    [[nodiscard]] Appended append_filemarks(std::uint64_t count);
    /// Everything that was added and cut survives a power loss. Once this has failed it fails until the image is
    /// loaded again, and so does adding: what the host has not stored by then is lost and cannot be told apart.
    [[nodiscard]] std::expected<void, TapeImageError> synchronize();

private:
    explicit TapeImage(std::unique_ptr<TapeFile> file) : file_(std::move(file)) {}
    [[nodiscard]] std::expected<void, TapeImageError> prepare_to_append();
    [[nodiscard]] std::optional<TapeImageError> write_at_end(std::span<iovec> vectors);

    std::unique_ptr<TapeFile> file_;
    ObjectIndex index_;
    std::uint64_t torn_bytes_ = 0;
    bool tail_ = false;   // something is behind the last object that must go before anything is added
    bool dirty_ = false;  // changed since the last synchronize
    bool failed_ = false; // a synchronize has failed
    std::vector<iovec> vectors_;
};

} // namespace touka::scsi
