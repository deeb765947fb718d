#include "cpu/translator/instruction_memo.hpp"

#include <algorithm>
#include <cstring>

#include "cpu/translator/classification.hpp"

namespace touka::cpu::translator {
namespace {

/// The first eight bytes as a number, as far as there are so many. One load: putting bytes together one by one makes
/// the processor wait for its own stores.
std::uint64_t start_of(std::span<const std::uint8_t> bytes) {
    std::uint64_t start = 0;
    if (bytes.size() >= sizeof(start))
        std::memcpy(&start, bytes.data(), sizeof(start));
    else
        std::memcpy(&start, bytes.data(), bytes.size());
    return start;
}

/// Without what lies behind the first `count` bytes, of 1 to 8.
std::uint64_t first_bytes(std::uint64_t start, std::size_t count) {
    return start & ~std::uint64_t{0} >> 8 * (sizeof(start) - count);
}

/// Little-endian, of 1 to 8 bytes.
std::uint64_t unsigned_field(const std::uint8_t* at, unsigned bits) {
    std::uint64_t value = 0;
    std::memcpy(&value, at, bits / 8);
    return value;
}

std::int64_t signed_field(const std::uint8_t* at, unsigned bits) {
    const unsigned unused = 64 - bits;
    return static_cast<std::int64_t>(unsigned_field(at, bits) << unused) >> unused;
}

/// @param bytes with the displacement that `i` is to have.
bool is_out_of_reach(const GuestInstruction& i, std::span<const std::uint8_t> bytes) {
    if ((!i.has_access && i.kind != Kind::kLea) || i.access.base != MemoryAccess::kRip) return false;
    const auto& disp = i.decoded.info.raw.disp;
    return signed_field(bytes.data() + disp.offset, disp.size) > kMostFromRip;
}

/// All that is known of the instruction holds whatever displacement and immediate operand it has.
bool is_told_by_head(const GuestInstruction& i) {
    const auto& info = i.decoded.info;
    const bool plain = info.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY ||
                       info.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX; // EVEX scales displacements
    if (!plain || info.raw.imm[1].size != 0) return false;
    if (info.raw.disp.size != 0 && (info.attributes & ZYDIS_ATTRIB_HAS_MODRM) == 0) return false;
    if (info.raw.imm[0].size == 0) return true;
    if (is_shift(i)) return false; // by 0 it is something else
    const auto operands = std::span(i.decoded.operands).first(info.operand_count);
    return std::ranges::none_of(operands, [](const ZydisDecodedOperand& o) {
        return o.encoding == ZYDIS_OPERAND_ENCODING_IS4; // the number of a register
    });
}

std::size_t head_bytes(const GuestInstruction& i) {
    const auto& raw = i.decoded.info.raw;
    if (!is_told_by_head(i)) return i.decoded.info.length;
    if (raw.disp.size != 0) return raw.disp.offset;
    return raw.imm[0].size != 0 ? raw.imm[0].offset : i.decoded.info.length;
}

/// Gives `i` the displacement and the immediate operand in its bytes.
void take_fields(GuestInstruction& i) {
    auto& info = i.decoded.info;
    const auto operands = std::span(i.decoded.operands).first(info.operand_count);
    if (auto& disp = info.raw.disp; disp.size != 0) {
        disp.value = signed_field(i.decoded.bytes.data() + disp.offset, disp.size);
        for (ZydisDecodedOperand& o : operands)
            if (o.type == ZYDIS_OPERAND_TYPE_MEMORY && o.encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM)
                o.mem.disp.value = disp.value;
        if (i.has_access || i.kind == Kind::kLea) i.access.displacement = static_cast<std::int32_t>(disp.value);
    }
    if (auto& imm = info.raw.imm[0]; imm.size != 0) {
        const std::uint8_t* at = i.decoded.bytes.data() + imm.offset;
        if (imm.is_signed)
            imm.value.s = signed_field(at, imm.size);
        else
            imm.value.u = unsigned_field(at, imm.size);
        for (ZydisDecodedOperand& o : operands)
            if (o.type == ZYDIS_OPERAND_TYPE_IMMEDIATE && o.encoding != ZYDIS_OPERAND_ENCODING_NONE)
                o.imm.value.u = imm.value.u;
    }
}

} // namespace

std::size_t InstructionMemo::slot(std::uint64_t start, std::size_t count, bool supervisor) {
    constexpr std::uint64_t kMultiplier = 0x9E37'79B9'7F4A'7C15; // 2^64 / golden ratio
    const std::uint64_t key = first_bytes(start, count) | std::uint64_t{count} << 32 | std::uint64_t{supervisor} << 40;
    return (key * kMultiplier >> 32) % kEntries;
}

std::size_t InstructionMemo::find(std::span<const std::uint8_t> bytes, bool supervisor) const {
    const std::uint64_t start = start_of(bytes);
    for (std::size_t count = std::min(bytes.size(), kMostHashed); count > 0; --count) {
        const std::size_t at = slot(start, count, supervisor);
        const Tag& tag = tags_[at];
        const std::size_t head = tag.head_bytes;
        if (std::min(head, kMostHashed) != count || tag.supervisor != supervisor) continue;
        if (tag.start != first_bytes(start, std::min(head, sizeof(start)))) continue;
        const Instruction& known = entries_[at].decoded;
        if (known.info.length > bytes.size()) continue;
        if (head > sizeof(start) && std::memcmp(known.bytes.data(), bytes.data(), head) != 0) continue;
        return at;
    }
    return kEntries;
}

bool InstructionMemo::recall(std::span<const std::uint8_t> bytes, bool supervisor, GuestInstruction& i) const {
    const std::size_t at = find(bytes, supervisor);
    if (at == kEntries) return false;
    const GuestInstruction& known = entries_[at];
    const std::size_t length = known.decoded.info.length;
    const bool differs = tags_[at].head_bytes != length;
    if (differs && is_out_of_reach(known, bytes)) return false;
    copy_used(known, i);
    if (!differs) return true;
    std::copy_n(bytes.begin(), length, i.decoded.bytes.begin());
    take_fields(i);
    return true;
}

void InstructionMemo::remember(const GuestInstruction& i, bool supervisor) {
    const std::size_t head = head_bytes(i);
    const std::uint64_t start = first_bytes(start_of(i.decoded.bytes), std::min(head, sizeof(start)));
    const std::size_t at = slot(start, std::min(head, kMostHashed), supervisor);
    tags_[at] = {.start = start, .head_bytes = static_cast<std::uint8_t>(head), .supervisor = supervisor};
    copy_used(i, entries_[at]);
}

} // namespace touka::cpu::translator
