// Loads and stores of a processor by linear address: TLB first, page walk, bus, and the checks between.
#pragma once

#include <concepts>
#include <cstdint>

#include "cpu/interpreter/host_memory.hpp"
#include "cpu/interpreter/processor.hpp"

namespace touka::cpu::interpreter {

/// Whose rights an access has: the running privilege, or the processor itself (descriptor tables, TSS, IDT).
enum class Privilege : std::uint8_t { kCurrent, kSupervisor };

/// How an access differs from a plain one of the running program. Bits.
namespace access {
inline constexpr std::uint8_t kStack = 1;      ///< through SS: a non-canonical address is #SS, not #GP
inline constexpr std::uint8_t kSupervisor = 2; ///< Privilege::kSupervisor
inline constexpr std::uint8_t kLocked = 4;     ///< a LOCK-prefixed read and write
inline constexpr std::uint8_t kWriteOnly = 8;  ///< open_operand: the bytes need not be read first
inline constexpr std::uint8_t kReadOnly = 16;  ///< open_operand: the bytes are not written
} // namespace access

/// A value that was loaded, or nothing with Processor::fault set.
template <class T>
struct Loaded {
    T value;
    bool ok;
};

/// What the inline functions below fall back to: TLB miss, page crossing, device, or fault.
[[nodiscard]] Loaded<std::uint64_t> load_slow(Processor& p, std::uint64_t linear, unsigned length_bytes,
                                              std::uint8_t access);
[[nodiscard]] bool store_slow(Processor& p, std::uint64_t linear, unsigned length_bytes, std::uint64_t value,
                              std::uint8_t access);
/// RAM was stored to at `host`: when its page holds decoded code, drops that and makes the running block end.
void marked_page_written(Processor& p, std::uint64_t page);
[[gnu::always_inline]] inline void code_written(Processor& p, const std::byte* host) {
    const auto page = static_cast<std::uint64_t>(host - p.memory.base()) / spec::kPageSize;
    if (p.memory.code_pages().is_marked(page)) [[unlikely]]
        marked_page_written(p, page);
}

/// To be called after a store through a host pointer into RAM.
[[gnu::always_inline]] inline void stored(Processor& p, const TlbEntry& entry, const std::byte* host) {
    // The store must be out before the mark is looked at; CodePages::mark() pairs with this.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (entry.code_mark->load(std::memory_order_relaxed) != 0) [[unlikely]]
        code_written(p, host);
}

[[nodiscard]] inline std::byte* host_address(const TlbEntry& entry, std::uint64_t linear) {
    return reinterpret_cast<std::byte*>(linear + entry.host_minus_linear);
}

/// By what the TLB has at the slot of `linear`. @tparam T an unsigned integer of 1 to 8 bytes.
template <std::unsigned_integral T>
[[nodiscard, gnu::always_inline]] inline Loaded<T> load_by(const TlbEntry& entry, Processor& p, std::uint64_t linear,
                                                           std::uint8_t access) {
    if (entry.read_tag == p.tlb.tag(linear, sizeof(T))) [[likely]]
        return {host::load<T>(host_address(entry, linear)), true};
    const Loaded<std::uint64_t> slow = load_slow(p, linear, sizeof(T), access);
    return {static_cast<T>(slow.value), slow.ok};
}
template <std::unsigned_integral T>
[[nodiscard, gnu::always_inline]] inline Loaded<T> load(Processor& p, std::uint64_t linear, std::uint8_t access = 0) {
    return load_by<T>(p.tlb.data[Tlb::slot(linear)], p, linear, access);
}

/// @return false with Processor::fault set and nothing stored.
template <std::unsigned_integral T>
[[nodiscard, gnu::always_inline]] inline bool store_by(const TlbEntry& entry, Processor& p, std::uint64_t linear,
                                                       T value, std::uint8_t access) {
    if (entry.write_tag == p.tlb.tag(linear, sizeof(T))) [[likely]] {
        std::byte* host = host_address(entry, linear);
        host::store<T>(host, value);
        stored(p, entry, host);
        return true;
    }
    return store_slow(p, linear, sizeof(T), value, access);
}
template <std::unsigned_integral T>
[[nodiscard, gnu::always_inline]] inline bool store(Processor& p, std::uint64_t linear, T value,
                                                    std::uint8_t access = 0) {
    return store_by(p.tlb.data[Tlb::slot(linear)], p, linear, value, access);
}

/// Makes an operand of 1 to BounceBuffer::kSizeBytes bytes addressable for host instructions, which may read and write
/// it (as access:: bits say) until close_operand(). RAM on one page is given as it is; else p.bounce stands in.
/// At most one operand is open at a time. @return nullptr with Processor::fault set.
[[nodiscard]] std::byte* open_operand_slow(Processor& p, std::uint64_t linear, unsigned length_bytes,
                                           std::uint8_t access);
[[nodiscard, gnu::always_inline]] inline std::byte* open_operand(Processor& p, std::uint64_t linear,
                                                                 unsigned length_bytes, std::uint8_t access = 0) {
    const TlbEntry& entry = p.tlb.data[Tlb::slot(linear)];
    if (entry.write_tag == p.tlb.tag(linear, length_bytes)) [[likely]]
        return host_address(entry, linear);
    return open_operand_slow(p, linear, length_bytes, access);
}
/// Ends an operand opened without access::kReadOnly: what was written takes effect.
void close_bounce(Processor& p);
[[gnu::always_inline]] inline void close_operand(Processor& p, const std::byte* host) {
    if (host == p.bounce.bytes.data()) [[unlikely]]
        return close_bounce(p);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    code_written(p, host);
}
/// The operation on an open operand failed: nothing is written.
void abandon_operand(Processor& p, const std::byte* host);
/// As open_operand for reading alone; needs no close.
[[nodiscard]] inline std::byte* open_operand_to_read(Processor& p, std::uint64_t linear, unsigned length_bytes,
                                                     std::uint8_t access = 0) {
    const TlbEntry& entry = p.tlb.data[Tlb::slot(linear)];
    if (entry.read_tag == p.tlb.tag(linear, length_bytes)) [[likely]]
        return host_address(entry, linear);
    return open_operand_slow(p, linear, length_bytes, static_cast<std::uint8_t>(access | access::kReadOnly));
}

/// The host address of [linear, linear + length_bytes), which lies on one page, when it is RAM that may be accessed.
/// @return nullptr: Processor::fault is set, it is a device, or each element is to be looked at (TlbTable::kChecked).
[[nodiscard]] std::byte* ram_pointer(Processor& p, std::uint64_t linear, unsigned length_bytes, bool write);

/// What the TLB knows for the processor's own accesses, whatever CPL and RFLAGS.AC are.
[[nodiscard]] inline const TlbEntry& supervisor_entry(Processor& p, std::uint64_t linear) {
    Tlb::Table& checked = p.tlb.table(TlbTable::kChecked);
    Tlb::Table& table = p.tlb.data == checked.data() ? checked : p.tlb.table(TlbTable::kSupervisor);
    return table[Tlb::slot(linear)];
}

/// The form for the processor's own accesses and rare instructions. Crosses pages and reaches devices as needed.
/// @return false with Processor::fault set (#PF, or #GP/#SS for a non-canonical address).
template <std::unsigned_integral T>
[[nodiscard]] bool read_linear(Processor& p, std::uint64_t linear, T& value,
                               Privilege privilege = Privilege::kCurrent) {
    const Loaded<T> loaded = privilege == Privilege::kCurrent
                                 ? load<T>(p, linear)
                                 : load_by<T>(supervisor_entry(p, linear), p, linear, access::kSupervisor);
    value = loaded.value;
    return loaded.ok;
}
template <std::unsigned_integral T>
[[nodiscard]] bool write_linear(Processor& p, std::uint64_t linear, T value,
                                Privilege privilege = Privilege::kCurrent) {
    if (privilege == Privilege::kCurrent) return store<T>(p, linear, value);
    return store_by(supervisor_entry(p, linear), p, linear, value, access::kSupervisor);
}

/// The host address of the code byte at `linear`, filling the code TLB.
struct CodePointer {
    std::byte* host = nullptr; ///< nullptr: not RAM, see `physical`
    spec::GuestAddress physical;
    bool ok = false; ///< false: Processor::fault is set
};
[[nodiscard]] CodePointer fetch_pointer(Processor& p, std::uint64_t linear);

/// Reads from a device: the local APIC's page or the bus. @param length_bytes 1 to 8.
[[nodiscard]] std::uint64_t read_device(Processor& p, spec::GuestAddress physical, unsigned length_bytes);
void write_device(Processor& p, spec::GuestAddress physical, unsigned length_bytes, std::uint64_t value);

/// Drops all translations (CR4, EFER, CR0 writes, INVPCID), or those of one page (INVLPG).
void flush_tlb(Processor& p);
void flush_tlb_page(Processor& p, std::uint64_t linear);
/// After a write to CR3. This TLB knows no PCIDs and drops everything; @param keep what the guest allows others.
void change_address_space(Processor& p, bool keep);
/// CPL, CR0.AM and RFLAGS.AC ask for operands that are aligned.
[[nodiscard]] bool checks_alignment(const Processor& p);
/// Chooses the data table that CPL, CR0.AM, CR4.SMAP, RFLAGS.AC and DR7 ask for. To be called after any of them
/// changed; the run loop does so after each delivery and each system instruction.
void select_tlb(Processor& p);

} // namespace touka::cpu::interpreter
