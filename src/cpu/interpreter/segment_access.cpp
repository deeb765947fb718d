#include "cpu/interpreter/segment_access.hpp"

#include "cpu/interpreter/op.hpp"

namespace touka::cpu::interpreter {
namespace {

// SegmentState::attributes. (AMD64 APM vol. 2 rev. 3.42 §4.7)
constexpr std::uint16_t kReadableOrWritable = 1u << 1, kExpandDown = 1u << 2, kCode = 1u << 3, kBig = 1u << 14;

bool permits(const SegmentState& s, bool write) {
    if (s.unusable) return false;
    if ((s.attributes & kCode) != 0) return !write && (s.attributes & kReadableOrWritable) != 0;
    return !write || (s.attributes & kReadableOrWritable) != 0;
}

bool within_limit(const SegmentState& s, std::uint64_t offset, std::uint64_t length_bytes) {
    const std::uint64_t last = offset + length_bytes - 1;
    if ((s.attributes & (kCode | kExpandDown)) != kExpandDown) return last <= s.limit;
    return offset > s.limit && last <= ((s.attributes & kBig) != 0 ? 0xFFFF'FFFFu : 0xFFFFu);
}

} // namespace

bool segment_address(Processor& p, SegmentName name, std::uint64_t offset, std::uint64_t length_bytes, bool write,
                     std::uint64_t& linear) {
    const SegmentState& s = p.segment(name);
    if (p.code_size == CodeSize::k64) {
        linear = name >= SegmentName::kFs ? s.base + offset : offset;
        return true;
    }
    const bool permitted = !p.protected_mode || permits(s, write);
    if (!permitted || !within_limit(s, offset, length_bytes)) {
        return p.raise(name == SegmentName::kSs ? Exception::kStack : Exception::kGeneralProtection);
    }
    linear = (s.base + offset) & 0xFFFF'FFFF;
    return true;
}

std::uint64_t segmented_address(Processor& p, const Op* op, std::uint64_t offset, unsigned length_bytes, bool write) {
    if (op->address == address_form::k16) offset &= 0xFFFF;
    if (op->address == address_form::k32) offset &= 0xFFFF'FFFF;
    std::uint64_t linear = 0;
    if (!segment_address(p, static_cast<SegmentName>(op->segment), offset, length_bytes, write, linear)) {
        return kNoAddress;
    }
    return linear;
}

} // namespace touka::cpu::interpreter
