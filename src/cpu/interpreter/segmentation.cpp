#include "cpu/interpreter/segmentation.hpp"

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/mode.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;

namespace {

struct Table {
    std::uint64_t base;
    std::uint32_t limit;
    bool present;
};

[[nodiscard]] Table table_of(const Processor& p, std::uint16_t selector) {
    if (Selector{selector}.get(selector::TI)) return {p.ldtr.base, p.ldtr.limit, !p.ldtr.unusable};
    return {p.gdtr.base, p.gdtr.limit, true};
}

[[nodiscard]] std::uint64_t table_linear(const Processor& p, std::uint64_t linear) {
    return p.long_mode ? linear : static_cast<std::uint32_t>(linear);
}

[[nodiscard]] constexpr bool is_writable_data(std::uint16_t attributes) {
    return (attributes & (attribute::S | attribute::kCode | attribute::kWritable)) ==
           (attribute::S | attribute::kWritable);
}

[[nodiscard]] constexpr std::uint8_t dpl(std::uint16_t attributes) {
    return static_cast<std::uint8_t>((attributes & attribute::DPL) >> attribute::kDplShift);
}

/// May ES, DS, FS or GS hold such a segment at this privilege? (APM vol. 2 §4.10.1)
[[nodiscard]] bool is_loadable_data(std::uint16_t attributes, std::uint8_t cpl, std::uint8_t rpl) {
    if ((attributes & attribute::S) == 0) return false;
    const bool code = (attributes & attribute::kCode) != 0;
    if (code && (attributes & attribute::kReadable) == 0) return false;
    if (code && (attributes & attribute::kConforming) != 0) return true;
    return cpl <= dpl(attributes) && rpl <= dpl(attributes);
}

[[nodiscard]] bool load_null_segment(Processor& p, SegmentName name, std::uint16_t selector) {
    if (name == SegmentName::kSs && !(in_64bit_code(p) && p.cpl < 3 && (selector & 3) == p.cpl))
        return p.raise(Exception::kGeneralProtection);
    p.segment(name) = make_null_segment(selector, name == SegmentName::kSs ? p.cpl : std::uint8_t{0});
    return true;
}

} // namespace

bool probe_descriptor(Processor& p, std::uint16_t selector, std::optional<DescriptorReference>& out) {
    out.reset();
    const Table table = table_of(p, selector);
    const std::uint32_t offset = selector & ~7u;
    if (!table.present || offset + 7 > table.limit) return true;
    DescriptorReference reference{
        .selector = Selector{selector}, .descriptor = {}, .linear = table_linear(p, table.base + offset)};
    if (!read_linear(p, reference.linear, reference.descriptor.raw, Privilege::kSupervisor)) return false;
    out = reference;
    return true;
}

bool read_descriptor(Processor& p, std::uint16_t selector, Exception outside, DescriptorReference& out) {
    std::optional<DescriptorReference> found;
    if (!probe_descriptor(p, selector, found)) return false;
    if (!found) return p.raise(outside, selector_error(selector));
    out = *found;
    return true;
}

bool read_upper_descriptor(Processor& p, const DescriptorReference& reference, std::uint64_t& upper) {
    const Table table = table_of(p, reference.selector.raw);
    if ((reference.selector.raw & ~7u) + 15 > table.limit)
        return p.raise(Exception::kGeneralProtection, selector_error(reference.selector.raw));
    return read_linear(p, reference.linear + 8, upper, Privilege::kSupervisor);
}

SegmentState make_segment(std::uint16_t selector, Descriptor d) {
    return {.selector = selector,
            .attributes = descriptor::attributes(d),
            .unusable = false,
            .limit = descriptor::limit(d),
            .base = descriptor::base(d)};
}

SegmentState make_null_segment(std::uint16_t selector, std::uint8_t privilege) {
    return {.selector = selector,
            .attributes = static_cast<std::uint16_t>(privilege << attribute::kDplShift),
            .unusable = true,
            .limit = 0,
            .base = 0};
}

