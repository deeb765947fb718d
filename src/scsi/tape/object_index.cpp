#include "scsi/tape/object_index.hpp"

#include <algorithm>
#include <cassert>

#include "spec/simh/magtape.hpp"

namespace touka::scsi {

using spec::simh::kTapeMark;
using spec::simh::object_bytes;

bool ObjectIndex::append(std::uint64_t offset_bytes, std::uint32_t control_word, std::uint64_t count) {
    const bool continues =
        !entries_.empty() && entries_.back().control_word == control_word && end_bytes() == offset_bytes;
    if (!continues) {
        if (full()) return false;
        entries_.push_back({count_, offset_bytes, filemark_count_, control_word});
    }
    count_ += count;
    if (control_word == kTapeMark) filemark_count_ += count;
    return true;
}

void ObjectIndex::truncate(std::uint64_t number) {
    if (number >= count_) return;
    filemark_count_ = filemarks_before(number);
    while (!entries_.empty() && entries_.back().first_object >= number) entries_.pop_back();
    count_ = number;
}

const ObjectIndex::Entry& ObjectIndex::entry_of(std::uint64_t number) const {
    assert(number < count_);
    const auto behind = std::ranges::upper_bound(entries_, number, {}, &Entry::first_object);
    return *(behind - 1);
}

TapeObject ObjectIndex::object(std::uint64_t number) const {
    const Entry& entry = entry_of(number);
    return {.offset_bytes = entry.offset_bytes + (number - entry.first_object) * object_bytes(entry.control_word),
            .control_word = entry.control_word};
}

std::uint64_t ObjectIndex::end_bytes() const {
    if (entries_.empty()) return 0;
    const Entry& last = entries_.back();
    return last.offset_bytes + (count_ - last.first_object) * object_bytes(last.control_word);
}

std::uint64_t ObjectIndex::filemarks_before(std::uint64_t number) const {
    if (number >= count_) return filemark_count_;
    const Entry& entry = entry_of(number);
    return entry.filemarks_before + (entry.control_word == kTapeMark ? number - entry.first_object : 0);
}

std::uint64_t ObjectIndex::filemark(std::uint64_t filemark) const {
    assert(filemark < filemark_count_);
    // The last entry that begins with no more filemarks before it is the one: entries of blocks behind it have more.
    const auto behind = std::ranges::upper_bound(entries_, filemark, {}, &Entry::filemarks_before);
    const Entry& entry = *(behind - 1);
    return entry.first_object + (filemark - entry.filemarks_before);
}

std::uint64_t ObjectIndex::trailing_filemarks() const {
    if (entries_.empty() || entries_.back().control_word != kTapeMark) return 0;
    return count_ - entries_.back().first_object;
}

} // namespace touka::scsi
