#include "instructions/case_maker.hpp"

#include <algorithm>
#include <cstring>

#include "instructions/encoding.hpp"
#include "instructions/values.hpp"

namespace touka::tests::instructions {
namespace {

constexpr std::size_t kRax = 0, kRcx = 1, kRdx = 2, kRsp = 4, kRbp = 5;
constexpr std::uint64_t kDirectionFlag = 0x400;

bool accesses_memory(const ZydisDecodedOperand& o) {
    return o.type == ZYDIS_OPERAND_TYPE_MEMORY && o.mem.type != ZYDIS_MEMOP_TYPE_AGEN;
}

class CaseMaker {
public:
    CaseMaker(const Form& form, const Memory& memory, Random& random) : form_(form), random_(random) {
        case_.compat = form.encoding.compat;
        case_.memory = memory;
    }

    std::optional<Case> make(std::size_t special, Placement placement) {
        case_.bytes = random_bytes(form_, random_, d_);
        if (case_.bytes.empty()) return std::nullopt;
        case_.before = random_registers(random_);
        if (case_.compat) narrow_registers();
        case_.before.gpr[kRsp] = kStackPage + 0x800;
        choose_values();
        std::size_t count = 0;
        for (std::size_t n = 0; n < d_.info.operand_count; ++n) {
            if (!accesses_memory(d_.operands[n])) continue;
            const Placement here = count++ == special ? placement : Placement::kAnywhere;
            if (!place(d_.operands[n], here)) return std::nullopt;
        }
        if (case_.compat) narrow_registers();
        choose_branch_target();
        choose_tolerances();
        return std::move(case_);
    }

private:
    [[nodiscard]] ZydisMnemonic mnemonic() const { return d_.info.mnemonic; }
    [[nodiscard]] bool has(ZydisInstructionAttributes attribute) const { return (d_.info.attributes & attribute) != 0; }

    void narrow_registers() {
        for (std::size_t n = 0; n < 16; ++n) {
            case_.before.gpr[n] = n < 8 ? case_.before.gpr[n] & 0xFFFF'FFFF : 0;
        }
        for (std::size_t n = 8; n < case_.before.zmm.size(); ++n) case_.before.zmm[n].fill(0);
    }

    static std::size_t gpr_index(ZydisRegister reg) {
        return static_cast<std::size_t>(
            ZydisRegisterGetId(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg)));
    }
    [[nodiscard]] std::uint64_t register_value(ZydisRegister reg) const {
        const std::uint64_t whole = case_.before.gpr[gpr_index(reg)];
        const auto width = ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, reg);
        return width >= 64 ? whole : whole & ((std::uint64_t{1} << width) - 1);
    }