SegmentState make_real_segment(const SegmentState& old, std::uint16_t selector) {
    SegmentState segment = old;
    segment.selector = selector;
    segment.base = std::uint64_t{selector} << 4;
    segment.unusable = false;
    return segment;
}

SegmentState make_flat_segment(std::uint16_t selector, std::uint16_t attributes) {
    return {.selector = selector,
            .attributes = static_cast<std::uint16_t>(attributes | attribute::G | attribute::P | attribute::S |
                                                     attribute::kAccessed),
            .unusable = false,
            .limit = 0xFFFF'FFFF,
            .base = 0};
}

bool mark_accessed(Processor& p, DescriptorReference& reference) {
    constexpr std::uint64_t kAccessedBit = std::uint64_t{attribute::kAccessed} << 40;
    if ((reference.descriptor.raw & kAccessedBit) != 0) return true;
    reference.descriptor.raw |= kAccessedBit;
    const auto type_byte = static_cast<std::uint8_t>(reference.descriptor.raw >> 40);
    return write_linear(p, reference.linear + descriptor::kTypeByteOffset, type_byte, Privilege::kSupervisor);
}

bool read_stack_segment(Processor& p, std::uint16_t selector, std::uint8_t cpl, Exception invalid, SegmentState& out) {
    if (is_null(selector)) return p.raise(invalid);
    DescriptorReference reference;
    if (!read_descriptor(p, selector, invalid, reference)) return false;
    const std::uint16_t attributes = descriptor::attributes(reference.descriptor);
    if ((selector & 3) != cpl || !is_writable_data(attributes) || dpl(attributes) != cpl)
        return p.raise(invalid, selector_error(selector));
    if ((attributes & attribute::P) == 0) return p.raise(Exception::kStack, selector_error(selector));
    if (!mark_accessed(p, reference)) return false;
    out = make_segment(selector, reference.descriptor);
    return true;
}

bool load_segment(Processor& p, SegmentName name, std::uint16_t selector) {
    SegmentState& segment = p.segment(name);
    if (!p.protected_mode) {
        segment = make_real_segment(segment, selector);
        return true;
    }
    if (is_null(selector)) return load_null_segment(p, name, selector);
    if (name == SegmentName::kSs) return read_stack_segment(p, selector, p.cpl, Exception::kGeneralProtection, segment);
    DescriptorReference reference;
    if (!read_descriptor(p, selector, Exception::kGeneralProtection, reference)) return false;
    const std::uint16_t attributes = descriptor::attributes(reference.descriptor);
    if (!is_loadable_data(attributes, p.cpl, selector & 3))
        return p.raise(Exception::kGeneralProtection, selector_error(selector));
    if ((attributes & attribute::P) == 0) return p.raise(Exception::kSegmentNotPresent, selector_error(selector));
    if (!mark_accessed(p, reference)) return false;
    segment = make_segment(selector, reference.descriptor);
    return true;
}

void drop_inner_segments(Processor& p) {
    for (const SegmentName name : {SegmentName::kEs, SegmentName::kDs, SegmentName::kFs, SegmentName::kGs}) {
        SegmentState& segment = p.segment(name);
        const bool conforming = (segment.attributes & (attribute::kCode | attribute::kConforming)) ==
                                (attribute::kCode | attribute::kConforming);
        if (!segment.unusable && !conforming && dpl(segment.attributes) < p.cpl) segment = make_null_segment(0, 0);
    }
}

bool check_target(Processor& p, const CodeTarget& target) {
    const bool is_64bit = p.long_mode && (target.cs.attributes & attribute::L) != 0;
    if (is_64bit ? is_canonical(target.rip) : target.rip <= target.cs.limit) return true;
    return p.raise(Exception::kGeneralProtection);
}

void enter(Processor& p, const CodeTarget& target) {
    p.segment(SegmentName::kCs) = target.cs;
    p.rip = target.rip;
    update_mode(p);
}

} // namespace touka::cpu::interpreter
