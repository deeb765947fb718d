// One interpreted processor: everything that instructions read and change.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "cpu/bus.hpp"
#include "cpu/cpu_state.hpp"
#include "cpu/cpuid.hpp"
#include "cpu/interpreter/bounce_buffer.hpp"
#include "cpu/interpreter/register_file.hpp"
#include "cpu/interpreter/tlb.hpp"
#include "cpu/interpreter/translation_listener.hpp"
#include "cpu/interpreter/xsave_layout.hpp"
#include "cpu/interrupt_port.hpp"
#include "memory/guest_memory.hpp"
#include "spec/x86/control_registers.hpp"
#include "spec/x86/exception.hpp"

namespace touka::cpu::interpreter {

using spec::x86::Exception;

/// How instructions are decoded and addresses are made. Long mode's compatibility submode counts as its size.
enum class CodeSize : std::uint8_t { k16, k32, k64 };

/// An exception that an instruction met; delivered by the loop after the instruction is abandoned.
struct Fault {
    Exception exception{};
    std::uint32_t error_code = 0;
    std::uint64_t address = 0; ///< page faults: goes to CR2. Debug exceptions: the bits to set in DR6.
};

/// Model-specific registers that are more than a bus access.
struct ModelSpecificRegisters {
    std::uint64_t efer = 0;
    std::uint64_t star = 0, lstar = 0, cstar = 0, syscall_mask = 0, kernel_gs_base = 0;
    std::uint64_t sysenter_cs = 0, sysenter_esp = 0, sysenter_eip = 0;
    std::uint64_t tsc_aux = 0, tsc_offset = 0, tsc_adjust = 0; ///< guest TSC = host TSC + tsc_offset
    std::uint64_t pat = 0x0007'0406'0007'0406;
    std::uint64_t misc_enable = 0, mtrr_def_type = 0, spec_ctrl = 0, xss = 0;
    std::array<std::uint64_t, 16> mtrr_variable{};
    std::array<std::uint64_t, 11> mtrr_fixed{};
    std::uint64_t debug_ctl = 0, mcg_status = 0;
    std::uint64_t kvm_system_time = 0, kvm_wall_clock = 0;      ///< where the guest wants KVM's clock
    std::uint64_t amd_syscfg = 0, amd_hwcr = 0, amd_nb_cfg = 0; ///< AMD processors only
};

/// Accesses to registers that the processor does not have: each was #GP. For the report at the end.
struct UnknownMsrs {
    std::array<std::uint32_t, 16> indices{}; ///< the first different ones
    std::size_t index_count = 0;
    std::uint64_t access_count = 0;
    void note(std::uint32_t index) {
        ++access_count;
        for (std::size_t n = 0; n < index_count; ++n)
            if (indices[n] == index) return;
        if (index_count < indices.size()) indices[index_count++] = index;
    }
};

/// What CPUID says that changes how instructions and page walks behave; looked up once.
struct ProcessorModel {
    enum class Vendor : std::uint8_t { kIntel, kAmd };
    Vendor vendor = Vendor::kAmd; ///< kIntel for GenuineIntel; all others behave like AMD's
    bool gigabyte_pages = false;
    std::uint64_t reserved_address_bits = 0; ///< bits 51 to the physical address width, in page-table entries
    XsaveLayout xsave;

    ProcessorModel() = default;
    explicit ProcessorModel(const CpuidTable& table);
};

class BlockCache;
class Rehearsal;

/// Asks from other threads, looked at between blocks.
namespace request {
inline constexpr std::uint32_t kKick = 1, kInterrupt = 2, kNmi = 4, kInit = 8, kStartup = 16, kFlushTlb = 32;
/// A page that code was made from was written: for engines that look at memory::CodePages only when told to.
inline constexpr std::uint32_t kCodeWritten = 64;
} // namespace request

/// @thread its vCPU's, but for `requests`.
struct Processor {
    Processor(memory::GuestMemory& guest_memory, CpuBus& system_bus, InterruptPort& interrupt_port,
              CpuidTable cpuid_table);
    ~Processor();
    Processor(const Processor&) = delete;
    Processor& operator=(const Processor&) = delete;

