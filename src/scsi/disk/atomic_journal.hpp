// Writes of several blocks that are never found half done, whatever stops the host. (SBC-4 §4.29)
#pragma once

#include <array>
#include <coroutine>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "scsi/disk/step.hpp"
#include "storage/block_device.hpp"

namespace touka::scsi {

/// A file beside a disk that has what is being written, until it is written. A write goes into a slot of the journal
/// and is stable there, then into its place and is stable there too, then the slot is cleared, stable again: an entry
/// is never found after something else could have been written to its blocks. After a crash, complete entries are
/// written again and those that are not are dropped. The journal knows its disk by a number and by its size.
/// The file's format, all numbers big-endian: slots of kSlotBytes; in each a header of kHeaderBytes (magic, version,
/// count of pieces, identity, volume's size, check of the data; target, offset and length of each of two pieces; check
/// of all that), then the pieces' data, each up to a multiple of kAlignmentBytes. A slot in use begins with the magic.
/// Everything on the volumes' reactor; requests are under way one after the other in each slot.
class AtomicJournal {
public:
    static constexpr std::uint64_t kDataLimitBytes = 1 << 20; ///< of the first piece
    static constexpr std::uint64_t kSideLimitBytes = 32 << 10;
    static constexpr std::uint64_t kHeaderBytes = 4096, kAlignmentBytes = 4096;
    static constexpr std::uint64_t kSlotBytes = kHeaderBytes + kDataLimitBytes + kSideLimitBytes;
    static constexpr std::size_t kSlotLimit = 16; ///< of a larger file's bytes, the rest is not used
    /// A file for four writes at the same time.
    static constexpr std::uint64_t kUsualFileBytes = 4 * kSlotBytes;

    enum class State : std::uint8_t {
        kRecovering, ///< entries are being looked for and written
        kReady,
        kFailed,  ///< an entry can neither be carried out nor cleared: until that is repaired nothing may be written
        kForeign, ///< kFailed because there is an entry of another disk: a wrong file, or the disk's size has changed
    };
    /// Where pieces go: the disk's own blocks, and what is kept beside them.
    enum Target : std::uint8_t { kVolume, kSide, kTargetCount };

    /// Nothing is done yet.
    /// @param file, volume, side outlive this; side may be null.  @param identity the same at each start of a disk.
    AtomicJournal(storage::BlockDevice& file, storage::BlockDevice& volume, storage::BlockDevice* side,
                  std::uint64_t identity);

    /// Can the file be used at all? It can be written and has room for one slot.
    [[nodiscard]] static bool suits(const storage::BlockGeometry& file);
    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] bool failed() const { return state_ == State::kFailed || state_ == State::kForeign; }

    /// Finishes what was not finished. Once, before anything else uses the volumes. @return what state() is now.
    Step<State> recover();

    struct Piece {
        Target target = kVolume;
        std::uint64_t offset_bytes = 0;
        std::span<const std::uint8_t> data; ///< whole sectors of the target
    };
    /// Writes one piece, or two to different targets, all or nothing, and stable. Waits while all slots are in use.
    /// When it fails what was there before is there again; when not even that can be done, the journal has failed.
    /// @pre nobody else reads or writes the pieces' places until this ends; pieces stay valid until then.
    Step<storage::BlockStatus> write(std::array<Piece, kTargetCount> pieces, std::size_t count);

    struct Counters {
        std::uint64_t writes = 0, recovered = 0, dropped = 0;
    };
    [[nodiscard]] const Counters& counters() const { return counters_; }

private:
    class SlotHold;
    struct Place {
        std::uint64_t target, offset_bytes, length_bytes;
    };
    struct Header {
        std::size_t count;
        std::array<Place, kTargetCount> places;
        std::uint64_t data_check;
        bool foreign;
    };
    using HeaderBytes = std::array<std::uint8_t, kHeaderBytes>;

    [[nodiscard]] HeaderBytes encode(std::span<const Piece> pieces) const;
    /// @return a header whose check is right; nothing otherwise.
    [[nodiscard]] bool decode(const HeaderBytes& bytes, Header& header) const;
    [[nodiscard]] storage::BlockDevice* device(std::uint64_t target) const;
    Step<storage::BlockStatus> store(std::size_t slot, std::span<const Piece> pieces);
    Step<storage::BlockStatus> apply(std::span<const Piece> pieces);
    Step<storage::BlockStatus> clear(std::size_t slot);
    Step<storage::BlockStatus> recover_slot(std::size_t slot);

    storage::BlockDevice& file_;
    storage::BlockDevice& volume_;
    storage::BlockDevice* side_;
    std::uint64_t identity_;
    State state_ = State::kRecovering;
    Counters counters_;
    std::vector<std::size_t> free_slots_;
    std::deque<SlotHold*> waiting_;
};

} // namespace touka::scsi
