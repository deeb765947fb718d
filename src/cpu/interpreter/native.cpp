#include "cpu/interpreter/native.hpp"

#include <array>
#include <cstring>

#include "cpu/interpreter/host_encoding.hpp"
#include "cpu/interpreter/host_function.hpp"
#include "cpu/interpreter/simd_exceptions.hpp"
#include "cpu/interpreter/x87_state.hpp"
#include "spec/x86/floating_point_state.hpp"

namespace touka::cpu::interpreter {
namespace {

namespace mxcsr = spec::x86::mxcsr;

/// Some hundred thousand different instructions; a whole Debian system has a few thousand.
constexpr std::size_t kCodeBytes = std::size_t{32} << 20;

bool is_environment(ZydisMnemonic mnemonic) {
    return mnemonic == ZYDIS_MNEMONIC_FNSTENV || mnemonic == ZYDIS_MNEMONIC_FNSAVE ||
           mnemonic == ZYDIS_MNEMONIC_FLDENV || mnemonic == ZYDIS_MNEMONIC_FRSTOR;
}

/// The instructions that run with an exception pending. (SDM vol. 1 rev. 084 §8.3.12)
bool is_non_waiting(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_FNINIT:
        case ZYDIS_MNEMONIC_FNCLEX:
        case ZYDIS_MNEMONIC_FNSTSW:
        case ZYDIS_MNEMONIC_FNSTCW:
        case ZYDIS_MNEMONIC_FNSTENV:
        case ZYDIS_MNEMONIC_FNSAVE:
        case ZYDIS_MNEMONIC_FENI8087_NOP:
        case ZYDIS_MNEMONIC_FDISI8087_NOP:
        case ZYDIS_MNEMONIC_FSETPM287_NOP: return true;
        default: return false;
    }
}

HostInstruction::Kind kind_of(const Instruction& i, const HostEncoding& e) {
    using Kind = HostInstruction::Kind;
    if (is_environment(i.info.mnemonic)) return Kind::kX87Environment;
    if (e.touches_x87) return e.under_mxcsr ? Kind::kX87Simd : Kind::kX87;
    // With exceptions suppressed, MXCSR's masks mean nothing.
    const auto& avx = i.info.avx;
    const bool suppressed = avx.has_sae != ZYAN_FALSE || avx.rounding.mode != ZYDIS_ROUNDING_MODE_INVALID;
    return e.under_mxcsr && !suppressed ? Kind::kSimdFloat : Kind::kPlain;
}

/// Clears FIP, FCS, FOP, FDP and FDS in what FNSTENV or FNSAVE stored. (SDM vol. 1 §8.1.10, figures 8-9 to 8-12)
void clear_pointers(std::span<std::byte> image) {
    const bool wide = image.size() == 28 || image.size() == 108;
    const auto pointers = wide ? image.subspan(12, 14) : image.subspan(6, 8);
    std::memset(pointers.data(), 0, pointers.size());
}

} // namespace

std::optional<Exception> HostInstruction::run_floating_point(RegisterFile& regs, void* memory) const {
    const bool all_masked = (regs.mxcsr & mxcsr::kMasks) == mxcsr::kMasks;
    if (kind == Kind::kSimdFloat) {
        if (!all_masked) [[unlikely]]
            return run_with_unmasked_exceptions(*this, regs, memory);
        code(&regs, memory);
        return std::nullopt;
    }
    if (regs.x87_place == X87Place::kImage) load_x87(regs);
    if (regs.x87_place == X87Place::kHostUnmasked && waits && host_x87_exception_pending()) return Exception::kX87;
    if (kind == Kind::kX87Simd && !all_masked) return run_with_unmasked_exceptions(*this, regs, memory);
    if (kind == Kind::kX87Environment) {
        std::array<std::byte, kMaxMemoryBytes> image;
        if (reads_memory) std::memcpy(image.data(), memory, memory_bytes);
        code(&regs, image.data());
        if (writes_memory) {
            clear_pointers(std::span(image).first(memory_bytes));
            std::memcpy(memory, image.data(), memory_bytes);
        }
    } else {
        code(&regs, memory);
    }
    if (changes_masks) regs.x87_place = place_of_host_x87();
    return std::nullopt;
}

HostCode::HostCode() : memory_(kCodeBytes) {}

const HostInstruction* HostCode::prepare(const Instruction& instruction) {
    const auto encoding = encode_for_host(instruction);
    if (!encoding) return nullptr;
    std::string key = encoding->key();
    if (const auto known = by_encoding_.find(key); known != by_encoding_.end()) return known->second.get();

    const void* code = memory_.add(assemble_host_function(*encoding));
    if (code == nullptr) return nullptr;
    auto host = std::make_unique<HostInstruction>();
    host->code = reinterpret_cast<HostInstruction::Code>(reinterpret_cast<std::uintptr_t>(code));
    host->kind = kind_of(instruction, *encoding);
    host->needs = encoding->needs;
    host->memory_operand = encoding->memory_operand;
    host->memory_bytes = encoding->memory_bytes;
    host->reads_memory = encoding->reads_memory;
    host->writes_memory = encoding->writes_memory;
    host->alignment_bytes = encoding->alignment_bytes;
    if (host->has_memory()) host->masked = masked_operand(instruction, host->memory_operand);
    host->waits = encoding->touches_x87 && !is_non_waiting(instruction.info.mnemonic);
    const auto mnemonic = instruction.info.mnemonic;
    host->changes_masks = host->kind == HostInstruction::Kind::kX87Environment || mnemonic == ZYDIS_MNEMONIC_FLDCW ||
                          mnemonic == ZYDIS_MNEMONIC_FNINIT;
    return by_encoding_.emplace(std::move(key), std::move(host)).first->second.get();
}

void HostCode::clear() {
    by_encoding_.clear();
    memory_.clear();
}

} // namespace touka::cpu::interpreter
