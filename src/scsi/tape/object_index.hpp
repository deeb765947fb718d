#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace touka::scsi {

/// A logical object of a tape: a filemark or a block, and where it is in the image.
struct TapeObject {
    std::uint64_t offset_bytes = 0; ///< of its first control word
    std::uint32_t control_word = 0; ///< spec::simh; a tape mark or a data record
};

/// Where the objects of a tape are, by number from its beginning. Objects of equal length that follow each other are
/// one entry, so that a tape of a million blocks of one length needs as much memory as one of ten.
/// Everything but append and truncate is O(log entries).
class ObjectIndex {
public:
    /// So many entries fit: changes from one block length to another. 32 bytes each.
    static constexpr std::size_t kEntryLimit = 1u << 22;

    /// Adds `count` objects of one kind that follow each other from `offset_bytes` on.
    /// @return false: the index is full, nothing was added.
    [[nodiscard]] bool append(std::uint64_t offset_bytes, std::uint32_t control_word, std::uint64_t count = 1);
    /// Would another entry fit?
    [[nodiscard]] bool full() const { return entries_.size() >= kEntryLimit; }
    /// Drops object `number` and all behind it.
    void truncate(std::uint64_t number);

    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] std::uint64_t filemark_count() const { return filemark_count_; }
    /// @pre number < count()
    [[nodiscard]] TapeObject object(std::uint64_t number) const;
    /// Where an object behind the last one begins.
    [[nodiscard]] std::uint64_t end_bytes() const;
    /// How many of the objects before `number` are filemarks.
    [[nodiscard]] std::uint64_t filemarks_before(std::uint64_t number) const;
    /// The object number of a filemark. @pre filemark < filemark_count()
    [[nodiscard]] std::uint64_t filemark(std::uint64_t filemark) const;
    /// How many filemarks without anything between them are at the end.
    [[nodiscard]] std::uint64_t trailing_filemarks() const;

private:
    struct Entry {
        std::uint64_t first_object;
        std::uint64_t offset_bytes;
        std::uint64_t filemarks_before;
        std::uint32_t control_word;
    };
    [[nodiscard]] const Entry& entry_of(std::uint64_t number) const;

    std::vector<Entry> entries_;
    std::uint64_t count_ = 0;
    std::uint64_t filemark_count_ = 0;
};

} // namespace touka::scsi