    RegisterFile regs;
    /// During an instruction: its own address; next_rip: what follows it. Between instructions: what comes next.
    std::uint64_t rip = 0;
    std::uint64_t next_rip = 0;
    /// RFLAGS without CF PF AF ZF SF OF, which are in regs.status. Bit 1 is set.
    std::uint64_t system_flags = 2;

    std::array<SegmentState, 6> segments{};
    SegmentState ldtr, tr;
    TableRegister gdtr, idtr;
    std::uint64_t cr0 = 0, cr2 = 0, cr3 = 0, cr4 = 0;
    std::uint64_t xcr0 = 1;
    std::array<std::uint64_t, 8> dr{};
    ModelSpecificRegisters msr;

    // Derived from the above whenever CS, CR0, CR4 or EFER change (update_mode in mode.hpp).
    CodeSize code_size = CodeSize::k16;
    std::uint8_t cpl = 0;
    bool long_mode = false; ///< EFER.LMA: paging structures, IDT and TSS have their 64-bit form
    bool protected_mode = false;

    std::optional<Fault> fault;
    bool interrupt_shadow = false; ///< no interrupt before the next instruction is done (STI, MOV SS)
    bool debug_shadow = false;     ///< with interrupt_shadow, after MOV SS and POP SS: no debug exception either
    bool nmi_blocked = false;
    bool nmi_pending = false;
    /// DR6 bits of the data and I/O breakpoints that instructions met: trapped behind the instruction, or where that
    /// loads SS, behind the next one.
    std::uint64_t pending_debug = 0;
    /// The run loop must look at fault, shutdown, interrupts, shadow, TF or the run state before the next block.
    /// Set by whatever changes one of these; a spurious true costs time only.
    bool attention = true;
    /// Not 0: the interrupt port had something for us while interrupts were off, perhaps.
    std::uint32_t interrupt_waiting = 0;
    bool shutdown = false; ///< triple fault
    RunState run_state = RunState::kRunning;
    std::optional<PendingEvent> pending_event; ///< from set_state: delivered before the next instruction

    std::atomic<std::uint32_t> requests{0}; ///< request:: bits; set with release, taken with acquire
    std::atomic<std::uint8_t> startup_vector{0};

    memory::GuestMemory& memory;
    CpuBus& bus;
    InterruptPort& interrupts;
    CpuidTable cpuid;
    ProcessorModel model;
    UnknownMsrs unknown_msrs;
    Tlb tlb;
    TranslationListener* translations = nullptr; ///< told of each flush; outlives the processor's last instruction
    Rehearsal* rehearsal = nullptr;              ///< not nullptr: instructions have no effect on memory
    BounceBuffer bounce;
    std::unique_ptr<BlockCache> blocks; ///< decoded code, private to this processor

    [[nodiscard]] std::uint64_t& gpr(Gpr name) { return regs.gpr[static_cast<std::size_t>(name)]; }
    [[nodiscard]] SegmentState& segment(SegmentName name) { return segments[static_cast<std::size_t>(name)]; }
    [[nodiscard]] const SegmentState& segment(SegmentName name) const {
        return segments[static_cast<std::size_t>(name)];
    }
    [[nodiscard]] std::uint64_t rflags() const { return system_flags | regs.status.to_rflags(); }
    void set_rflags(std::uint64_t value) {
        regs.status = StatusFlags::from_rflags(value);
        system_flags = (value & ~StatusFlags::kRflagsMask) | spec::x86::rflags::FIXED;
    }
    /// Notes the exception and says false, so that a failing access reads `return p.raise(...)`.
    bool raise(Exception exception, std::uint32_t error_code = 0, std::uint64_t address = 0) {
        fault = Fault{exception, error_code, address};
        attention = true;
        return false;
    }
};

} // namespace touka::cpu::interpreter
