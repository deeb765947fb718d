#include "cpu/translator/instruction_memo.hpp"

#include <algorithm>
#include <cstring>

namespace touka::cpu::translator {

std::uint32_t InstructionMemo::word(std::span<const std::uint8_t> bytes, std::size_t count) {
    std::uint32_t word = 0;
    std::memcpy(&word, bytes.data(), count);
    return word;
}

std::size_t InstructionMemo::slot(std::uint32_t word, std::size_t count, bool supervisor) {
    constexpr std::uint64_t kMultiplier = 0x9E37'79B9'7F4A'7C15; // 2^64 / golden ratio
    const std::uint64_t key = word | std::uint64_t{count} << 32 | std::uint64_t{supervisor} << 40;
    return (key * kMultiplier >> 32) % kEntries;
}

const GuestInstruction* InstructionMemo::find(std::span<const std::uint8_t> bytes, bool supervisor) const {
    for (std::size_t count = std::min(bytes.size(), kMostHashed); count > 0; --count) {
        const std::uint32_t start = word(bytes, count);
        const std::size_t at = slot(start, count, supervisor);
        const Tag& tag = tags_[at];
        if (std::min<std::size_t>(tag.length_bytes, kMostHashed) != count || tag.supervisor != supervisor) continue;
        if (word(tag.start, count) != start || tag.length_bytes > bytes.size()) continue;
        const GuestInstruction& known = entries_[at];
        if (std::memcmp(known.decoded.bytes.data(), bytes.data(), tag.length_bytes) == 0) return &known;
    }
    return nullptr;
}

void InstructionMemo::remember(const GuestInstruction& i, bool supervisor) {
    const std::size_t length = i.decoded.info.length, count = std::min(length, kMostHashed);
    const std::size_t at = slot(word(i.decoded.bytes, count), count, supervisor);
    Tag& tag = tags_[at];
    tag = {.length_bytes = static_cast<std::uint8_t>(length), .supervisor = supervisor};
    std::copy_n(i.decoded.bytes.begin(), count, tag.start.begin());
    copy_used(i, entries_[at]);
}

} // namespace touka::cpu::translator
