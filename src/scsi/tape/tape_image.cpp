#include "scsi/tape/tape_image.hpp"

#include <algorithm>
#include <cassert>

#include "scsi/tape/buffer_cursor.hpp"
#include "scsi/tape/tape_scan.hpp"
#include "spec/simh/magtape.hpp"

namespace touka::scsi {

using namespace spec::simh;

namespace {

using Word = std::array<std::uint8_t, kWordBytes>;

Word bytes_of(std::uint32_t word) {
    return {static_cast<std::uint8_t>(word), static_cast<std::uint8_t>(word >> 8),
            static_cast<std::uint8_t>(word >> 16), static_cast<std::uint8_t>(word >> 24)};
}

TapeImageError error_of(TapeFileError error) {
    return error == TapeFileError::kNoSpace ? TapeImageError::kNoSpace : TapeImageError::kIoError;
}

/// Blocks that go to the file in one call, three vectors each and more where their data are scattered.
constexpr std::uint64_t kBatch = 256;

} // namespace

std::expected<TapeImage, TapeLoadFailure> TapeImage::load(std::unique_ptr<TapeFile> file) {
    auto scan = scan_tape(*file);
    if (!scan) return std::unexpected(std::move(scan.error()));
    TapeImage image(std::move(file));
    image.index_ = std::move(scan->index);
    const std::uint64_t behind = scan->file_bytes - image.index_.end_bytes();
    if (scan->torn) image.torn_bytes_ = behind;
    image.tail_ = behind != 0 && !(scan->end_marked && behind == kWordBytes);
    return image;
}

std::expected<void, TapeImageError> TapeImage::read(std::uint64_t number, std::span<const iovec> to) {
    const TapeObject object = index_.object(number);
    assert(object.control_word != kTapeMark);
    std::uint64_t room = 0;
    for (const iovec& vector : to) room += vector.iov_len;
    const std::uint64_t length = std::min<std::uint64_t>(room, length_of(object.control_word));
    vectors_.clear();
    BufferCursor(to).take(length, vectors_);
    const auto done = file_->read(object.offset_bytes + kWordBytes, vectors_);
    if (!done || *done != length) return std::unexpected(TapeImageError::kIoError);
    return {};
}

std::expected<void, TapeImageError> TapeImage::cut(std::uint64_t number) {
    if (number >= index_.count()) return {};
    index_.truncate(number);
    tail_ = true;
    return prepare_to_append();
}

/// Nothing may be behind the end when something is added, or the new tail and an old one could be taken for one tape
/// after a power loss. The marker of the last synchronize may: what is added covers it.
std::expected<void, TapeImageError> TapeImage::prepare_to_append() {
    if (failed_) return std::unexpected(TapeImageError::kIoError);
    if (!tail_) return {};
    dirty_ = true;
    if (const auto cut = file_->truncate(index_.end_bytes()); !cut) return std::unexpected(error_of(cut.error()));
    if (const auto stable = file_->synchronize(); !stable) {
        failed_ = true;
        return std::unexpected(error_of(stable.error()));
    }
    tail_ = false;
    return {};
}

/// On failure, takes back what came into the file of it.
std::optional<TapeImageError> TapeImage::write_at_end(std::span<iovec> vectors) {
    dirty_ = true;
    const std::uint64_t end = index_.end_bytes();
    const auto written = file_->write(end, vectors);
    if (written) return std::nullopt;
    tail_ = !file_->truncate(end);
    return error_of(written.error());
}

TapeImage::Appended TapeImage::append_blocks(std::uint32_t length_bytes, std::uint64_t count,
                                             std::span<const iovec> data) {
    assert(length_bytes > 0 && length_bytes <= kBlockLimitBytes);
    Appended appended;
    if (const auto ready = prepare_to_append(); !ready) return {.error = ready.error()};
    Word word = bytes_of(length_bytes);
    std::uint8_t padding = 0;
    BufferCursor cursor(data);
    while (appended.count < count) {
        if (index_.full()) return {.count = appended.count, .error = TapeImageError::kIndexFull};
        const std::uint64_t batch = std::min(kBatch, count - appended.count);
        vectors_.clear();
        for (std::uint64_t i = 0; i < batch; ++i) {
            vectors_.push_back({word.data(), word.size()});
            cursor.take(length_bytes, vectors_);
            if (length_bytes % 2 != 0) vectors_.push_back({&padding, 1});
            vectors_.push_back({word.data(), word.size()});
        }
        const auto error = write_at_end(vectors_);
        if (error) return {.count = appended.count, .error = error};
        const bool fits = index_.append(index_.end_bytes(), length_bytes, batch);
        assert(fits);
        static_cast<void>(fits);
        appended.count += batch;
    }
    return appended;
}

TapeImage::Appended TapeImage::append_filemarks(std::uint64_t count) {
    static constinit std::array<std::uint8_t, 4096 * kWordBytes> marks{};
    Appended appended;
    if (count == 0) return appended;
    if (const auto ready = prepare_to_append(); !ready) return {.error = ready.error()};
    while (appended.count < count) {
        if (index_.full()) return {.count = appended.count, .error = TapeImageError::kIndexFull};
        const std::uint64_t batch = std::min<std::uint64_t>(marks.size() / kWordBytes, count - appended.count);
        iovec vector{marks.data(), batch * kWordBytes};
        const auto error = write_at_end(std::span(&vector, 1));
        if (error) return {.count = appended.count, .error = error};
        const bool fits = index_.append(index_.end_bytes(), kTapeMark, batch);
        assert(fits);
        static_cast<void>(fits);
        appended.count += batch;
    }
    return appended;
}

std::expected<void, TapeImageError> TapeImage::synchronize() {
    if (failed_) return std::unexpected(TapeImageError::kIoError);
    if (!dirty_) return {};
    if (const auto ready = prepare_to_append(); !ready) return ready;
    Word end = bytes_of(kEndOfMedium);
    iovec vector{end.data(), end.size()};
    // Without room for the marker the end of the file is the end of the tape as well.
    const auto marked = file_->write(index_.end_bytes(), std::span(&vector, 1));
    if (!marked && marked.error() != TapeFileError::kNoSpace) return std::unexpected(error_of(marked.error()));
    if (!marked) static_cast<void>(file_->truncate(index_.end_bytes()));
    if (const auto stable = file_->synchronize(); !stable) {
        failed_ = true;
        return std::unexpected(error_of(stable.error()));
    }
    dirty_ = false;
    return {};
}

} // namespace touka::scsi
