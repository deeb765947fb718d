#include "instructions/program_maker.hpp"

#include <algorithm>
#include <array>

#include "cpu/interpreter/host_avx512.hpp"
#include "instructions/assembler.hpp"
#include "instructions/encoding.hpp"
#include "instructions/program_forms.hpp"
#include "instructions/suite.hpp"
#include "instructions/values.hpp"

namespace touka::tests::instructions {
namespace {

constexpr std::array kBases = {ZYDIS_REGISTER_RBX, ZYDIS_REGISTER_RBP, ZYDIS_REGISTER_R12, ZYDIS_REGISTER_R14};
constexpr ZydisRegister kCounter = ZYDIS_REGISTER_R15; ///< of loops
/// RSP and those above.
constexpr std::array<std::uint8_t, 6> kReserved = {3, 4, 5, 12, 14, 15};
constexpr std::size_t kRspNumber = 4;

std::uint8_t number_of(ZydisRegister value) {
    const auto whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, value);
    return ZydisRegisterGetClass(whole) == ZYDIS_REGCLASS_GPR64 ? static_cast<std::uint8_t>(ZydisRegisterGetId(whole))
                                                                : std::uint8_t{0xFF};
}

bool is_reserved(ZydisRegister value) { return std::ranges::count(kReserved, number_of(value)) != 0; }

bool keeps_reserved(const Decoded& d) {
    for (std::size_t n = 0; n < d.info.operand_count; ++n) {
        const auto& o = d.operands[n];
        if (o.type == ZYDIS_OPERAND_TYPE_REGISTER && (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0 &&
            is_reserved(o.reg.value))
            return false;
    }
    return true;
}

class ProgramMaker {
public:
    ProgramMaker(const std::vector<Form>& forms, Random& random) : forms_(forms), random_(random) {}

    Case make() {
        case_.memory = random_memory(random_);
        choose_registers();
        const auto end = code_.make_label();
        const std::size_t count = 10 + random_.below(51);
        for (std::size_t n = 0; n < count && code_.size_bytes() < kMostBytes; ++n) add_something();
        while (depth_ > 0) pop();
        code_.jump(end);
        for (const auto label : subroutines_) add_subroutine(label);
        code_.put(end);
        case_.bytes = code_.finish();
        case_.before.rip = choose_place(case_.bytes.size());
        case_.note = "program";
        return std::move(case_);
    }

private:
    static constexpr std::size_t kMostBytes = 1200;
    static constexpr std::uint64_t kLoopTurns = 5;

    void choose_registers() {
        constexpr std::uint32_t kMasks = 0x1F80;
        case_.before = random_registers(random_);
        case_.before.fcw |= 0x3F;
        case_.before.fsw &= 0x7F00;
        if (!random_.one_in(16)) case_.before.mxcsr |= kMasks;
        case_.before.gpr[kRspNumber] = kStackPage + 0x800 + random_.below(16) * 8;
        for (const ZydisRegister base : kBases) case_.before.gpr[number_of(base)] = choose_address();
    }

    [[nodiscard]] std::uint64_t choose_address() {
        switch (random_.below(8)) {
            case 0: return kDataPages + kPageBytes - random_.below(96);       // two writable pages
            case 1: return kReadOnlyPage - 0x80 - random_.below(96);          // not far from a fault
            case 2: return kEdgePage + kPageBytes - 0xC0 - random_.below(96); // likewise
            case 3: return kStackPage + 0x200 + random_.below(0x100);
            default: return kDataPages + 0x200 + random_.below(0x200) * 8;
        }
    }

    /// Every second program crosses into the second code page.
    [[nodiscard]] std::uint64_t choose_place(std::size_t length_bytes) {
        if (random_.one_in(2)) return kEntry;
        return kCodePage + kPageBytes - random_.below(std::min<std::size_t>(length_bytes, 0x700));
    }

    [[nodiscard]] ZydisRegister base() { return kBases[random_.below(kBases.size())]; }
    /// A register of `width` bits that is not reserved.
    [[nodiscard]] ZydisRegister scratch(unsigned width) {
        static constexpr std::array<unsigned, 10> kNumbers = {0, 1, 2, 6, 7, 8, 9, 10, 11, 13};
        const unsigned n = kNumbers[random_.below(kNumbers.size())];
        const auto from = [](ZydisRegister first, unsigned at) { return static_cast<ZydisRegister>(first + at); };
        switch (width) {
            case 8:
                if (random_.one_in(4)) return from(ZYDIS_REGISTER_AH, static_cast<unsigned>(random_.below(3)));
                return from(ZYDIS_REGISTER_AL, n < 4 ? n : n + 4);
            case 16: return from(ZYDIS_REGISTER_AX, n);
            case 32: return from(ZYDIS_REGISTER_EAX, n);
            default: return from(ZYDIS_REGISTER_RAX, n);
        }
    }
    [[nodiscard]] unsigned width() {
        static constexpr std::array<unsigned, 6> kWidths = {8, 16, 32, 32, 64, 64};
        return kWidths[random_.below(kWidths.size())];
    }
    /// Near a base register, now and then with an index.
    [[nodiscard]] ZydisEncoderOperand near_base(unsigned width_bits) {
        const auto displacement = static_cast<std::int64_t>(random_.below(160)) - 64;
        const unsigned bytes = width_bits / 8;
        if (random_.one_in(8)) return memory(ZYDIS_REGISTER_RIP, 0x1'FC00, bytes); // into the data pages
        if (!random_.one_in(4)) return memory(base(), displacement, bytes);
        const ZydisRegister index = scratch(64);
        code_.add(ZYDIS_MNEMONIC_MOV, {reg(index), immediate(random_.byte() & 0x1F)});
        return memory(base(), displacement, bytes, index, 1u << random_.below(4));
    }

    void add_something() {
        switch (random_.below(32)) {
            case 0: return push();
            case 1: return pop();
            case 2:
            case 3: return jump_over();
            case 4: return loop();
            case 5: return call();
            case 6: return string();
            case 7: return move_base();
            case 8: return risky();
            case 9: return jump_indirect();
            default: return add_data();
        }
    }
    void add_data() {
        if (random_.one_in(2))
            any_form();
        else
            on_memory();
    }

    /// Its memory operand, if it has one, is given registers of its own.
    void any_form() {
        for (unsigned tries = 0; tries < 8; ++tries) {
            Decoded d;
            const Form& form = forms_[random_.below(forms_.size())];
            // There are more of them than of all others.
            if (form.encoding.evex && !random_.one_in(3)) continue;
            const auto bytes = random_bytes(form, random_, d);
            if (bytes.empty() || !is_for_programs(d) || !keeps_reserved(d)) continue;
            const bool divides = d.info.mnemonic == ZYDIS_MNEMONIC_DIV || d.info.mnemonic == ZYDIS_MNEMONIC_IDIV;
            if (divides && !random_.one_in(4)) continue;
            if (!aim(d)) continue;
            code_.add(bytes);
            return;
        }
    }
    [[nodiscard]] bool aim(const Decoded& d) {
        for (std::size_t n = 0; n < d.info.operand_count; ++n) {
            const auto& o = d.operands[n];
            if (o.type != ZYDIS_OPERAND_TYPE_MEMORY || o.mem.type == ZYDIS_MEMOP_TYPE_AGEN) continue;
            const auto whole = [](ZydisRegister r) {
                return ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, r);
            };
            if (number_of(o.mem.base) == 0xFF || o.mem.base == ZYDIS_REGISTER_RIP || is_reserved(o.mem.base))
                return false;
            if (o.mem.index != ZYDIS_REGISTER_NONE && is_reserved(o.mem.index)) return false;
            const std::uint64_t index = random_.below(32);
            std::uint64_t target = kDataPages + 0x400 + random_.below(0x1000);
            if (!random_.one_in(4)) target &= ~std::uint64_t{63};
            if (o.mem.disp.has_displacement) target -= static_cast<std::uint64_t>(o.mem.disp.value);
            if (o.mem.index == o.mem.base) return false;
            if (o.mem.index != ZYDIS_REGISTER_NONE) {
                target -= index * o.mem.scale;
                code_.add(ZYDIS_MNEMONIC_MOV, {reg(whole(o.mem.index)), immediate(static_cast<std::int64_t>(index))});
            }
            code_.add(ZYDIS_MNEMONIC_MOV, {reg(whole(o.mem.base)), immediate(static_cast<std::int64_t>(target))});
        }
        return true;
    }

    void on_memory() {
        static constexpr std::array kTwo = {
            ZYDIS_MNEMONIC_MOV,  ZYDIS_MNEMONIC_MOV,  ZYDIS_MNEMONIC_ADD,  ZYDIS_MNEMONIC_ADC,    ZYDIS_MNEMONIC_SUB,
            ZYDIS_MNEMONIC_SBB,  ZYDIS_MNEMONIC_AND,  ZYDIS_MNEMONIC_OR,   ZYDIS_MNEMONIC_XOR,    ZYDIS_MNEMONIC_CMP,
            ZYDIS_MNEMONIC_TEST, ZYDIS_MNEMONIC_XCHG, ZYDIS_MNEMONIC_XADD, ZYDIS_MNEMONIC_CMPXCHG};
        static constexpr std::array kOne = {ZYDIS_MNEMONIC_INC, ZYDIS_MNEMONIC_DEC, ZYDIS_MNEMONIC_NEG,
                                            ZYDIS_MNEMONIC_NOT, ZYDIS_MNEMONIC_MUL, ZYDIS_MNEMONIC_IMUL};
        static constexpr std::array kExtend = {ZYDIS_MNEMONIC_MOVZX, ZYDIS_MNEMONIC_MOVSX};
        static constexpr std::array kVector = {ZYDIS_MNEMONIC_MOVUPS, ZYDIS_MNEMONIC_MOVDQU, ZYDIS_MNEMONIC_VMOVUPS,
                                               ZYDIS_MNEMONIC_VMOVDQU, ZYDIS_MNEMONIC_LDDQU};
        static constexpr std::array kCondition = {ZYDIS_MNEMONIC_SETB, ZYDIS_MNEMONIC_SETL,   ZYDIS_MNEMONIC_SETNP,
                                                  ZYDIS_MNEMONIC_SETO, ZYDIS_MNEMONIC_SETNBE, ZYDIS_MNEMONIC_SETS};
        static constexpr std::array kMove = {ZYDIS_MNEMONIC_CMOVB, ZYDIS_MNEMONIC_CMOVNLE, ZYDIS_MNEMONIC_CMOVP,
                                             ZYDIS_MNEMONIC_CMOVZ, ZYDIS_MNEMONIC_CMOVNO,  ZYDIS_MNEMONIC_CMOVNS};
        const unsigned w = width();
        const auto pick = [this](const auto& from) { return from[random_.below(from.size())]; };
        const auto vector = [this] { return static_cast<ZydisRegister>(ZYDIS_REGISTER_XMM0 + random_.below(16)); };
        const auto where = [this](unsigned bits) { return near_base(bits); };
        bool added = false;
        switch (random_.below(has_avx512_ ? 10 : 9)) {
            case 0:
            case 1: added = code_.add(pick(kTwo), {where(w), reg(scratch(w))}); break;
            case 2: added = code_.add(pick(kTwo), {reg(scratch(w)), where(w)}); break;
            case 3:
                added = code_.add(pick(kTwo), {where(w), immediate(static_cast<std::int8_t>(random_.byte()))});
                break;
            case 4: added = code_.add(pick(kOne), {where(w)}); break;
            case 5: added = code_.add(pick(kExtend), {reg(scratch(64)), where(random_.one_in(2) ? 8 : 16)}); break;
            case 6: {
                const ZydisRegister v = vector();
                added = random_.one_in(2) ? code_.add(pick(kVector), {reg(v), where(128)})
                                          : code_.add(pick(kVector), {where(128), reg(v)});
                break;
            }
            case 7: added = code_.add(pick(kCondition), {where(8)}); break;
            case 9: added = move_under_mask(); break;
            default: added = code_.add(pick(kMove), {reg(scratch(64)), where(64)}); break;
        }
        // No such instruction: a plain one in its place.
        if (!added) code_.add(ZYDIS_MNEMONIC_MOV, {reg(scratch(64)), near_base(64)});
    }

    /// Perhaps across the end of memory, with elements chosen that are there.
    bool move_under_mask() {
        static constexpr std::array kMoves = {ZYDIS_MNEMONIC_VMOVDQU8,    ZYDIS_MNEMONIC_VMOVDQU16,
                                              ZYDIS_MNEMONIC_VMOVDQU32,   ZYDIS_MNEMONIC_VMOVDQU64,
                                              ZYDIS_MNEMONIC_VPCOMPRESSD, ZYDIS_MNEMONIC_VPEXPANDB};
        static constexpr std::array kFirst = {ZYDIS_REGISTER_XMM0, ZYDIS_REGISTER_YMM0, ZYDIS_REGISTER_ZMM0};
        const ZydisMnemonic mnemonic = kMoves[random_.below(kMoves.size())];
        const std::uint64_t size = random_.below(kFirst.size());
        const auto vector = reg(static_cast<ZydisRegister>(kFirst[size] + random_.below(32)));
        const auto mask = reg(static_cast<ZydisRegister>(ZYDIS_REGISTER_K0 + random_.below(8)));
        const auto place = near_base(128u << size);
        const bool loads =
            mnemonic != ZYDIS_MNEMONIC_VPCOMPRESSD && (mnemonic == ZYDIS_MNEMONIC_VPEXPANDB || random_.one_in(2));
        return loads ? code_.add(mnemonic, {vector, mask, place}) : code_.add(mnemonic, {place, mask, vector});
    }

    void push() {
        ++depth_;
        switch (random_.below(4)) {
            case 0: code_.add(ZYDIS_MNEMONIC_PUSHFQ, {}); return;
            case 1: code_.add(ZYDIS_MNEMONIC_PUSH, {memory(base(), 8, 8)}); return;
            case 2: code_.add(ZYDIS_MNEMONIC_PUSH, {immediate(random_.byte())}); return;
            default: code_.add(ZYDIS_MNEMONIC_PUSH, {reg(scratch(64))}); return;
        }
    }
    void pop() {
        if (depth_ == 0) return;
        --depth_;
        code_.add(ZYDIS_MNEMONIC_POP, {reg(scratch(64))});
    }

    /// Some instructions, as they are also in loops and subroutines.
    void add_some(std::uint64_t most) {
        for (std::uint64_t n = 1 + random_.below(most); n > 0; --n) add_data();
    }
    void jump_over() {
        const auto label = code_.make_label();
        code_.jump_if(static_cast<unsigned>(random_.below(16)), label);
        add_some(4);
        code_.put(label);
    }
    void loop() {
        const auto label = code_.make_label();
        code_.add(ZYDIS_MNEMONIC_MOV,
                  {reg(kCounter), immediate(1 + static_cast<std::int64_t>(random_.below(kLoopTurns)))});
        code_.put(label);
        add_some(5);
        code_.add(ZYDIS_MNEMONIC_DEC, {reg(kCounter)});
        code_.jump_if(5, label); // JNZ
    }
    void call() {
        subroutines_.push_back(code_.make_label());
        if (random_.one_in(3)) {
            code_.load_address(subroutines_.back());
            code_.add(ZYDIS_MNEMONIC_CALL, {reg(ZYDIS_REGISTER_RAX)});
        } else {
            code_.call(subroutines_.back());
        }
    }
    void add_subroutine(Assembler::Label label) {
        code_.put(label);
        const bool has_frame = random_.one_in(2);
        if (has_frame) {
            code_.add(ZYDIS_MNEMONIC_PUSH, {reg(ZYDIS_REGISTER_RBP)});
            code_.add(ZYDIS_MNEMONIC_LEA, {reg(ZYDIS_REGISTER_RBP), memory(ZYDIS_REGISTER_RSP, 0, 8)});
            code_.add(ZYDIS_MNEMONIC_MOV, {memory(ZYDIS_REGISTER_RSP, -24, 8), reg(scratch(64))});
            any_form();
            code_.add(ZYDIS_MNEMONIC_LEAVE, {});
        } else {
            add_some(4);
        }
        code_.add(ZYDIS_MNEMONIC_RET, {});
    }
    void jump_indirect() {
        const auto label = code_.make_label();
        code_.load_address(label);
        code_.add(ZYDIS_MNEMONIC_JMP, {reg(ZYDIS_REGISTER_RAX)});
        code_.add({0xCC});
        code_.put(label);
    }

    void string() {
        static constexpr std::array kMnemonics = {ZYDIS_MNEMONIC_MOVSB, ZYDIS_MNEMONIC_MOVSQ, ZYDIS_MNEMONIC_STOSB,
                                                  ZYDIS_MNEMONIC_STOSD, ZYDIS_MNEMONIC_LODSW, ZYDIS_MNEMONIC_SCASB,
                                                  ZYDIS_MNEMONIC_CMPSB, ZYDIS_MNEMONIC_CMPSQ};
        const ZydisMnemonic mnemonic = kMnemonics[random_.below(kMnemonics.size())];
        const auto displacement = [this] { return static_cast<std::int64_t>(random_.below(128)) - 32; };
        code_.add(ZYDIS_MNEMONIC_LEA, {reg(ZYDIS_REGISTER_RSI), memory(base(), displacement(), 8)});
        code_.add(ZYDIS_MNEMONIC_LEA, {reg(ZYDIS_REGISTER_RDI), memory(base(), displacement(), 8)});
        code_.add(ZYDIS_MNEMONIC_MOV,
                  {reg(ZYDIS_REGISTER_ECX), immediate(static_cast<std::int64_t>(random_.below(12)))});
        const bool descends = random_.one_in(4);
        if (descends) code_.add(ZYDIS_MNEMONIC_STD, {});
        const bool compares =
            mnemonic == ZYDIS_MNEMONIC_SCASB || mnemonic == ZYDIS_MNEMONIC_CMPSB || mnemonic == ZYDIS_MNEMONIC_CMPSQ;
        const auto repeat = compares ? ZYDIS_ATTRIB_HAS_REPE : ZYDIS_ATTRIB_HAS_REP;
        code_.add(mnemonic, {}, random_.one_in(3) ? 0 : repeat);
        if (descends) code_.add(ZYDIS_MNEMONIC_CLD, {});
    }

    /// By a little, in the ways that compilers do.
    void move_base() {
        const ZydisRegister b = base();
        const auto amount = static_cast<std::int64_t>(random_.below(48)) - 24;
        switch (random_.below(4)) {
            case 0: code_.add(ZYDIS_MNEMONIC_ADD, {reg(b), immediate(amount)}); return;
            case 1: code_.add(ZYDIS_MNEMONIC_SUB, {reg(b), immediate(amount)}); return;
            case 2: code_.add(ZYDIS_MNEMONIC_LEA, {reg(b), memory(b, amount, 8)}); return;
            default: code_.add(ZYDIS_MNEMONIC_MOV, {reg(b), reg(base())}); return;
        }
    }

    /// Perhaps the end.
    void risky() {
        const auto far = static_cast<std::int64_t>(random_.below(0x2000)) - 0x800;
        const unsigned w = width();
        if (random_.one_in(8)) {
            code_.add(ZYDIS_MNEMONIC_MOV, {reg(ZYDIS_REGISTER_R13), immediate(INT64_MIN | far)});
            code_.add(ZYDIS_MNEMONIC_ADC, {memory(ZYDIS_REGISTER_R13, 0, 8), reg(scratch(64))});
        } else if (random_.one_in(2)) {
            code_.add(ZYDIS_MNEMONIC_SBB, {memory(base(), far, w / 8), reg(scratch(w))});
        } else {
            code_.add(ZYDIS_MNEMONIC_MOV, {reg(scratch(w)), memory(base(), far, w / 8)});
        }
    }

    const std::vector<Form>& forms_;
    Random& random_;
    Case case_;
    Assembler code_;
    std::vector<Assembler::Label> subroutines_;
    unsigned depth_ = 0; ///< of pushes
    const bool has_avx512_ = cpu::interpreter::host_has_avx512();
};

} // namespace

Case make_program(const std::vector<Form>& forms, Random& random) { return ProgramMaker(forms, random).make(); }

} // namespace touka::tests::instructions
