#include "scsi/tape/tape_scan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "spec/simh/magtape.hpp"

namespace touka::scsi {

using namespace spec::simh;

namespace {

/// So many tape marks in a row at the end of a file without end-of-medium marker are not tape marks, but a part of the
/// file that was given its length and never its contents: zeros are both. A tape of ours that has as many is marked.
constexpr std::uint64_t kHoleMarks = 64;

/// Walks over one file; the first failure ends it.
class Walk {
public:
    Walk(TapeFile& file, TapeScan& scan) : file_(file), scan_(scan) {}

    [[nodiscard]] std::expected<void, TapeLoadFailure> run() {
        const auto size = file_.size_bytes();
        if (!size) return failed_read(0);
        scan_.file_bytes = *size;
        std::uint64_t offset = 0;
        while (!ended_) {
            const auto next = object_at(offset);
            if (!next) return std::unexpected(next.error());
            offset = *next;
        }
        if (!scan_.end_marked && scan_.index.trailing_filemarks() >= kHoleMarks) {
            scan_.index.truncate(scan_.index.count() - scan_.index.trailing_filemarks());
            scan_.torn = true;
        }
        return {};
    }

private:
    using Next = std::expected<std::uint64_t, TapeLoadFailure>;

    /// Takes in what is at `offset`. @return where the next control word is.
    Next object_at(std::uint64_t offset) {
        if (scan_.file_bytes - offset < kWordBytes) return end(offset, scan_.file_bytes != offset);
        const auto word = word_at(offset);
        if (!word) return failed_read(offset);
        switch (*word) {
            case kEndOfMedium: scan_.end_marked = true; return end(offset, false);
            case kEraseGap: return offset + kWordBytes;
            case kHalfGap: return offset + kHalfGapBytes;
            case kTapeMark: return add(offset, kTapeMark);
            default: return record_at(offset, *word);
        }
    }

    Next record_at(std::uint64_t offset, std::uint32_t word) {
        if ((word & kReservedBits) != 0 || length_of(word) == 0) {
            return failure(TapeLoadError::kReserved,
                           fmt::format("{}: byte {} has the control word {:#010x}, which the format reserves; is it a "
                                       "SIMH tape image?",
                                       file_.name(), offset, word));
        }
        if (object_bytes(word) > scan_.file_bytes - offset) return end(offset, true);
        const std::uint64_t trailer = offset + object_bytes(word) - kWordBytes;
        const auto second = word_at(trailer);
        if (!second) return failed_read(trailer);
        if (*second == word) return add(offset, word);
        const auto zeros = zeros_from(trailer);
        if (!zeros) return failed_read(trailer);
        if (*zeros) return end(offset, true);
        return failure(TapeLoadError::kCorrupt,
                       fmt::format("{}: the record at byte {} has the length {} before its data and the control word "
                                   "{:#010x} behind them; what is before it stays readable after: truncate -s {} {}",
                                   file_.name(), offset, length_of(word), *second, offset, file_.name()));
    }

    Next add(std::uint64_t offset, std::uint32_t word) {
        if (scan_.index.append(offset, word)) return offset + object_bytes(word);
        return failure(TapeLoadError::kIndexFull, fmt::format("{}: the length of records changes more than {} times",
                                                              file_.name(), ObjectIndex::kEntryLimit));
    }

    Next end(std::uint64_t offset, bool torn) {
        scan_.torn = torn;
        ended_ = true;
        return offset;
    }

    static std::unexpected<TapeLoadFailure> failure(TapeLoadError error, std::string text) {
        return std::unexpected(TapeLoadFailure{error, std::move(text)});
    }
    std::unexpected<TapeLoadFailure> failed_read(std::uint64_t offset) const {
        return failure(TapeLoadError::kIoError, fmt::format("{}: cannot be read at byte {}", file_.name(), offset));
    }

    /// Fills the window from `offset` on.
    bool look(std::uint64_t offset) {
        const iovec vector{window_.data(), window_.size()};
        const auto length = file_.read(offset, std::span(&vector, 1));
        window_offset_ = offset;
        window_bytes_ = length ? static_cast<std::size_t>(*length) : 0;
        return length.has_value();
    }

    /// The control word at `offset`, a multiple of nothing. @return empty: the file cannot be read there.
    std::optional<std::uint32_t> word_at(std::uint64_t offset) {
        const auto inside = [&] {
            return offset >= window_offset_ && offset - window_offset_ + kWordBytes <= window_bytes_;
        };
        if (!inside() && (!look(offset) || !inside())) return std::nullopt;
        const std::uint8_t* bytes = window_.data() + (offset - window_offset_);
        return bytes[0] | std::uint32_t{bytes[1]} << 8 | std::uint32_t{bytes[2]} << 16 | std::uint32_t{bytes[3]} << 24;
    }

    /// Is there nothing but zeros from `offset` to the end of the file?
    std::optional<bool> zeros_from(std::uint64_t offset) {
        while (offset < scan_.file_bytes) {
            if (!look(offset) || window_bytes_ == 0) return std::nullopt;
            const auto bytes = std::span(window_).first(window_bytes_);
            if (!std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; })) return false;
            offset += window_bytes_;
        }
        return true;
    }

    TapeFile& file_;
    TapeScan& scan_;
    bool ended_ = false;
    std::array<std::uint8_t, 4096> window_{};
    std::uint64_t window_offset_ = 0;
    std::size_t window_bytes_ = 0;
};

} // namespace

std::expected<TapeScan, TapeLoadFailure> scan_tape(TapeFile& file) {
    TapeScan scan;
    if (auto walked = Walk(file, scan).run(); !walked) return std::unexpected(std::move(walked.error()));
    return scan;
}

} // namespace touka::scsi
