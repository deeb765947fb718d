#include "cpu/interpreter/vector_control.hpp"

#include <cstring>

#include "cpu/interpreter/availability.hpp"
#include "cpu/interpreter/avx512_state.hpp"
#include "spec/x86/floating_point_state.hpp"

namespace touka::cpu::interpreter {
namespace {

RegisterSet needed(const Instruction& i) {
    return i.info.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX ? RegisterSet::kAvx : RegisterSet::kSse;
}

Outcome clear_vectors(Processor& p, std::size_t first_byte) {
    if (!check_available(p, RegisterSet::kAvx)) return Outcome::kFault;
    const std::size_t count = p.code_size == CodeSize::k64 ? 16 : 8;
    for (std::size_t n = 0; n < count; ++n) {
        auto& vector = p.regs.vector[n];
        std::memset(vector.data() + first_byte, 0, vector.size() - first_byte);
        p.regs.zmm_hi256[n].fill(0);
    }
    if (p.regs.hi256_in_use) note_hi256(p.regs);
    return Outcome::kNext;
}

} // namespace

Outcome execute_ldmxcsr(Processor& p, const Instruction& i) {
    std::uint64_t value = 0;
    if (!check_available(p, needed(i)) || !read_operand(p, i, 0, value)) return Outcome::kFault;
    if ((value & ~std::uint64_t{spec::x86::mxcsr::kValid}) != 0) {
        p.raise(Exception::kGeneralProtection);
        return Outcome::kFault;
    }
    p.regs.mxcsr = static_cast<std::uint32_t>(value);
    return Outcome::kNext;
}

Outcome execute_stmxcsr(Processor& p, const Instruction& i) {
    if (!check_available(p, needed(i)) || !write_operand(p, i, 0, p.regs.mxcsr)) return Outcome::kFault;
    return Outcome::kNext;
}

Outcome execute_vzeroupper(Processor& p, const Instruction&) { return clear_vectors(p, 16); }
Outcome execute_vzeroall(Processor& p, const Instruction&) { return clear_vectors(p, 0); }

} // namespace touka::cpu::interpreter
