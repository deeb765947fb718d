// The common case of a memory operand, without any call: a plain address whose page is in the TLB. Handlers come in two
// paths; the quick one needs no stack frame and tail-calls the full one,
// which is kept out of it by noinline, for everything else.
#pragma once

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/op.hpp"

namespace touka::cpu::interpreter {

enum class Path : std::uint8_t { kQuick, kFull };

/// host_address of an entry that matched, which the compiler may take for not null.
[[nodiscard, gnu::always_inline]] inline std::byte* known_host_address(const TlbEntry& entry, std::uint64_t linear) {
    std::byte* host = host_address(entry, linear);
    if (host == nullptr) __builtin_unreachable();
    return host;
}

/// @return the host address to read `length_bytes` at `linear` from, or nullptr when the full path is needed.
[[nodiscard, gnu::always_inline]] inline std::byte* quick_read_at(Processor& p, std::uint64_t linear,
                                                                  unsigned length_bytes) {
    const TlbEntry& entry = p.tlb.data[Tlb::slot(linear)];
    if (entry.read_tag != p.tlb.tag(linear, length_bytes)) return nullptr;
    return known_host_address(entry, linear);
}
[[nodiscard, gnu::always_inline]] inline std::byte* quick_read(Processor& p, const Op* op, unsigned length_bytes) {
    if (op->address != address_form::kPlain) return nullptr;
    return quick_read_at(p, effective_address(p, op), length_bytes);
}

/// A place to write to. @invariant host == nullptr: take the full path.
struct QuickWrite {
    std::byte* host;
    const std::atomic<std::uint8_t>* code_mark;
};
[[nodiscard, gnu::always_inline]] inline QuickWrite quick_write_at(Processor& p, std::uint64_t linear,
                                                                   unsigned length_bytes) {
    const TlbEntry& entry = p.tlb.data[Tlb::slot(linear)];
    if (entry.write_tag != p.tlb.tag(linear, length_bytes)) return {nullptr, nullptr};
    return {known_host_address(entry, linear), entry.code_mark};
}
[[nodiscard, gnu::always_inline]] inline QuickWrite quick_write(Processor& p, const Op* op, unsigned length_bytes) {
    if (op->address != address_form::kPlain) return {nullptr, nullptr};
    return quick_write_at(p, effective_address(p, op), length_bytes);
}

/// Goes on after a store that hit a page with decoded code.
[[nodiscard]] Link* next_after_code_write(Processor& p, const Op* op, const std::byte* host);

/// next() for an instruction that stored through a QuickWrite.
[[nodiscard, gnu::always_inline]] inline Link* next_after_write(Processor& p, const Op* op, const QuickWrite& write) {
    // The store must be out before the mark is looked at; CodePages::mark() pairs with this.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (write.code_mark->load(std::memory_order_relaxed) != 0) [[unlikely]]
        return next_after_code_write(p, op, write.host);
    return next(p, op);
}

} // namespace touka::cpu::interpreter
