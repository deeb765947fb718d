#include "cpu/interpreter/memory_access.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>

#include "cpu/interpreter/block_cache.hpp"
#include "cpu/interpreter/breakpoints.hpp"
#include "cpu/interpreter/paging.hpp"
#include "cpu/interpreter/rehearsal.hpp"

namespace touka::cpu::interpreter {
namespace {

using spec::GuestAddress;
using spec::kPageSize;

/// Read-modify-write of operands that no single host instruction can do: those across two pages and on devices.
/// Atomic towards each other only.
std::mutex& split_lock() {
    static std::mutex lock;
    return lock;
}

bool is_canonical(std::uint64_t linear) {
    const auto value = static_cast<std::int64_t>(linear);
    return value << 16 >> 16 == value;
}

bool check_address(Processor& p, std::uint64_t linear, unsigned length_bytes, std::uint8_t access) {
    if (p.fault) return false; // the segment check already failed; the address is none
    if (p.long_mode && (!is_canonical(linear) || !is_canonical(linear + length_bytes - 1))) {
        return p.raise((access & access::kStack) != 0 ? Exception::kStack : Exception::kGeneralProtection);
    }
    return true;
}

/// Linear addresses have 32 bits outside of long mode, and those of a second page wrap likewise.
std::uint64_t wrap(const Processor& p, std::uint64_t linear) { return p.long_mode ? linear : linear & 0xFFFF'FFFF; }

/// Where one page's part of an access ends up.
struct Target {
    GuestAddress physical;
    std::byte* host = nullptr; ///< nullptr: a device, or RAM that is only touched piece by piece
    bool ok = false;
};

void note_large_page(Tlb& tlb, std::uint64_t linear, std::uint64_t page_bytes) {
    Tlb::LargePages& large = tlb.large_pages[linear >> 63];
    std::uint64_t mask = ~(page_bytes - 1);
    if (large.any) {
        const std::uint64_t differing = (large.base ^ linear) & large.mask;
        mask &= large.mask;
        if (differing != 0) mask &= ~((std::bit_floor(differing) << 1) - 1);
    }
    large = {linear & mask, mask, true};
}

Tlb::Table& table_of(Processor& p, bool user) {
    if (!user && p.cpl == 3) return p.tlb.table(TlbTable::kSupervisor);
    return *reinterpret_cast<Tlb::Table*>(p.tlb.data);
}

void fill(Processor& p, std::uint64_t linear, AccessKind kind, bool user, const Translation& t, std::byte* host) {
    p.memory.expect_use(t.physical.value / kPageSize);
    Tlb::Table& table = table_of(p, user);
    if (&table == &p.tlb.table(TlbTable::kChecked)) return;
    TlbEntry& entry = table[Tlb::slot(linear)];
    const std::uint64_t tag = p.tlb.tag(linear);
    const std::uint64_t delta = reinterpret_cast<std::uint64_t>(host) - linear;
    const std::uint64_t page = t.physical.value / kPageSize;
    const bool same_page = entry.host_minus_linear == delta;
    const std::uint64_t read_tag = same_page && entry.read_tag == tag ? tag : TlbEntry::kNone;
    const std::uint64_t write_tag = same_page && entry.write_tag == tag ? tag : TlbEntry::kNone;
    entry = {read_tag, write_tag, delta, p.memory.code_pages().marks() + page};
    if (kind == AccessKind::kRead) entry.read_tag = tag;
    if (t.writable) {
        // The page may be written without coming here again.
        p.memory.dirty_log().mark(page);
        entry.write_tag = tag;
    }
}

/// Walks for the page of `linear`, and remembers the way when it is RAM.
Target resolve(Processor& p, std::uint64_t linear, AccessKind kind, std::uint8_t access) {
    const bool user = p.cpl == 3 && (access & access::kSupervisor) == 0;
    const auto translated = translate(p, linear, kind, user);
    if (!translated) return {{}, nullptr, p.raise(Exception::kPageFault, translated.error(), linear)};
    if (translated->page_bytes > kPageSize) note_large_page(p.tlb, linear, translated->page_bytes);
    // A rehearsal sees every access: each goes piece by piece, and none is remembered.
    if (!p.memory.is_ram(translated->physical) || p.rehearsal != nullptr) return {translated->physical, nullptr, true};
    std::byte* host = p.memory.base() + translated->physical.value;
    fill(p, linear, kind, user, *translated, host);
    return {translated->physical, host, true};
}

/// Resolves all of [linear, linear + length_bytes), which touches one page or two.
bool resolve_pieces(Processor& p, std::uint64_t linear, unsigned length_bytes, AccessKind kind, std::uint8_t access,
                    std::array<BounceBuffer::Piece, 2>& pieces, std::byte*& host) {
    const auto first_bytes =
        static_cast<unsigned>(std::min<std::uint64_t>(length_bytes, kPageSize - linear % kPageSize));
    const Target first = resolve(p, linear, kind, access);
    if (!first.ok) return false;
    pieces = {BounceBuffer::Piece{first.physical, first_bytes}, BounceBuffer::Piece{}};
    host = first.host;
    if (first_bytes == length_bytes) return true;
    const Target second = resolve(p, wrap(p, linear + first_bytes), kind, access);
    if (!second.ok) return false;
    pieces[1] = {second.physical, length_bytes - first_bytes};
    host = nullptr;
    return true;
}

bool is_looked_at(Processor& p) { return p.tlb.data == p.tlb.table(TlbTable::kChecked).data(); }

bool check_alignment(Processor& p, std::uint64_t linear, unsigned length_bytes, std::uint8_t access) {
    if (!checks_alignment(p) || (access & access::kSupervisor) != 0) return true;
    if (!std::has_single_bit(length_bytes) || length_bytes > 8 || linear % length_bytes == 0) return true;
    return p.raise(Exception::kAlignmentCheck);
}

std::uint64_t load_host(std::byte* host, unsigned length_bytes) {
    switch (length_bytes) {
        case 1: return host::load<std::uint8_t>(host);
        case 2: return host::load<std::uint16_t>(host);
        case 4: return host::load<std::uint32_t>(host);
        default: return host::load<std::uint64_t>(host);
    }
}

void store_host(std::byte* host, unsigned length_bytes, std::uint64_t value) {
    switch (length_bytes) {
        case 1: return host::store(host, static_cast<std::uint8_t>(value));
        case 2: return host::store(host, static_cast<std::uint16_t>(value));
        case 4: return host::store(host, static_cast<std::uint32_t>(value));
        default: return host::store(host, value);
    }
}

void read_piece(Processor& p, const BounceBuffer::Piece& piece, std::byte* to) {
    if (p.memory.is_ram(piece.physical)) {
        std::byte* from = p.memory.base() + piece.physical.value;
        for (std::uint32_t i = 0; i < piece.length_bytes; ++i) to[i] = host::load<std::byte>(from + i);
        if (p.rehearsal != nullptr) p.rehearsal->loaded(piece.physical, {to, piece.length_bytes});
        return;
    }
    for (std::uint32_t done = 0; done < piece.length_bytes;) {
        const unsigned width = std::bit_floor(std::min(piece.length_bytes - done, 8u));
        const std::uint64_t value = read_device(p, piece.physical + done, width);
        std::memcpy(to + done, &value, width);
        done += width;
    }
}

void rehearse_store(Processor& p, const BounceBuffer::Piece& piece, const std::byte* from) {
    const std::uint64_t page = piece.physical.value / kPageSize;
    if (!p.memory.is_ram(piece.physical) || p.memory.code_pages().is_marked(page)) return p.rehearsal->give_up();
    p.rehearsal->store(piece.physical, {from, piece.length_bytes});
}

void write_piece(Processor& p, const BounceBuffer::Piece& piece, const std::byte* from) {
    if (piece.length_bytes == 0) return;
    if (p.rehearsal != nullptr) return rehearse_store(p, piece, from);
    if (p.memory.is_ram(piece.physical)) {
        std::byte* to = p.memory.base() + piece.physical.value;
        for (std::uint32_t i = 0; i < piece.length_bytes; ++i) host::store<std::byte>(to + i, from[i]);
        std::atomic_signal_fence(std::memory_order_seq_cst);
        code_written(p, to);
        return;
    }
    for (std::uint32_t done = 0; done < piece.length_bytes;) {
        const unsigned width = std::bit_floor(std::min(piece.length_bytes - done, 8u));
        std::uint64_t value = 0;
        std::memcpy(&value, from + done, width);
        write_device(p, piece.physical + done, width, value);
        done += width;
    }
}

/// All of it, so that the device sees one access.
bool is_device_access(const Processor& p, const std::array<BounceBuffer::Piece, 2>& pieces) {
    return pieces[1].length_bytes == 0 && !p.memory.is_ram(pieces[0].physical);
}

} // namespace

Loaded<std::uint64_t> load_slow(Processor& p, std::uint64_t linear, unsigned length_bytes, std::uint8_t access) {
    if (!check_address(p, linear, length_bytes, access)) return {0, false};
    std::array<BounceBuffer::Piece, 2> pieces;
    std::byte* host = nullptr;
    if (!resolve_pieces(p, linear, length_bytes, AccessKind::kRead, access, pieces, host)) return {0, false};
    if (!check_alignment(p, linear, length_bytes, access)) return {0, false};
    note_data_access(p, linear, length_bytes, false);
    if (host != nullptr) return {load_host(host, length_bytes), true};
    if (is_device_access(p, pieces)) return {read_device(p, pieces[0].physical, length_bytes), true};
    std::array<std::byte, 8> bytes{};
    read_piece(p, pieces[0], bytes.data());
    read_piece(p, pieces[1], bytes.data() + pieces[0].length_bytes);
    return {std::bit_cast<std::uint64_t>(bytes), true};
}

bool store_slow(Processor& p, std::uint64_t linear, unsigned length_bytes, std::uint64_t value, std::uint8_t access) {
    if (!check_address(p, linear, length_bytes, access)) return false;
    std::array<BounceBuffer::Piece, 2> pieces;
    std::byte* host = nullptr;
    if (!resolve_pieces(p, linear, length_bytes, AccessKind::kWrite, access, pieces, host)) return false;
    if (!check_alignment(p, linear, length_bytes, access)) return false;
    note_data_access(p, linear, length_bytes, true);
    if (host != nullptr) {
        store_host(host, length_bytes, value);
        std::atomic_signal_fence(std::memory_order_seq_cst);
        code_written(p, host);
        return true;
    }
    if (is_device_access(p, pieces)) {
        write_device(p, pieces[0].physical, length_bytes, value);
        return true;
    }
    const auto bytes = std::bit_cast<std::array<std::byte, 8>>(value);
    write_piece(p, pieces[0], bytes.data());
    write_piece(p, pieces[1], bytes.data() + pieces[0].length_bytes);
    return true;
}

std::byte* open_operand_slow(Processor& p, std::uint64_t linear, unsigned length_bytes, std::uint8_t access) {
    if (!check_address(p, linear, length_bytes, access)) return nullptr;
    const bool reads_only = (access & access::kReadOnly) != 0;
    std::byte* host = nullptr;
    if (!resolve_pieces(p, linear, length_bytes, reads_only ? AccessKind::kRead : AccessKind::kWrite, access,
                        p.bounce.pieces, host)) {
        return nullptr;
    }
    if (!check_alignment(p, linear, length_bytes, access)) return nullptr;
    note_data_access(p, linear, length_bytes, !reads_only);
    if (host != nullptr) return host;
    p.bounce.locked = (access & access::kLocked) != 0;
    if (p.bounce.locked) split_lock().lock();
    if ((access & access::kWriteOnly) == 0) {
        read_piece(p, p.bounce.pieces[0], p.bounce.bytes.data());
        read_piece(p, p.bounce.pieces[1], p.bounce.bytes.data() + p.bounce.pieces[0].length_bytes);
    }
    return p.bounce.bytes.data();
}

std::byte* ram_pointer(Processor& p, std::uint64_t linear, unsigned length_bytes, bool write) {
    if (is_looked_at(p)) return nullptr;
    const TlbEntry& entry = p.tlb.data[Tlb::slot(linear)];
    if ((write ? entry.write_tag : entry.read_tag) == p.tlb.tag(linear, length_bytes))
        return host_address(entry, linear);
    if (!check_address(p, linear, length_bytes, 0)) return nullptr;
    return resolve(p, linear, write ? AccessKind::kWrite : AccessKind::kRead, 0).host;
}

void close_bounce(Processor& p) {
    write_piece(p, p.bounce.pieces[0], p.bounce.bytes.data());
    write_piece(p, p.bounce.pieces[1], p.bounce.bytes.data() + p.bounce.pieces[0].length_bytes);
    abandon_operand(p, p.bounce.bytes.data());
}

void abandon_operand(Processor& p, const std::byte* host) {
    if (host != p.bounce.bytes.data() || !p.bounce.locked) return;
    p.bounce.locked = false;
    split_lock().unlock();
}

void marked_page_written(Processor& p, std::uint64_t page) {
    p.memory.code_pages().invalidate(page);
    p.blocks->page_written(page);
}

CodePointer fetch_pointer(Processor& p, std::uint64_t linear) {
    const bool user = p.cpl == 3;
    CodeTlbEntry& entry = p.tlb.code[user ? 1 : 0][Tlb::code_slot(linear)];
    if (entry.tag == p.tlb.tag(linear)) {
        std::byte* host = reinterpret_cast<std::byte*>(linear + entry.host_minus_linear);
        return {host, GuestAddress{static_cast<std::uint64_t>(host - p.memory.base())}, true};
    }
    if (p.long_mode && !is_canonical(linear)) return {nullptr, {}, p.raise(Exception::kGeneralProtection)};
    const auto translated = translate(p, linear, AccessKind::kExecute, user);
    if (!translated) return {nullptr, {}, p.raise(Exception::kPageFault, translated.error(), linear)};
    if (translated->page_bytes > kPageSize) note_large_page(p.tlb, linear, translated->page_bytes);
    if (!p.memory.is_ram(translated->physical)) return {nullptr, translated->physical, true};
    std::byte* host = p.memory.base() + translated->physical.value;
    entry = {p.tlb.tag(linear), reinterpret_cast<std::uint64_t>(host) - linear};
    return {host, translated->physical, true};
}

} // namespace touka::cpu::interpreter
