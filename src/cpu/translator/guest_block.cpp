#include "cpu/translator/guest_block.hpp"

#include <algorithm>
#include <utility>

#include "cpu/translator/classification.hpp"
#include "spec/address.hpp"

namespace touka::cpu::translator {
namespace {

const ZydisDecoder& decoder() {
    static const ZydisDecoder made = [] {
        ZydisDecoder d{};
        ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        // CPUID shows no MPX: BNDMK and its like are NOPs.
        ZydisDecoderEnableMode(&d, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
        return d;
    }();
    return made;
}

[[nodiscard]] bool ends_block(Kind kind) {
    switch (kind) {
        case Kind::kJump:
        case Kind::kJumpIndirect:
        case Kind::kCall:
        case Kind::kCallIndirect:
        case Kind::kReturn:
        case Kind::kTransferred:
        case Kind::kInterpreted: return true;
        default: return false;
    }
}

/// Follows what address registers are worth: each is `delta` away from an unknown value numbered `version`.
class BaseTracker {
public:
    explicit BaseTracker(GuestBlock& block) : block_(block) {}

    void access(MemoryAccess& a) {
        a.group = MemoryAccess::kNoGroup;
        if (a.bit != MemoryAccess::kNone || a.has_base_segment || a.has_short_address) return;
        const std::size_t base = a.base == MemoryAccess::kRip ? kRip : a.base;
        if (base > kRip) return;
        Key key{.base = base, .version = version_[base]};
        std::int64_t low = std::int64_t{a.displacement} + delta_[base];
        if (a.index != MemoryAccess::kNone) {
            key.index = a.index;
            key.scale = a.scale;
            key.index_version = version_[a.index];
            low += delta_[a.index] * a.scale;
        }
        const std::int64_t high = low + a.size_bytes;
        if (low < -kFar || high > kFar) return;
        for (std::size_t n = block_.group_count; n-- > 0;) {
            AccessGroup& group = block_.groups[n];
            if (keys_[n] != key) continue;
            const auto new_low = std::min<std::int64_t>(group.low, low);
            const auto new_high = std::max<std::int64_t>(group.high, high);
            if (new_high - new_low > GuestBlock::kMaxGroupBytes) continue;
            group.low = static_cast<std::int32_t>(new_low);
            group.high = static_cast<std::int32_t>(new_high);
            ++group.access_count;
            group.writes |= a.writes;
            join(a, n, low);
            return;
        }
        if (block_.group_count == GuestBlock::kMaxGroups) return;
        const std::size_t n = block_.group_count++;
        keys_[n] = key;
        block_.groups[n] = {static_cast<std::int32_t>(low), static_cast<std::int32_t>(high), 1, a.writes};
        join(a, n, low);
    }

    /// The instruction is done: registers have new values.
    void retire(const GuestInstruction& i) {
        if (i.kind == Kind::kPush || i.kind == Kind::kPushFlags || i.kind == Kind::kCall ||
            i.kind == Kind::kCallIndirect)
            return add(kRsp, -8);
        if (i.kind == Kind::kCalled) return forget_all();
        if (i.kind == Kind::kPop && i.operand(0).type == ZYDIS_OPERAND_TYPE_REGISTER) {
            add(kRsp, 8);
            return forget(general_number(i.operand(0)));
        }
        if (adds_constant(i)) return;
        for (std::size_t n = 0; n < i.decoded.info.operand_count; ++n) {
            const auto& o = i.operand(n);
            if (o.type == ZYDIS_OPERAND_TYPE_REGISTER && (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0)
                forget(general_number(o));
        }
    }

private:
    static constexpr std::size_t kRsp = 4, kRip = 16; ///< what a page's start is, which stays
    static constexpr std::int64_t kFar = 1 << 20;
    struct Key {
        std::size_t base = 0;
        std::uint32_t version = 0;
        std::uint8_t index = MemoryAccess::kNone, scale = 1;
        std::uint32_t index_version = 0;
        [[nodiscard]] bool operator==(const Key&) const = default;
    };

    static void join(MemoryAccess& a, std::size_t group, std::int64_t low) {
        a.group = static_cast<std::uint8_t>(group);
        a.group_offset = static_cast<std::int32_t>(low);
    }

    void forget(std::size_t reg) {
        if (reg >= 16) return;
        ++version_[reg];
        delta_[reg] = 0;
    }
    void forget_all() {
        for (std::size_t reg = 0; reg < kRip; ++reg) forget(reg);
    }
    void add(std::size_t reg, std::int64_t amount) {
        delta_[reg] += amount;
        if (delta_[reg] < -kFar || delta_[reg] > kFar) forget(reg);
    }

    /// ADD, SUB, INC, DEC of a 64-bit register by a constant, and LEA of a register from itself.
    bool adds_constant(const GuestInstruction& i) {
        if (i.decoded.info.operand_width != 64 || i.operand(0).type != ZYDIS_OPERAND_TYPE_REGISTER) return false;
        const std::size_t reg = general_number(i.operand(0));
        if (reg >= 16) return false;
        const bool immediate = i.operand(1).type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
        switch (i.decoded.info.mnemonic) {
            case ZYDIS_MNEMONIC_ADD:
                if (immediate) add(reg, i.operand(1).imm.value.s);
                return immediate;
            case ZYDIS_MNEMONIC_SUB:
                if (immediate) add(reg, -i.operand(1).imm.value.s);
                return immediate;
            case ZYDIS_MNEMONIC_INC: add(reg, 1); return true;
            case ZYDIS_MNEMONIC_DEC: add(reg, -1); return true;
            case ZYDIS_MNEMONIC_LEA: {
                const auto& m = i.operand(1).mem;
                if (m.index != ZYDIS_REGISTER_NONE || i.decoded.info.address_width != 64) return false;
                if (m.base != i.operand(0).reg.value) return false;
                add(reg, m.disp.has_displacement ? m.disp.value : 0);
                return true;
            }
            default: return false;
        }
    }

    GuestBlock& block_;
    std::array<std::uint32_t, 17> version_{};
    std::array<std::int64_t, 17> delta_{};
    std::array<Key, GuestBlock::kMaxGroups> keys_{};
};

/// @return false when the instruction goes on behind `bytes`.
[[nodiscard]] bool decode_one(std::span<const std::uint8_t> bytes, bool supervisor, GuestInstruction& i) {
    const std::size_t length = std::min<std::size_t>(bytes.size(), ZYDIS_MAX_INSTRUCTION_LENGTH);
    const ZyanStatus status =
        ZydisDecoderDecodeFull(&decoder(), bytes.data(), length, &i.decoded.info, i.decoded.operands.data());
    if (status == ZYDIS_STATUS_NO_MORE_DATA && length < ZYDIS_MAX_INSTRUCTION_LENGTH) return false;
    if (!ZYAN_SUCCESS(status)) {
        i.kind = Kind::kInterpreted;
        i.has_access = i.has_second_access = i.uses_vectors = i.uses_avx = i.uses_avx512 = i.uses_x87 = false;
        i.flags = {};
        i.decoded.info.length = 0;
        return true;
    }
    std::copy_n(bytes.begin(), i.decoded.info.length, i.decoded.bytes.begin());
    classify(i, supervisor);
    return true;
}

/// As decode_one(), or by heart.
[[nodiscard]] bool take_one(std::span<const std::uint8_t> bytes, std::uint16_t offset, bool supervisor,
                            InstructionMemo* memo, GuestInstruction& i) {
    if (memo != nullptr && memo->recall(bytes, supervisor, i)) {
        place(i, offset);
        return true;
    }
    i.offset = offset;
    if (!decode_one(bytes, supervisor, i)) return false;
    if (memo != nullptr && i.decoded.info.length != 0) memo->remember(i, supervisor);
    return true;
}

} // namespace

DecodeResult decode_guest_block(std::span<const std::uint8_t> bytes, std::uint16_t offset, bool supervisor,
                                bool grouped, GuestBlock& block, InstructionMemo* memo) {
    block.count = 0;
    block.group_count = 0;
    block.uses_vectors = block.uses_avx = block.uses_avx512 = false;
    block.meets_crossing = block.ends_polled = false;
    block.ends_open = true;
    block.crosses = bytes.size() > spec::kPageSize;
    grouped = grouped && !block.crosses;
    BaseTracker bases(block);
    bool after_sti = false;
    const std::size_t limit = block.crosses ? 1 : GuestBlock::kMaxInstructions;
    while (block.count < limit && offset < spec::kPageSize) {
        GuestInstruction& i = block.instructions[block.count];
        if (!take_one(bytes.subspan(offset), offset, supervisor, memo, i)) {
            block.meets_crossing = true;
            return block.count == 0 ? DecodeResult::kNeedsNextPage : DecodeResult::kDone;
        }
        ++block.count;
        block.uses_vectors |= i.uses_vectors;
        block.uses_avx |= i.uses_avx;
        block.uses_avx512 |= i.uses_avx512;
        i.access.group = i.second_access.group = MemoryAccess::kNoGroup;
        if (grouped && i.has_access) bases.access(i.access);
        if (grouped && i.has_second_access) bases.access(i.second_access);
        bases.retire(i);
        if (ends_block(i.kind)) {
            block.ends_open = false;
            break;
        }
        offset = i.next_offset();
        // Interrupts are looked at behind the instruction after STI.
        if (std::exchange(after_sti, i.decoded.info.mnemonic == ZYDIS_MNEMONIC_STI)) {
            block.ends_polled = true;
            break;
        }
    }
    return DecodeResult::kDone;
}

} // namespace touka::cpu::translator