    void choose_values() {
        auto& gpr = case_.before.gpr;
        if (has(ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) gpr[kRcx] = random_.below(20);
        if (d_.info.meta.category == ZYDIS_CATEGORY_STRINGOP && random_.one_in(2)) {
            case_.before.rflags |= kDirectionFlag;
        }
        switch (mnemonic()) {
            case ZYDIS_MNEMONIC_DIV:
            case ZYDIS_MNEMONIC_IDIV:
                if (random_.one_in(2)) {
                    gpr[kRdx] = random_.below(2) - 1 + random_.below(2);
                    gpr[kRax] = random_.next() >> random_.below(64);
                }
                break;
            case ZYDIS_MNEMONIC_LOOP:
            case ZYDIS_MNEMONIC_LOOPE:
            case ZYDIS_MNEMONIC_LOOPNE:
            case ZYDIS_MNEMONIC_JRCXZ:
            case ZYDIS_MNEMONIC_JECXZ:
            case ZYDIS_MNEMONIC_JCXZ:
                gpr[kRcx] = random_.below(3) | (random_.one_in(2) ? random_.next() << 32 : 0);
                break;
            case ZYDIS_MNEMONIC_BT:
            case ZYDIS_MNEMONIC_BTS:
            case ZYDIS_MNEMONIC_BTR:
            case ZYDIS_MNEMONIC_BTC: // the bit offset reaches beyond the operand: not too far
                if (d_.operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER) {
                    gpr[gpr_index(d_.operands[1].reg.value)] = random_.below(4096) - 1024;
                }
                break;
            case ZYDIS_MNEMONIC_ENTER: case_.bytes[d_.info.raw.imm[0].offset + 1u] = 0; [[fallthrough]];
            case ZYDIS_MNEMONIC_LEAVE: gpr[kRbp] = kStackPage + 0x600 + random_.below(0x200); break;
            case ZYDIS_MNEMONIC_CMPXCHG:
                if (random_.one_in(2) && d_.operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER) {
                    gpr[gpr_index(d_.operands[0].reg.value)] = gpr[kRax];
                }
                break;
            default: break;
        }
    }

    [[nodiscard]] std::uint64_t code_address() {
        switch (random_.below(8)) {
            case 0: return kEdgePage + kPageBytes + 0x123;                           // not mapped
            case 1: return kDataPages + random_.below(0x1000);                       // not executable
            case 2: return case_.compat ? kCodePage + 0x100 : 0x0000'A000'0000'0000; // not canonical
            default: return kCodePage + (random_.one_in(2) ? random_.below(0x700) : 0x900 + random_.below(0x600));
        }
    }

    [[nodiscard]] std::uint64_t target_address(std::uint64_t size, Placement placement) {
        const std::uint64_t split = size > 1 ? 1 + random_.below(size - 1) : 0;
        switch (placement) {
            case Placement::kAligned: return kDataPages + 0x400 + random_.below(16) * 64;
            case Placement::kAnywhere: {
                const std::uint64_t address = kDataPages + 0x400 + random_.below(0x600);
                return random_.one_in(2) && size != 0 ? address & ~(std::min<std::uint64_t>(size, 16) - 1) : address;
            }
            case Placement::kAcrossPages: return kDataPages + kPageBytes - split;
            case Placement::kUnmapped: return kEdgePage + kPageBytes + 0x100 + random_.below(0x100);
            case Placement::kReadOnly: return kReadOnlyPage + 0x400 + random_.below(16) * 64;
            case Placement::kIntoNothing: return kEdgePage + kPageBytes - split;
            case Placement::kIntoReadOnly: return kReadOnlyPage - split;
            case Placement::kOutOfTheAddressSpace: return 0x0000'9000'0000'0000 + random_.below(0x1000);
        }
        return kDataPages;
    }

    /// Makes the operand's address what `placement` says, by its base register or displacement.
    bool place(const ZydisDecodedOperand& o, Placement placement) {
        const std::uint64_t size = o.size / 8;
        std::uint64_t target = target_address(size, placement);
        if (placement == Placement::kOutOfTheAddressSpace && (case_.compat || d_.info.address_width != 64))
            return false;
        const bool splits = placement == Placement::kIntoNothing || placement == Placement::kIntoReadOnly;
        if (splits && size <= 1) return false;
        if (o.mem.type == ZYDIS_MEMOP_TYPE_VSIB) {
            choose_indices(o);
        }
        if (!point_at(o, target)) return false;
        case_.note += std::string(" ") + name_of(placement);
        fill_operand(o, target);
        return true;
    }

    bool point_at(const ZydisDecodedOperand& o, std::uint64_t target) {
        std::uint64_t rest = o.mem.disp.has_displacement ? static_cast<std::uint64_t>(o.mem.disp.value) : 0;
        if (o.mem.index != ZYDIS_REGISTER_NONE && o.mem.type != ZYDIS_MEMOP_TYPE_VSIB) {
            rest += register_value(o.mem.index) * std::max<std::uint64_t>(o.mem.scale, 1);
        }
        if (o.mem.base == ZYDIS_REGISTER_NONE || o.mem.base == ZYDIS_REGISTER_RIP || o.mem.base == ZYDIS_REGISTER_EIP) {
            return patch_displacement(o, target);
        }
        // Pushes go below RSP.
        const bool stack = o.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN && gpr_index(o.mem.base) == kRsp;
        if (stack && (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) rest = -std::uint64_t{o.size / 8u};
        if (mnemonic() == ZYDIS_MNEMONIC_ENTER || mnemonic() == ZYDIS_MNEMONIC_LEAVE) return true;
        const std::uint64_t value = target - rest;
        auto& base = case_.before.gpr[gpr_index(o.mem.base)];
        base = d_.info.address_width == 32 && !stack ? (base & ~std::uint64_t{0xFFFF'FFFF}) | (value & 0xFFFF'FFFF)
                                                     : value;
        return true;
    }

    bool patch_displacement(const ZydisDecodedOperand& o, std::uint64_t target) {
        const auto& raw = d_.info.raw.disp;
        if (raw.size == 0) return false;
        if (o.mem.base == ZYDIS_REGISTER_RIP || o.mem.base == ZYDIS_REGISTER_EIP) target -= kEntry + d_.info.length;
        const std::int64_t value = static_cast<std::int64_t>(target);
        if (raw.size == 32 && !case_.compat && value != static_cast<std::int32_t>(value)) return false;
        std::memcpy(case_.bytes.data() + raw.offset, &value, raw.size / 8u);
        return true;
    }

    /// Gathers and scatters: indices near the base, and a mask that chooses something.
    void choose_indices(const ZydisDecodedOperand& o) {
        const auto number = [](ZydisRegister reg) { return static_cast<std::size_t>(ZydisRegisterGetId(reg)); };
        const bool wide = has_wide_indices();
        auto& indices = case_.before.zmm[number(o.mem.index)];
        const std::size_t length = d_.info.avx.vector_length / 8u;
        for (std::size_t n = 0; n < length; n += wide ? 8 : 4) {
            const std::int64_t index = static_cast<std::int64_t>(random_.below(40)) - 20;
            std::memcpy(indices.data() + n, &index, wide ? 8 : 4);
        }
        if (!random_.one_in(2)) return;
        if (form_.encoding.evex)
            case_.before.k[number(d_.operands[1].reg.value)] = ~std::uint64_t{0};
        else
            std::fill_n(case_.before.zmm[number(d_.operands[2].reg.value)].begin(), 32, std::uint8_t{0xFF});
    }
    [[nodiscard]] bool has_wide_indices() const {
        switch (mnemonic()) {
            case ZYDIS_MNEMONIC_VPGATHERQD:
            case ZYDIS_MNEMONIC_VPGATHERQQ:
            case ZYDIS_MNEMONIC_VGATHERQPS:
            case ZYDIS_MNEMONIC_VGATHERQPD:
            case ZYDIS_MNEMONIC_VPSCATTERQD:
            case ZYDIS_MNEMONIC_VPSCATTERQQ:
            case ZYDIS_MNEMONIC_VSCATTERQPS:
            case ZYDIS_MNEMONIC_VSCATTERQPD: return true;
            default: return false;
        }
    }

    template <class T>
    void poke(std::uint64_t linear, T value) {
        for (std::size_t n = 0; n < sizeof(T); ++n) {
            if (auto* byte = case_.memory.at(linear + n)) std::memcpy(byte, reinterpret_cast<char*>(&value) + n, 1);
        }
    }

    /// What the operand holds, where random bytes would make the instruction fail or the executor stumble.
    void fill_operand(const ZydisDecodedOperand& o, std::uint64_t target) {
        const auto category = d_.info.meta.category;
        const bool pops_rip = category == ZYDIS_CATEGORY_RET;
        const bool jumps = category == ZYDIS_CATEGORY_UNCOND_BR || category == ZYDIS_CATEGORY_CALL;
        if (pops_rip || (jumps && o.visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT)) {
            const std::uint64_t rip = code_address();
            if (case_.compat) {
                poke(target, static_cast<std::uint32_t>(rip));
            } else {
                poke(target, rip);
            }
        }
        switch (mnemonic()) {
            case ZYDIS_MNEMONIC_POPF:
            case ZYDIS_MNEMONIC_POPFD:
            case ZYDIS_MNEMONIC_POPFQ: // not TF, NT, AC and ID, which would stay with the process
                poke(target, random_.next() & ~std::uint64_t{0x24'4100});
                break;
            case ZYDIS_MNEMONIC_LDMXCSR:
            case ZYDIS_MNEMONIC_VLDMXCSR:
                if (!random_.one_in(4)) poke(target, static_cast<std::uint32_t>(random_.next()) & 0xFFFFu);
                // Misaligned SSE mode, which some hosts have and the guest has not.
                if (auto* byte = case_.memory.at(target + 2)) *byte &= 0xFD;
                break;
            case ZYDIS_MNEMONIC_FXRSTOR:
            case ZYDIS_MNEMONIC_FXRSTOR64:
                poke(target + 24, static_cast<std::uint32_t>(random_.next()) & 0xFFFFu);
                break;
            case ZYDIS_MNEMONIC_FXSAVE:
            case ZYDIS_MNEMONIC_FXSAVE64:
                case_.ignored.emplace_back(target + 6, 18); // FOP, FIP, FDP
                case_.ignored.emplace_back(target + 28, 4); // MXCSR_MASK
                break;
            case ZYDIS_MNEMONIC_FNSTENV:
            case ZYDIS_MNEMONIC_FNSAVE:
                case_.ignored.emplace_back(target + (o.size == 28 * 8 || o.size == 108 * 8 ? 12 : 6),
                                           o.size == 28 * 8 || o.size == 108 * 8 ? 14 : 8);
                break;
            case ZYDIS_MNEMONIC_CMPXCHG:
                if (random_.one_in(2)) poke(target, case_.before.gpr[kRax]);
                break;
            case ZYDIS_MNEMONIC_CMPXCHG8B:
                if (random_.one_in(2)) {
                    poke(target, static_cast<std::uint32_t>(case_.before.gpr[kRax]));
                    poke(target + 4, static_cast<std::uint32_t>(case_.before.gpr[kRdx]));
                }
                break;
            case ZYDIS_MNEMONIC_CMPXCHG16B:
                if (random_.one_in(2)) {
                    poke(target, case_.before.gpr[kRax]);
                    poke(target + 8, case_.before.gpr[kRdx]);
                }
                break;
            default: break;
        }
    }

    /// Branches end in the code page, outside of the instruction, so that no test loops.
    void choose_branch_target() {
        const auto& immediate = d_.info.raw.imm[0];
        if (immediate.is_relative) {
            const std::int64_t near = random_.one_in(2) ? 1 + static_cast<std::int64_t>(random_.below(90))
                                                        : -20 - static_cast<std::int64_t>(random_.below(90));
            const std::int64_t distance = immediate.size == 8 ? near : random_.one_in(6) ? 0x30'0000 : near * 16;
            std::memcpy(case_.bytes.data() + immediate.offset, &distance, immediate.size / 8u);
            return;
        }
        const auto category = d_.info.meta.category;
        if (category != ZYDIS_CATEGORY_UNCOND_BR && category != ZYDIS_CATEGORY_CALL) return;
        if (d_.operands[0].type != ZYDIS_OPERAND_TYPE_REGISTER) return;
        if (gpr_index(d_.operands[0].reg.value) == kRsp) return;
        case_.before.gpr[gpr_index(d_.operands[0].reg.value)] = code_address();
    }

    /// The documented differences: what the manuals leave open and a 64-bit host process cannot be asked.
    void choose_tolerances() {
        constexpr std::uint64_t kCF = 1, kPF = 4, kAF = 0x10, kZF = 0x40, kSF = 0x80, kOF = 0x800;
        switch (mnemonic()) {
            case ZYDIS_MNEMONIC_AAA:
            case ZYDIS_MNEMONIC_AAS: case_.ignored_flags = kPF | kZF | kSF | kOF; break;
            case ZYDIS_MNEMONIC_AAD:
            case ZYDIS_MNEMONIC_AAM: case_.ignored_flags = kCF | kAF | kOF; break;
            case ZYDIS_MNEMONIC_DAA:
            case ZYDIS_MNEMONIC_DAS: case_.ignored_flags = kOF; break;
            case ZYDIS_MNEMONIC_FNSTENV:
            case ZYDIS_MNEMONIC_FLDENV:
            case ZYDIS_MNEMONIC_FNSAVE:
            case ZYDIS_MNEMONIC_FRSTOR:
            case ZYDIS_MNEMONIC_FXSAVE:
            case ZYDIS_MNEMONIC_FXSAVE64:
            case ZYDIS_MNEMONIC_FXRSTOR:
            case ZYDIS_MNEMONIC_FXRSTOR64:
            case ZYDIS_MNEMONIC_MASKMOVQ:
            case ZYDIS_MNEMONIC_MASKMOVDQU:
            case ZYDIS_MNEMONIC_VMASKMOVDQU: case_.cr2_by_page = true; break;
            case ZYDIS_MNEMONIC_DPPS:
            case ZYDIS_MNEMONIC_DPPD:
            case ZYDIS_MNEMONIC_VDPPS:
            case ZYDIS_MNEMONIC_VDPPD: case_.ignores_mxcsr_flags = true; break;
            default: break;
        }
    }

    const Form& form_;
    Random& random_;
    Case case_;
    Decoded d_;
};

} // namespace

const char* name_of(Placement placement) {
    switch (placement) {
        case Placement::kAligned: return "aligned";
        case Placement::kAnywhere: return "anywhere";
        case Placement::kAcrossPages: return "across pages";
        case Placement::kUnmapped: return "unmapped";
        case Placement::kReadOnly: return "read-only";
        case Placement::kIntoNothing: return "into nothing";
        case Placement::kIntoReadOnly: return "into read-only";
        case Placement::kOutOfTheAddressSpace: return "not canonical";
    }
    return "?";
}

std::size_t memory_operand_count(const Form& form) {
    Decoded d;
    if (!decode(form.encoding.compat, plain_bytes(form.encoding), d)) return 0;
    return static_cast<std::size_t>(
        std::count_if(d.operands.begin(), d.operands.begin() + d.info.operand_count, accesses_memory));
}

std::optional<Case> make_case(const Form& form, const Memory& memory, std::size_t special, Placement placement,
                              Random& random) {
    return CaseMaker(form, memory, random).make(special, placement);
}

} // namespace touka::tests::instructions
