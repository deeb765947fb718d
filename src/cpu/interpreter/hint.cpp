// Instructions that only hint or order: NOP, PREFETCH, PAUSE, fences, cache-line flushes, ENDBR; and RDRAND, RDSEED.
// (AMD64 APM vol. 3 rev. 3.36)
//
// Cache lines are not flushed: RAM is coherent with all that the guest can reach. Addresses of flushes are checked.

#include <immintrin.h>

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/op_draft.hpp"

namespace touka::cpu::interpreter {
namespace {

Link* nothing(Processor& p, const Op* op) { return next(p, op); }

Link* pause(Processor& p, const Op* op) {
    _mm_pause();
    return next(p, op);
}

Link* fence(Processor& p, const Op* op) {
    _mm_mfence();
    return next(p, op);
}

/// CLFLUSH and CLWB fault as a read of one byte.
Link* flush_line(Processor& p, const Op* op) {
    return open_operand_to_read(p, linear_address(p, op, 1, false), 1, op->access) != nullptr ? next(p, op)
                                                                                              : stop(p, op);
}

bool build_flush_line(Draft& draft) {
    set_memory(draft, 0);
    draft.op.handler = &flush_line;
    return true;
}

// The host's generators. Its RDSEED may run dry; the guest sees that as on hardware (CF clear).
template <bool Seed>
[[gnu::target("rdrnd,rdseed")]] bool draw(std::uint64_t& value) {
    unsigned long long drawn = 0;
    const int ok = Seed ? _rdseed64_step(&drawn) : _rdrand64_step(&drawn);
    value = drawn;
    return ok != 0;
}

template <class T, bool Seed>
Link* random_number(Processor& p, const Op* op) {
    std::uint64_t value = 0;
    const bool ok = draw<Seed>(value);
    set<T>(p, op->reg, ok ? static_cast<T>(value) : T{0});
    p.regs.status = StatusFlags::from_rflags(ok ? spec::x86::rflags::CF : 0);
    return next(p, op);
}

template <bool Seed>
bool build_random(Draft& draft) {
    const bool host_has_it = Seed ? __builtin_cpu_supports("rdseed") != 0 : __builtin_cpu_supports("rdrnd") != 0;
    if (!host_has_it) return false;
    (void)set_operands(draft);
    draft.op.handler = by_width(draft.operand(0).size, [&]<class T>() -> Handler { return &random_number<T, Seed>; });
    return true;
}

} // namespace

void add_hint(BuilderTable& table) {
    for (const ZydisMnemonic mnemonic :
         {ZYDIS_MNEMONIC_NOP, ZYDIS_MNEMONIC_ENDBR64, ZYDIS_MNEMONIC_ENDBR32, ZYDIS_MNEMONIC_PREFETCH,
          ZYDIS_MNEMONIC_PREFETCHW, ZYDIS_MNEMONIC_PREFETCHWT1, ZYDIS_MNEMONIC_PREFETCHNTA, ZYDIS_MNEMONIC_PREFETCHT0,
          ZYDIS_MNEMONIC_PREFETCHT1, ZYDIS_MNEMONIC_PREFETCHT2, ZYDIS_MNEMONIC_CLDEMOTE, ZYDIS_MNEMONIC_RDSSPD,
          ZYDIS_MNEMONIC_RDSSPQ}) {
        table[mnemonic] = &build_plain<&nothing>;
    }
    table[ZYDIS_MNEMONIC_PAUSE] = &build_plain<&pause>;
    table[ZYDIS_MNEMONIC_MFENCE] = &build_plain<&fence>;
    table[ZYDIS_MNEMONIC_SFENCE] = &build_plain<&fence>;
    table[ZYDIS_MNEMONIC_LFENCE] = &build_plain<&fence>;
    table[ZYDIS_MNEMONIC_CLFLUSH] = &build_flush_line;
    table[ZYDIS_MNEMONIC_CLFLUSHOPT] = &build_flush_line;
    table[ZYDIS_MNEMONIC_CLWB] = &build_flush_line;
    table[ZYDIS_MNEMONIC_RDRAND] = &build_random<false>;
    table[ZYDIS_MNEMONIC_RDSEED] = &build_random<true>;
}

} // namespace touka::cpu::interpreter
