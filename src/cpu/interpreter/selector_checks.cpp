// LAR, LSL, VERR, VERW and ARPL: what a selector would allow, without loading it.
#include "cpu/interpreter/mode.hpp"
#include "cpu/interpreter/outcome.hpp"
#include "cpu/interpreter/segment_instructions.hpp"
#include "cpu/interpreter/segmentation.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;

namespace {

void set_zf(Processor& p, bool value) {
    p.regs.status.packed = static_cast<std::uint16_t>(value ? p.regs.status.packed | StatusFlags::kZF
                                                            : p.regs.status.packed & ~StatusFlags::kZF);
}

/// Types of system descriptors that LAR and LSL answer for. (APM vol. 3, LAR and LSL tables)
[[nodiscard]] bool has_rights(const Processor& p, SystemType type, bool limit) {
    switch (type) {
        case SystemType::kLdt:
        case SystemType::kTssAvailable:
        case SystemType::kTssBusy: return true;
        case SystemType::kTss16Available:
        case SystemType::kTss16Busy: return !p.long_mode;
        case SystemType::kCallGate: return !limit;
        case SystemType::kCallGate16:
        case SystemType::kTaskGate: return !limit && !p.long_mode;
        default: return false;
    }
}

/// Is the descriptor visible to the running privilege and the selector's RPL?
[[nodiscard]] bool is_visible(const Processor& p, const DescriptorReference& reference) {
    const std::uint16_t attributes = descriptor::attributes(reference.descriptor);
    constexpr std::uint16_t kConformingCode = attribute::S | attribute::kCode | attribute::kConforming;
    if ((attributes & kConformingCode) == kConformingCode) return true;
    const std::uint8_t dpl = reference.descriptor.get(descriptor::DPL);
    return p.cpl <= dpl && reference.selector.get(selector::RPL) <= dpl;
}

/// The descriptor of operand `index`, if it is one and visible. @return false with a page fault.
[[nodiscard]] bool find_visible(Processor& p, const Instruction& i, std::size_t index,
                                std::optional<DescriptorReference>& out) {
    std::uint64_t value = 0;
    if (!read_operand(p, i, index, value)) return false;
    const auto selector = static_cast<std::uint16_t>(value);
    if (is_null(selector)) return true;
    if (!probe_descriptor(p, selector, out)) return false;
    if (out && !is_visible(p, *out)) out.reset();
    return true;
}

} // namespace

Outcome execute_load_rights(Processor& p, const Instruction& i) {
    if (!p.protected_mode) return fault(p, Exception::kInvalidOpcode);
    const bool limit = i.info.mnemonic == ZYDIS_MNEMONIC_LSL;
    std::optional<DescriptorReference> found;
    if (!find_visible(p, i, 1, found)) return Outcome::kFault;
    const bool answers =
        found && (found->descriptor.get(descriptor::S) ||
                  has_rights(p, static_cast<SystemType>(found->descriptor.get(descriptor::TYPE)), limit));
    set_zf(p, answers);
    if (!answers) return Outcome::kNext;
    constexpr std::uint64_t kRights = 0x00FF'FF00;
    const std::uint64_t value = limit ? descriptor::limit(found->descriptor) : (found->descriptor.raw >> 32) & kRights;
    return done(write_operand(p, i, 0, value));
}

Outcome execute_verify(Processor& p, const Instruction& i) {
    if (!p.protected_mode) return fault(p, Exception::kInvalidOpcode);
    std::optional<DescriptorReference> found;
    if (!find_visible(p, i, 0, found)) return Outcome::kFault;
    bool verified = false;
    if (found && found->descriptor.get(descriptor::S)) {
        const std::uint16_t attributes = descriptor::attributes(found->descriptor);
        const bool code = (attributes & attribute::kCode) != 0;
        verified = i.info.mnemonic == ZYDIS_MNEMONIC_VERR ? !code || (attributes & attribute::kReadable) != 0
                                                          : !code && (attributes & attribute::kWritable) != 0;
    }
    set_zf(p, verified);
    return Outcome::kNext;
}

Outcome execute_arpl(Processor& p, const Instruction& i) {
    if (!p.protected_mode) return fault(p, Exception::kInvalidOpcode);
    std::uint64_t destination = 0, source = 0;
    if (!read_operand(p, i, 0, destination) || !read_operand(p, i, 1, source)) return Outcome::kFault;
    const bool raises = (destination & 3) < (source & 3);
    if (raises && !write_operand(p, i, 0, (destination & ~std::uint64_t{3}) | (source & 3))) return Outcome::kFault;
    set_zf(p, raises);
    return Outcome::kNext;
}

} // namespace touka::cpu::interpreter
