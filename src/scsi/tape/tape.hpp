// A tape on its heads: where it is, and what reading, writing and moving do. Without threads, modes of a drive's own
// and CDBs. (SSC-5 §4.2, §6)
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "scsi/sense.hpp"
#include "scsi/tape/tape_image.hpp"

namespace touka::scsi {

/// How much fits on a tape. The numbers count what the image file takes: blocks have 8 bytes more than their data and
/// begin at even bytes, filemarks have 4.
struct TapeCapacity {
    std::uint64_t capacity_bytes = 0;
    /// The end of the capacity in which writes are done and reported as EOM. (SSC-5 §4.2.3, "Early-warning")
    std::uint64_t early_warning_bytes = 0;
};

/// How a command on the tape ended.
struct TapeOutcome {
    std::optional<Sense> sense; ///< none: GOOD
    std::uint64_t bytes = 0;    ///< of data, moved into or out of the buffers
};

/// What READ, WRITE and VERIFY say about blocks.
struct TapeTransfer {
    bool fixed = false;
    std::uint32_t length = 0;             ///< TRANSFER LENGTH: blocks when fixed, else bytes
    std::uint32_t block_length_bytes = 0; ///< BLOCK LENGTH of the block descriptor
    bool suppress_incorrect_length = false;
};

struct TapePosition {
    std::uint64_t object = 0;        ///< the logical object identifier
    std::uint64_t file = 0;          ///< filemarks before it: the logical file identifier
    bool past_early_warning = false; ///< between early warning and the end of the partition
};

class Tape {
public:
    /// The tape is at its beginning.
    Tape(TapeImage image, TapeCapacity capacity, bool write_protected)
        : image_(std::move(image)), capacity_(capacity), write_protected_(write_protected || image_.read_only()) {}

    [[nodiscard]] TapePosition position() const;
    [[nodiscard]] std::uint64_t end_of_data() const { return image_.index().count(); }
    [[nodiscard]] bool write_protected() const { return write_protected_; }
    [[nodiscard]] const TapeImage& image() const { return image_; }
    [[nodiscard]] const TapeCapacity& capacity() const { return capacity_; }

    /// READ(6). @param to as long as wanted, or shorter: what is beyond is read and dropped. (SSC-5 §6.6 READ(6))
    /// @pre what `check_transfer` looks at is right
    [[nodiscard]] TapeOutcome read(const TapeTransfer& transfer, std::span<const iovec> to);
    /// VERIFY(6) without byte compare: the same without data. (SSC-5 VERIFY(6))
    [[nodiscard]] TapeOutcome verify(const TapeTransfer& transfer);
    /// WRITE(6). Cuts what is behind. @param from everything that the transfer asks for  (SSC-5 §6.14 WRITE(6))
    [[nodiscard]] TapeOutcome write(const TapeTransfer& transfer, std::span<const iovec> from, bool synchronize);
    /// WRITE FILEMARKS, 0 included. @param synchronize IMMED is 0  (SSC-5, WRITE FILEMARKS)
    [[nodiscard]] TapeOutcome write_filemarks(std::uint64_t count, bool synchronize);

    /// SPACE over blocks or filemarks; negative: towards the beginning. (SSC-5, SPACE)
    [[nodiscard]] TapeOutcome space_blocks(std::int64_t count);
    [[nodiscard]] TapeOutcome space_filemarks(std::int64_t count);
    void space_to_end_of_data() { position_ = end_of_data(); }
    /// LOCATE by object and by file number. Beyond the end of data: to it, BLANK CHECK. (SSC-5, LOCATE)
    [[nodiscard]] TapeOutcome locate(std::uint64_t object);
    [[nodiscard]] TapeOutcome locate_file(std::uint64_t file);
    void rewind() { position_ = 0; }

    /// ERASE: from here on nothing is left; the position stays. (SSC-5, ERASE)
    [[nodiscard]] TapeOutcome erase();
    [[nodiscard]] TapeOutcome synchronize();

private:
    struct Block {
        std::uint32_t length_bytes;
        bool bad;
    };
    [[nodiscard]] TapeOutcome walk(const TapeTransfer& transfer, std::span<const iovec> to, bool move_data);
    [[nodiscard]] TapeOutcome walk_fixed(const TapeTransfer& transfer, std::span<const iovec> to, bool move_data);
    [[nodiscard]] TapeOutcome walk_variable(const TapeTransfer& transfer, std::span<const iovec> to, bool move_data);
    /// What ends a READ at the position: the end of data or a filemark, which is passed.
    [[nodiscard]] std::optional<Sense> stop_here(std::uint64_t residue);
    [[nodiscard]] Block block_here() const;
    /// How many objects that take `object_bytes` each fit from the position on.
    [[nodiscard]] std::uint64_t room_for(std::uint64_t object_bytes) const;
    [[nodiscard]] std::uint64_t offset_here() const;
    [[nodiscard]] Sense end_of_data_sense(std::uint64_t residue) const;
    /// How a write ends that wrote all but `residue` of what was asked.
    [[nodiscard]] std::optional<Sense> written(std::uint64_t residue, std::optional<TapeImageError> error,
                                               bool synchronize);

    TapeImage image_;
    TapeCapacity capacity_;
    bool write_protected_;
    std::uint64_t position_ = 0; ///< of the object that comes next
    std::vector<iovec> vectors_;
};

} // namespace touka::scsi
