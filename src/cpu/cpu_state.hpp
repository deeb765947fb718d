// One processor's architectural state: the form that every engine can take in and give out, so that a guest
// moves between engines and hosts. (AMD64 APM vol. 2 rev. 3.42; Intel SDM vol. 3 rev. 084)
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace touka::cpu {

/// Index into CpuState::gpr, in the order of ModRM and REX.
enum class Gpr : std::uint8_t {
    kRax,
    kRcx,
    kRdx,
    kRbx,
    kRsp,
    kRbp,
    kRsi,
    kRdi,
    kR8,
    kR9,
    kR10,
    kR11,
    kR12,
    kR13,
    kR14,
    kR15
};
/// Index into CpuState::segment, in the order of the Sreg field.
enum class SegmentName : std::uint8_t { kEs, kCs, kSs, kDs, kFs, kGs };

/// A segment register with its hidden part. Attributes as in the second descriptor word, bits 8..23
/// shifted to 0: type 0-3, S 4, DPL 5-6, P 7, (limit 8-11 unused), AVL 12, L 13, D/B 14, G 15.
struct SegmentState {
    std::uint16_t selector = 0;
    std::uint16_t attributes = 0;
    bool unusable = false;
    std::uint32_t limit = 0; ///< in bytes, granularity applied
    std::uint64_t base = 0;
    void describe(auto& archive) { archive(selector, attributes, unusable, limit, base); }
    bool operator==(const SegmentState&) const = default;
};

struct TableRegister {
    std::uint16_t limit = 0;
    std::uint64_t base = 0;
    void describe(auto& archive) { archive(limit, base); }
    bool operator==(const TableRegister&) const = default;
};

struct MsrValue {
    std::uint32_t index = 0;
    std::uint64_t value = 0;
    void describe(auto& archive) { archive(index, value); }
    bool operator==(const MsrValue&) const = default;
};

/// An event that was being delivered when the processor stopped and must be delivered first when it goes on.
struct PendingEvent {
    enum class Kind : std::uint8_t { kException, kNmi, kExternalInterrupt, kSoftwareInterrupt };
    Kind kind = Kind::kException;
    std::uint8_t vector = 0;
    std::optional<std::uint32_t> error_code;
    std::uint64_t cr2 = 0; ///< page faults whose CR2 is not written yet
    void describe(auto& archive) { archive(kind, vector, error_code, cr2); }
    bool operator==(const PendingEvent&) const = default;
};

enum class RunState : std::uint8_t { kRunning, kHalted, kWaitForInit, kWaitForSipi };

/// The local APIC's registers as its 4 KiB page shows them, plus what the page does not show.
/// (Intel SDM vol. 3 §11.4.1, table 11-1: local APIC register address map)
struct LocalApicState {
    static constexpr std::uint16_t kVersion = 1;
    std::array<std::uint32_t, 64> registers{}; ///< word n is the register at offset n * 16
    std::uint64_t apic_base = 0;               ///< IA32_APIC_BASE
    std::uint64_t tsc_deadline = 0;            ///< IA32_TSC_DEADLINE; 0 when not armed
    std::uint64_t timer_remaining_ns = 0;      ///< one-shot and periodic modes: until the next expiry
    void describe(auto& archive) { archive(registers, apic_base, tsc_deadline, timer_remaining_ns); }
    bool operator==(const LocalApicState&) const = default;
};

struct CpuState {
    static constexpr std::uint16_t kVersion = 1;

    std::array<std::uint64_t, 16> gpr{};
    std::uint64_t rip = 0;
    std::uint64_t rflags = 2;
    std::array<SegmentState, 6> segment{};
    SegmentState ldtr, tr;
    TableRegister gdtr, idtr;
    std::uint64_t cr0 = 0, cr2 = 0, cr3 = 0, cr4 = 0, cr8 = 0;
    std::array<std::uint64_t, 8> dr{};
    std::uint64_t xcr0 = 1;
    /// Standard-format XSAVE image of the components in XCR0 (never compacted); MXCSR and legacy area included.
    std::vector<std::uint8_t> xsave;
    std::vector<MsrValue> msrs; ///< EFER, STAR, LSTAR, ..., TSC; ascending index
    RunState run_state = RunState::kRunning;
    bool interrupt_shadow = false; ///< after STI or MOV SS
    bool debug_shadow = false;     ///< after MOV SS: interrupt_shadow, which holds off debug exceptions, too
    bool nmi_blocked = false;      ///< from NMI delivery to IRET
    bool nmi_pending = false;
    std::uint64_t pending_debug = 0; ///< DR6 bits of debug traps held off by MOV SS: after the next instruction
    std::optional<PendingEvent> pending_event;

    void describe(auto& archive) {
        archive(gpr, rip, rflags, segment, ldtr, tr, gdtr, idtr, cr0, cr2, cr3, cr4, cr8, dr, xcr0, xsave, msrs,
                run_state, interrupt_shadow, debug_shadow, nmi_blocked, nmi_pending, pending_debug, pending_event);
    }
    bool operator==(const CpuState&) const = default;

    [[nodiscard]] std::uint64_t& reg(Gpr name) { return gpr[static_cast<std::size_t>(name)]; }
    [[nodiscard]] SegmentState& seg(SegmentName name) { return segment[static_cast<std::size_t>(name)]; }
};

} // namespace touka::cpu
