// What translated code cannot do, whatever the guest's code is (docs/translator-safety.md).
#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <string>

#include "cpu/translator/engine_guest.hpp"
#include "cpu/translator/golden_file.hpp"
#include "cpu/translator/lookaside_table.hpp"
#include "cpu/translator/register_map.hpp"

namespace touka::cpu::translator {
namespace {

/// What is wrong with one host instruction; empty: nothing.
class HostRules {
public:
    explicit HostRules(const TranslatedBlock& block) : block_(block), names_(block.offsets, block.thunks) {}

    [[nodiscard]] std::string complaint(const HostInstruction& i) const {
        if (is_privileged_or_leaves(i.info)) return "may not be there";
        if (const auto target = i.target(); target && !is_inside(*target) && !names_.thunk(block_.host.code + *target))
            return "leads out";
        for (std::size_t n = 0; n < i.info.operand_count; ++n) {
            const ZydisDecodedOperand& o = i.operands[n];
            if (o.type == ZYDIS_OPERAND_TYPE_MEMORY && o.mem.type == ZYDIS_MEMOP_TYPE_MEM && !is_call(i.info))
                if (std::string text = memory_complaint(o); !text.empty()) return text;
            if (o.type == ZYDIS_OPERAND_TYPE_REGISTER && (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0)
                if (std::string text = register_complaint(o, i.info); !text.empty()) return text;
        }
        return {};
    }

private:
    [[nodiscard]] static bool is_call(const ZydisDecodedInstruction& i) { return i.mnemonic == ZYDIS_MNEMONIC_CALL; }
    [[nodiscard]] static bool is_privileged_or_leaves(const ZydisDecodedInstruction& i) {
        switch (i.meta.category) {
            case ZYDIS_CATEGORY_SYSCALL:
            case ZYDIS_CATEGORY_SYSRET:
            case ZYDIS_CATEGORY_INTERRUPT:
            case ZYDIS_CATEGORY_IO:
            case ZYDIS_CATEGORY_IOSTRINGOP:
            case ZYDIS_CATEGORY_RDWRFSGS:
            case ZYDIS_CATEGORY_SEGOP:
            case ZYDIS_CATEGORY_RET:
            case ZYDIS_CATEGORY_PUSH:
            case ZYDIS_CATEGORY_POP:
            case ZYDIS_CATEGORY_XSAVE:
            case ZYDIS_CATEGORY_SYSTEM:
                // Behind a look at CR4.TSD; the guest's own instruction is the host's.
                return i.mnemonic != ZYDIS_MNEMONIC_RDTSC && i.mnemonic != ZYDIS_MNEMONIC_RDTSCP;
            default: break;
        }
        if (i.meta.isa_set == ZYDIS_ISA_SET_RTM || i.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) return true;
        return (i.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) != 0;
    }
    [[nodiscard]] bool is_inside(std::int64_t target) const {
        const std::int64_t stub = target - block_.outline.stubs;
        return (target >= 0 && target < block_.host.code_bytes) || (stub >= 0 && stub < block_.outline.stub_bytes);
    }

    /// The frame by its members' names, the table at a slot, or a pointer that came out of it.
    [[nodiscard]] std::string memory_complaint(const ZydisDecodedOperand& o) const {
        const auto& m = o.mem;
        const std::int64_t displacement = m.disp.has_displacement ? m.disp.value : 0;
        if (m.segment == ZYDIS_REGISTER_FS || m.segment == ZYDIS_REGISTER_GS) return "has a segment base of the host's";
        const bool by_slot = m.index == ZYDIS_REGISTER_RCX && m.scale == 8;
        switch (m.base) {
            case ZYDIS_REGISTER_RSP:
                if (m.index != ZYDIS_REGISTER_NONE && !by_slot) return "reaches the frame by another register";
                return names_.frame_member(displacement).empty() ? "reaches an unnamed part of the frame" : "";
            case ZYDIS_REGISTER_R14:
                return by_slot && !HostNames::table_member(displacement).empty() ? "" : "reaches beside the table";
            case ZYDIS_REGISTER_RAX:
            case ZYDIS_REGISTER_RCX:
            case ZYDIS_REGISTER_R8:
            case ZYDIS_REGISTER_R15:
                if (m.index != ZYDIS_REGISTER_NONE) return "adds a register to a checked pointer";
                return std::abs(displacement) < GuestBlock::kMaxGroupBytes ? "" : "leaves what was checked";
            // The host's own string instruction, whose operands were checked with their count.
            case ZYDIS_REGISTER_RSI:
            case ZYDIS_REGISTER_RDI: return is_string_operand(o) ? "" : "is not through a checked pointer";
            default: return "is not through a checked pointer";
        }
    }
    [[nodiscard]] static bool is_string_operand(const ZydisDecodedOperand& o) {
        return o.visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT || o.encoding == ZYDIS_OPERAND_ENCODING_NONE;
    }
    /// RSP and R14 are nobody's to change but for STAC and CLAC, which take R14 from the frame.
    [[nodiscard]] std::string register_complaint(const ZydisDecodedOperand& o, const ZydisDecodedInstruction& i) const {
        const std::uint8_t number = general_number(o);
        if (number == kHostRsp && !is_call(i)) return "changes RSP";
        if (number == kHostTable && i.mnemonic != ZYDIS_MNEMONIC_MOV) return "changes R14";
        return {};
    }

    const TranslatedBlock& block_;
    HostNames names_;
};

void expect_safe(const TranslatedBlock& block) {
    const HostRules rules(block);
    const Listing listing(block, Listing::Detail::kWhole);
    for (const HostInstruction& i : listing.instructions()) {
        const std::string complaint = rules.complaint(i);
        ASSERT_EQ(complaint, "") << ZydisMnemonicGetString(i.info.mnemonic) << " at " << i.at << " of\n"
                                 << listing.text();
    }
}

TEST(HostCode, OfTheGoldenFilesTouchesOnlyWhatItMay) {
    BlockMaker maker;
    for (const auto& path : GoldenFile::paths()) {
        const GoldenFile file(path);
        for (const GoldenCase& golden : file.cases())
            for (const BlockMode mode : {BlockMode::kSupervisor, BlockMode::kUser})
                maker.translate(golden.code, mode, expect_safe);
    }
}

TEST(HostCode, OfRandomBytesTouchesOnlyWhatItMay) {
    constexpr unsigned kPages = 400;
    BlockMaker maker;
    std::mt19937_64 random(20261125);
    std::array<std::uint8_t, 256> code;
    // Bytes that lead to the larger opcode maps are rare among random ones.
    constexpr std::array<std::uint8_t, 9> kEscapes{0x0F, 0x66, 0xF2, 0xF3, 0xC4, 0xC5, 0x48, 0xF0, 0x62};
    for (unsigned n = 0; n < kPages && !testing::Test::HasFatalFailure(); ++n) {
        for (std::uint8_t& byte : code)
            byte = random() % 4 == 0 ? kEscapes[random() % kEscapes.size()] : static_cast<std::uint8_t>(random());
        maker.translate(code, n % 2 == 0 ? BlockMode::kSupervisor : BlockMode::kUser, expect_safe);
    }
}

class TranslatedMemory : public Translator {};

TEST_P(TranslatedMemory, IsNowhereWritableAndExecutable) {
    assemble([](Xbyak::CodeGenerator& c) { c.inc(Xbyak::util::eax); });
    run();
    std::ifstream maps("/proc/self/maps");
    unsigned executable = 0;
    for (std::string line; std::getline(maps, line);) {
        const std::string permissions = line.substr(line.find(' ') + 1, 4);
        EXPECT_FALSE(permissions[1] == 'w' && permissions[2] == 'x') << line;
        executable += permissions[2] == 'x' ? 1 : 0;
    }
    EXPECT_GT(executable, 0u);
}

INSTANTIATE_TEST_SUITE_P(Checking, TranslatedMemory, testing::ValuesIn(kCheckings), checking_name);

} // namespace
} // namespace touka::cpu::translator
