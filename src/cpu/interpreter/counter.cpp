// RDTSC and RDTSCP: the host's counter, moved. (AMD64 APM vol. 3 rev. 3.36)

#include <x86intrin.h>

#include "cpu/interpreter/op_draft.hpp"

namespace touka::cpu::interpreter {
namespace {

using namespace spec::x86;

template <bool WithAux>
Link* rdtsc(Processor& p, const Op* op) {
    if ((p.cr4 & cr4::TSD) != 0 && p.cpl != 0) {
        p.raise(Exception::kGeneralProtection);
        return stop(p, op);
    }
    unsigned aux = 0;
    const std::uint64_t now = (WithAux ? __rdtscp(&aux) : __rdtsc()) + p.msr.tsc_offset;
    p.gpr(Gpr::kRax) = now & 0xFFFF'FFFF;
    p.gpr(Gpr::kRdx) = now >> 32;
    if constexpr (WithAux) p.gpr(Gpr::kRcx) = p.msr.tsc_aux & 0xFFFF'FFFF;
    return next(p, op);
}

} // namespace

void add_counter(BuilderTable& table) {
    table[ZYDIS_MNEMONIC_RDTSC] = &build_plain<&rdtsc<false>>;
    table[ZYDIS_MNEMONIC_RDTSCP] = &build_plain<&rdtsc<true>>;
}

} // namespace touka::cpu::interpreter
