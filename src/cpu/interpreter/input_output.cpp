// IN, OUT, INS and OUTS. (AMD64 APM vol. 3 rev. 3.36)

#include "cpu/interpreter/breakpoints.hpp"
#include "cpu/interpreter/io_permission.hpp"
#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/op_draft.hpp"
#include "cpu/interpreter/string_operand.hpp"
#include "cpu/interpreter/x87_state.hpp"

namespace touka::cpu::interpreter {
namespace {

constexpr std::uint8_t kRax = gpr_offset(Gpr::kRax), kRdx = gpr_offset(Gpr::kRdx);
constexpr std::uint8_t kPortInDx = 1;

[[nodiscard]] std::uint16_t port_of(const Processor& p, const Op* op) {
    return op->variant == kPortInDx ? get<std::uint16_t>(p, kRdx) : static_cast<std::uint16_t>(op->immediate);
}

/// A port that the program may access.
template <class T>
[[nodiscard]] T read_port(Processor& p, std::uint16_t port) {
    spill_x87(p.regs);
    note_port_access(p, port, sizeof(T));
    return static_cast<T>(p.bus.read_port(port, sizeof(T)));
}
template <class T>
void write_port(Processor& p, std::uint16_t port, T value) {
    spill_x87(p.regs);
    note_port_access(p, port, sizeof(T));
    p.bus.write_port(port, sizeof(T), static_cast<std::uint32_t>(value));
}

template <class T>
Link* in(Processor& p, const Op* op) {
    const std::uint16_t port = port_of(p, op);
    if (!port_allowed(p, port, sizeof(T))) return stop(p, op);
    set<T>(p, kRax, read_port<T>(p, port));
    return next(p, op);
}

template <class T>
Link* out(Processor& p, const Op* op) {
    const std::uint16_t port = port_of(p, op);
    if (!port_allowed(p, port, sizeof(T))) return stop(p, op);
    write_port<T>(p, port, get<T>(p, kRax));
    return next(p, op);
}

template <bool In>
bool build_in_out(Draft& draft) {
    constexpr std::size_t kPort = In ? 1 : 0, kData = In ? 0 : 1;
    if (draft.is_immediate(kPort)) {
        draft.op.immediate = static_cast<std::int32_t>(draft.operand(kPort).imm.value.u & 0xFF);
    } else {
        draft.op.variant = kPortInDx;
    }
    draft.op.handler = by_width(draft.operand(kData).size, [&]<class T>() -> Handler {
        if constexpr (sizeof(T) == 8) return nullptr;
        return In ? &in<T> : &out<T>;
    });
    return draft.op.handler != nullptr;
}

/// The memory is opened before the port is read, so that a fault loses no data of the device.
template <class T>
bool input_element(Processor& p, const StringOperands& s, std::uint16_t port) {
    std::byte* host = open_operand(p, s.destination(p, sizeof(T), true), sizeof(T), access::kWriteOnly);
    if (host == nullptr) return false;
    host::store<T>(host, read_port<T>(p, port));
    close_operand(p, host);
    return true;
}

template <class T>
bool output_element(Processor& p, const StringOperands& s, std::uint16_t port) {
    const auto value = load<T>(p, s.source(p, sizeof(T)));
    if (!value.ok) return false;
    write_port<T>(p, port, value.value);
    return true;
}

template <class T, bool In>
Link* string_in_out(Processor& p, const Op* op) {
    const std::uint16_t port = get<std::uint16_t>(p, kRdx);
    if (!port_allowed(p, port, sizeof(T))) return stop(p, op);
    const StringOperands s(p, op);
    const bool repeats = static_cast<Repeat>(op->variant) != Repeat::kNone;
    while (!repeats || s.count(p) != 0) {
        const bool ok = In ? input_element<T>(p, s, port) : output_element<T>(p, s, port);
        if (!ok) return stop(p, op);
        s.advance(p, sizeof(T), 1, !In, In);
        if (!repeats) break;
        s.set_count(p, s.count(p) - 1);
        if (s.count(p) == 0) break;
        if (is_trapped(p) || p.requests.load(std::memory_order_relaxed) != 0) return leave_unfinished(p, op);
    }
    return next(p, op);
}

template <class T, bool In>
bool build_string_in_out(Draft& draft) {
    if (!set_string(draft)) return false;
    draft.op.handler = &string_in_out<T, In>;
    return true;
}

} // namespace

void add_input_output(BuilderTable& table) {
    table[ZYDIS_MNEMONIC_IN] = &build_in_out<true>;
    table[ZYDIS_MNEMONIC_OUT] = &build_in_out<false>;
    table[ZYDIS_MNEMONIC_INSB] = &build_string_in_out<std::uint8_t, true>;
    table[ZYDIS_MNEMONIC_INSW] = &build_string_in_out<std::uint16_t, true>;
    table[ZYDIS_MNEMONIC_INSD] = &build_string_in_out<std::uint32_t, true>;
    table[ZYDIS_MNEMONIC_OUTSB] = &build_string_in_out<std::uint8_t, false>;
    table[ZYDIS_MNEMONIC_OUTSW] = &build_string_in_out<std::uint16_t, false>;
    table[ZYDIS_MNEMONIC_OUTSD] = &build_string_in_out<std::uint32_t, false>;
}

} // namespace touka::cpu::interpreter
