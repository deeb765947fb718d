#include "scsi/tape/tape.hpp"

#include <algorithm>
#include <limits>

#include "scsi/tape/buffer_cursor.hpp"
#include "spec/simh/magtape.hpp"

namespace touka::scsi {

using namespace spec::simh;

namespace {

Sense stream_sense(SenseKey key, SenseCode code, std::uint64_t residue) {
    Sense sense = Sense::of(key, code);
    sense.information = residue;
    return sense;
}

Sense filemark_sense(std::uint64_t residue) {
    Sense sense = stream_sense(SenseKey::kNoSense, SenseCode::kFilemarkDetected, residue);
    sense.filemark = true;
    return sense;
}

Sense beginning_sense(std::uint64_t residue) {
    Sense sense = stream_sense(SenseKey::kNoSense, SenseCode::kBeginningOfPartitionOrMediumDetected, residue);
    sense.end_of_medium = true;
    return sense;
}

Sense incorrect_length_sense(std::uint64_t residue) {
    Sense sense = stream_sense(SenseKey::kNoSense, SenseCode::kNoAdditionalSense, residue);
    sense.incorrect_length = true;
    return sense;
}

/// The magnitude of a count of SPACE, also of the smallest one.
std::uint64_t magnitude(std::int64_t count) {
    return count < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(count) : static_cast<std::uint64_t>(count);
}

} // namespace

std::uint64_t Tape::offset_here() const {
    const ObjectIndex& index = image_.index();
    return position_ < index.count() ? index.object(position_).offset_bytes : index.end_bytes();
}

TapePosition Tape::position() const {
    const std::uint64_t warning =
        capacity_.capacity_bytes - std::min(capacity_.capacity_bytes, capacity_.early_warning_bytes);
    return {.object = position_,
            .file = image_.index().filemarks_before(position_),
            .past_early_warning = offset_here() >= warning};
}

Sense Tape::end_of_data_sense(std::uint64_t residue) const {
    Sense sense = stream_sense(SenseKey::kBlankCheck, SenseCode::kEndOfDataDetected, residue);
    sense.end_of_medium = position().past_early_warning;
    return sense;
}

std::optional<Sense> Tape::stop_here(std::uint64_t residue) {
    if (position_ >= end_of_data()) return end_of_data_sense(residue);
    if (image_.index().object(position_).control_word != kTapeMark) return std::nullopt;
    ++position_;
    return filemark_sense(residue);
}

Tape::Block Tape::block_here() const {
    const std::uint32_t word = image_.index().object(position_).control_word;
    return {.length_bytes = length_of(word), .bad = (word & kBadRecord) != 0};
}

TapeOutcome Tape::read(const TapeTransfer& transfer, std::span<const iovec> to) { return walk(transfer, to, true); }

TapeOutcome Tape::verify(const TapeTransfer& transfer) { return walk(transfer, {}, false); }

TapeOutcome Tape::walk(const TapeTransfer& transfer, std::span<const iovec> to, bool move_data) {
    return transfer.fixed ? walk_fixed(transfer, to, move_data) : walk_variable(transfer, to, move_data);
}

TapeOutcome Tape::walk_fixed(const TapeTransfer& transfer, std::span<const iovec> to, bool move_data) {
    TapeOutcome outcome;
    BufferCursor cursor(to);
    for (std::uint32_t left = transfer.length; left > 0; --left) {
        if (const auto stop = stop_here(left)) {
            outcome.sense = stop;
            return outcome;
        }
        const Block block = block_here();
        ++position_;
        if (block.bad) {
            outcome.sense = stream_sense(SenseKey::kMediumError, SenseCode::kUnrecoveredReadError, left);
            return outcome;
        }
        if (block.length_bytes != transfer.block_length_bytes) {
            outcome.sense = incorrect_length_sense(left);
            return outcome;
        }
        if (move_data) {
            vectors_.clear();
            cursor.take(block.length_bytes, vectors_);
            if (!image_.read(position_ - 1, vectors_)) {
                outcome.sense = stream_sense(SenseKey::kMediumError, SenseCode::kUnrecoveredReadError, left);
                return outcome;
            }
        }
        outcome.bytes += block.length_bytes;
    }
    return outcome;
}

TapeOutcome Tape::walk_variable(const TapeTransfer& transfer, std::span<const iovec> to, bool move_data) {
    if (transfer.length == 0) return {};
    if (const auto stop = stop_here(transfer.length)) return {.sense = stop};
    const Block block = block_here();
    ++position_;
    const Sense unreadable = stream_sense(SenseKey::kMediumError, SenseCode::kUnrecoveredReadError, transfer.length);
    if (block.bad) return {.sense = unreadable};
    const std::uint32_t moved = std::min(block.length_bytes, transfer.length);
    if (move_data) {
        vectors_.clear();
        BufferCursor(to).take(moved, vectors_);
        if (!image_.read(position_ - 1, vectors_)) return {.sense = unreadable};
    }
    TapeOutcome outcome{.sense = {}, .bytes = moved};
    // Suppressed, a block that is too long is still told of when the block descriptor has a length.
    const bool suppressed = transfer.suppress_incorrect_length &&
                            (block.length_bytes < transfer.length || transfer.block_length_bytes == 0);
    if (block.length_bytes != transfer.length && !suppressed) {
        // Negative for a block that is longer: as a number of 64 bits, of which 32 go into fixed format.
        outcome.sense = incorrect_length_sense(std::uint64_t{transfer.length} - block.length_bytes);
    }
    return outcome;
}

std::uint64_t Tape::room_for(std::uint64_t object_bytes) const {
    const std::uint64_t here = offset_here();
    return here >= capacity_.capacity_bytes ? 0 : (capacity_.capacity_bytes - here) / object_bytes;
}

TapeOutcome Tape::write(const TapeTransfer& transfer, std::span<const iovec> from, bool synchronize) {
    const std::uint64_t count = transfer.fixed ? transfer.length : 1;
    const std::uint32_t length = transfer.fixed ? transfer.block_length_bytes : transfer.length;
    if (transfer.length == 0) return {};
    if (write_protected_) return {.sense = Sense::of(SenseKey::kDataProtect, SenseCode::kWriteProtected)};
    const auto residue = [&](std::uint64_t done) -> std::uint64_t {
        return transfer.fixed ? count - done : done == 1 ? 0 : length;
    };
    const std::uint64_t fitting = std::min(count, room_for(object_bytes(length)));
    if (fitting == 0) return {.sense = written(residue(0), std::nullopt, synchronize)};
    if (const auto cut = image_.cut(position_); !cut) return {.sense = written(residue(0), cut.error(), false)};
    const auto appended = image_.append_blocks(length, fitting, from);
    position_ += appended.count;
    return {.sense = written(residue(appended.count), appended.error, synchronize), .bytes = appended.count * length};
}

TapeOutcome Tape::write_filemarks(std::uint64_t count, bool synchronize) {
    if (count == 0) return synchronize ? this->synchronize() : TapeOutcome{};
    if (write_protected_) return {.sense = Sense::of(SenseKey::kDataProtect, SenseCode::kWriteProtected)};
    const std::uint64_t fitting = std::min(count, room_for(object_bytes(kTapeMark)));
    if (fitting == 0) return {.sense = written(count, std::nullopt, synchronize)};
    if (const auto cut = image_.cut(position_); !cut) return {.sense = written(count, cut.error(), false)};
    const auto appended = image_.append_filemarks(fitting);
    position_ += appended.count;
    return {.sense = written(count - appended.count, appended.error, synchronize)};
}

std::optional<Sense> Tape::written(std::uint64_t residue, std::optional<TapeImageError> error, bool synchronize) {
    if (synchronize && (!error || *error == TapeImageError::kIndexFull)) {
        if (const auto stable = image_.synchronize(); !stable) error = stable.error();
    }
    if (error && *error != TapeImageError::kIndexFull) {
        return stream_sense(SenseKey::kMediumError, SenseCode::kWriteError, residue);
    }
    if (residue == 0 && !position().past_early_warning) return std::nullopt;
    Sense sense = stream_sense(residue == 0 ? SenseKey::kNoSense : SenseKey::kVolumeOverflow,
                               SenseCode::kEndOfPartitionOrMediumDetected, residue);
    sense.end_of_medium = true;
    return sense;
}

TapeOutcome Tape::space_blocks(std::int64_t count) {
    const ObjectIndex& index = image_.index();
    const std::uint64_t wanted = magnitude(count);
    const std::uint64_t marks = index.filemarks_before(position_);
    if (count >= 0) {
        const bool mark_ahead = marks < index.filemark_count();
        const std::uint64_t stop = mark_ahead ? index.filemark(marks) : index.count();
        const std::uint64_t moved = std::min(wanted, stop - position_);
        position_ += moved;
        if (moved == wanted) return {};
        if (!mark_ahead) return {.sense = end_of_data_sense(wanted - moved)};
        ++position_; // the filemark is passed
        return {.sense = filemark_sense(wanted - moved)};
    }
    const std::uint64_t stop = marks > 0 ? index.filemark(marks - 1) + 1 : 0;
    const std::uint64_t moved = std::min(wanted, position_ - stop);
    position_ -= moved;
    if (moved == wanted) return {};
    if (marks == 0) return {.sense = beginning_sense(wanted - moved)};
    --position_;
    return {.sense = filemark_sense(wanted - moved)};
}

TapeOutcome Tape::space_filemarks(std::int64_t count) {
    const ObjectIndex& index = image_.index();
    const std::uint64_t wanted = magnitude(count);
    const std::uint64_t before = index.filemarks_before(position_);
    if (count == 0) return {};
    if (count > 0) {
        const std::uint64_t ahead = index.filemark_count() - before;
        if (wanted > ahead) {
            position_ = index.count();
            return {.sense = end_of_data_sense(wanted - ahead)};
        }
        position_ = index.filemark(before + wanted - 1) + 1;
        return {};
    }
    if (wanted > before) {
        position_ = 0;
        return {.sense = beginning_sense(wanted - before)};
    }
    position_ = index.filemark(before - wanted);
    return {};
}

TapeOutcome Tape::locate(std::uint64_t object) {
    position_ = std::min(object, end_of_data());
    if (position_ == object) return {};
    Sense sense = end_of_data_sense(0);
    sense.information.reset();
    return {.sense = sense};
}

TapeOutcome Tape::locate_file(std::uint64_t file) {
    const ObjectIndex& index = image_.index();
    if (file > index.filemark_count()) return locate(std::numeric_limits<std::uint64_t>::max());
    return locate(file == 0 ? 0 : index.filemark(file - 1) + 1);
}

TapeOutcome Tape::erase() {
    if (write_protected_) return {.sense = Sense::of(SenseKey::kDataProtect, SenseCode::kWriteProtected)};
    if (const auto cut = image_.cut(position_); !cut) {
        return {.sense = Sense::of(SenseKey::kMediumError, SenseCode::kWriteError)};
    }
    return synchronize();
}

TapeOutcome Tape::synchronize() {
    if (image_.synchronize()) return {};
    return {.sense = Sense::of(SenseKey::kMediumError, SenseCode::kWriteError)};
}

} // namespace touka::scsi
