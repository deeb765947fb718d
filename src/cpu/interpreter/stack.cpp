#include "cpu/interpreter/stack.hpp"

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/mode.hpp"
#include "cpu/interpreter/segmentation.hpp"
#include "spec/x86/task_state.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;

namespace {

[[nodiscard]] std::uint64_t pointer_mask(const SegmentState& ss, bool is_64bit) {
    if (is_64bit) return ~std::uint64_t{0};
    return (ss.attributes & attribute::DB) != 0 ? 0xFFFF'FFFF : 0xFFFF;
}

/// Are bytes [offset, offset + width_bytes) of the segment within its limit? (APM vol. 2 §4.12.2)
[[nodiscard]] bool within_limit(const SegmentState& ss, std::uint64_t offset, unsigned width_bytes) {
    const std::uint64_t last = offset + width_bytes - 1;
    const bool expand_down = (ss.attributes & (attribute::kCode | attribute::kExpandDown)) == attribute::kExpandDown;
    if (!expand_down) return last <= ss.limit;
    return offset > ss.limit && last <= ((ss.attributes & attribute::DB) != 0 ? 0xFFFF'FFFF : 0xFFFF);
}

[[nodiscard]] bool read_tss(Processor& p, std::uint32_t offset, unsigned width_bytes, std::uint64_t& value) {
    if (p.tr.unusable || offset + width_bytes - 1 > p.tr.limit)
        return p.raise(Exception::kInvalidTss, selector_error(p.tr.selector));
    const std::uint64_t linear = p.long_mode ? p.tr.base + offset : static_cast<std::uint32_t>(p.tr.base + offset);
    if (width_bytes == 8) return read_linear(p, linear, value, Privilege::kSupervisor);
    if (width_bytes == 4) {
        std::uint32_t word = 0;
        if (!read_linear(p, linear, word, Privilege::kSupervisor)) return false;
        value = word;
        return true;
    }
    std::uint16_t half = 0;
    if (!read_linear(p, linear, half, Privilege::kSupervisor)) return false;
    value = half;
    return true;
}

} // namespace

StackCursor::StackCursor(Processor& p)
    : p_(p), ss_(p.segment(SegmentName::kSs)), pointer_(p.gpr(Gpr::kRsp)), mask_(stack_pointer_mask(p)),
      is_64bit_(in_64bit_code(p)) {}

StackCursor::StackCursor(Processor& p, const SegmentState& ss, std::uint64_t pointer, std::uint8_t cpl, bool is_64bit)
    : p_(p), ss_(ss), pointer_(pointer), mask_(pointer_mask(ss, is_64bit)), error_code_(selector_error(ss.selector)),
      is_64bit_(is_64bit), as_supervisor_(cpl < 3 && p.cpl == 3) {}

bool StackCursor::locate(std::uint64_t offset, unsigned width_bytes, std::uint64_t& linear) const {
    if (is_64bit_) {
        linear = offset;
        if (is_canonical(offset) && is_canonical(offset + width_bytes - 1)) return true;
        return p_.raise(Exception::kStack, error_code_);
    }
    if (ss_.unusable || !within_limit(ss_, offset, width_bytes)) return p_.raise(Exception::kStack, error_code_);
    linear = static_cast<std::uint32_t>(ss_.base + offset);
    return true;
}

bool StackCursor::push(std::uint64_t value, unsigned width_bytes) {
    const std::uint64_t offset = (pointer_ - width_bytes) & mask_;
    std::uint64_t linear = 0;
    if (!locate(offset, width_bytes, linear)) return false;
    const Privilege privilege = as_supervisor_ ? Privilege::kSupervisor : Privilege::kCurrent;
    const bool done = width_bytes == 8   ? write_linear(p_, linear, value, privilege)
                      : width_bytes == 4 ? write_linear(p_, linear, static_cast<std::uint32_t>(value), privilege)
                                         : write_linear(p_, linear, static_cast<std::uint16_t>(value), privilege);
    if (done) pointer_ = offset;
    return done;
}

bool StackCursor::pop(std::uint64_t& value, unsigned width_bytes) {
    const std::uint64_t offset = pointer_ & mask_;
    std::uint64_t linear = 0;
    if (!locate(offset, width_bytes, linear)) return false;
    if (width_bytes == 8) {
        if (!read_linear(p_, linear, value)) return false;
    } else if (width_bytes == 4) {
        std::uint32_t word = 0;
        if (!read_linear(p_, linear, word)) return false;
        value = word;
    } else {
        std::uint16_t half = 0;
        if (!read_linear(p_, linear, half)) return false;
        value = half;
    }
    pointer_ = offset + width_bytes;
    return true;
}

void StackCursor::commit() const { set_stack_pointer(p_, pointer_, mask_); }

bool read_inner_stack(Processor& p, std::uint8_t cpl, std::uint8_t interrupt_stack, InnerStack& out) {
    if (p.long_mode) {
        const std::uint32_t offset =
            interrupt_stack != 0 ? tss::kIst1Offset + (interrupt_stack - 1u) * 8 : tss::kRsp0Offset + cpl * 8u;
        out.ss = make_null_segment(cpl, cpl);
        return read_tss(p, offset, 8, out.pointer);
    }
    const auto type = static_cast<SystemType>(p.tr.attributes & attribute::kType);
    const bool is_16bit = type == SystemType::kTss16Available || type == SystemType::kTss16Busy;
    const unsigned width = is_16bit ? 2 : 4;
    const std::uint32_t offset =
        is_16bit ? tss::kStack16Offset + cpl * tss::kStack16Stride : tss::kStack32Offset + cpl * tss::kStack32Stride;
    std::uint64_t ss = 0;
    if (!read_tss(p, offset, width, out.pointer) || !read_tss(p, offset + width, 2, ss)) return false;
    return read_stack_segment(p, static_cast<std::uint16_t>(ss), cpl, Exception::kInvalidTss, out.ss);
}

} // namespace touka::cpu::interpreter
