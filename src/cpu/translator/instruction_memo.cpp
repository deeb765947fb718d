#include "cpu/translator/instruction_memo.hpp"

#include <algorithm>
#include <cstring>

namespace touka::cpu::translator {

InstructionMemo::Entry& InstructionMemo::entry(std::span<const std::uint8_t> start, bool supervisor) const {
    constexpr std::uint64_t kMultiplier = 0x9E37'79B9'7F4A'7C15; // 2^64 / golden ratio
    std::uint64_t key = 0;
    std::memcpy(&key, start.data(), start.size());
    key |= std::uint64_t{start.size()} << 32 | std::uint64_t{supervisor} << 40;
    return entries_[(key * kMultiplier >> 32) % kEntries];
}

const GuestInstruction* InstructionMemo::find(std::span<const std::uint8_t> bytes, bool supervisor) const {
    for (std::size_t hashed = std::min(bytes.size(), kMostHashed); hashed > 0; --hashed) {
        const Entry& e = entry(bytes.first(hashed), supervisor);
        const bool fits = e.length_bytes != 0 && e.length_bytes <= bytes.size() && e.supervisor == supervisor;
        if (fits && std::min<std::size_t>(e.length_bytes, kMostHashed) == hashed &&
            std::memcmp(e.instruction.decoded.bytes.data(), bytes.data(), e.length_bytes) == 0)
            return &e.instruction;
    }
    return nullptr;
}

void InstructionMemo::remember(const GuestInstruction& i, bool supervisor) {
    const std::size_t length = i.decoded.info.length;
    const auto start = std::span(i.decoded.bytes).first(std::min(length, kMostHashed));
    entry(start, supervisor) = {static_cast<std::uint8_t>(length), supervisor, i};
}

} // namespace touka::cpu::translator
