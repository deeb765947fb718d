// The generated code that translated blocks share: the ways in, the ways out, and calls from within.
#pragma once

#include <cstdint>

#include "cpu/interpreter/code_memory.hpp"
#include "cpu/translator/frame.hpp"

namespace touka::cpu::translator {

/// Distances from RSP to what translated code uses.
struct FrameOffsets {
    explicit FrameOffsets(const VcpuMemory& vcpu);
    std::size_t gpr, status, system_flags, rip, requests, vectors, mxcsr, fs_base, gs_base;
    std::size_t host_rsp, rip_base, table, open_table, closed_table, jump_generation, jumps, far_keys, cr4;
    std::size_t kernel_gs_base, tsc_offset, tsc_aux, interrupt_waiting, next_offset, x87_place, kept_pointer, go_on,
        selectors;
    std::size_t sse_off, avx_off, sse_allowed, avx_allowed, exit_reason, exit_data, host_mxcsr, jump_code;
    std::size_t hi256_in_use, hi16_zmm, zmm_hi256, opmask, avx512_off, avx512_allowed, avx512_loaded;
};

/// Addresses of executable code. Unless said otherwise, jumped to with the guest's state in place as between two
/// instructions and its status flags in RegisterFile::status.
struct Thunks {
    /// C function: enters translated code at a Translation::entry(); returns at an exit. Frame::rip_base is set.
    void (*enter)(VcpuMemory* vcpu, const void* code) = nullptr;
    /// Entered by enter() to go on at Frame::jump_code, which wants the status flags in EFLAGS. Leaves
    /// nonsense in RegisterFile::status, as stale as after other instructions.
    const void* to_flags_entry = nullptr;
    const void* exit_interpret = nullptr;   ///< ECX: offset of the instruction in its page
    const void* exit_request = nullptr;     ///< ECX: likewise
    const void* exit_unvectored = nullptr;  ///< ECX: likewise; as exit_interpret, for Unfinished::kVectors
    const void* exit_jump_miss = nullptr;   ///< ECX: likewise; for Unfinished::kJumpMiss
    const void* exit_x87 = nullptr;         ///< ECX: likewise
    const void* exit_fault = nullptr;       ///< ECX: likewise; for Unfinished::kHostFault
    const void* exit_fault_flags = nullptr; ///< likewise; the status flags are in EFLAGS
    const void* exit_lookup = nullptr;      ///< RAX: where the guest goes on, as behind a jump that was found
    /// ECX: the number of a FarLink that is not connected, EAX: its target, from its page on. Goes on by the jump
    /// cache, or leaves for the link to be connected.
    const void* far_jump = nullptr;
    const void* exit_link = nullptr;       ///< ECX: the number of the link
    const void* exit_link_flags = nullptr; ///< likewise; the status flags are in EFLAGS
    /// ECX: the number of a CheckSite. Goes on where Callees::fill says, or leaves. Clobbers RAX, RCX, EFLAGS.
    const void* fill = nullptr;
    /// Called with ECX: offset of an instruction, EAX: of the next one. The interpreter does it; comes back only when
    /// that is where the guest goes on, with all registers of the guest in place. Clobbers RAX, RCX, EFLAGS.
    const void* interpret = nullptr;
    /// ECX: offset of an instruction. The interpreter does it, and the guest goes on wherever that leads, in whatever
    /// mode of 64-bit code, with its vector registers to be loaded anew; or it leaves.
    const void* transfer = nullptr;
    /// Called to make the host's vector registers the guest's; clobbers EAX. ZF: they may not be used.
    const void* load_vectors = nullptr;
    /// Likewise, with what AVX-512 adds.
    const void* load_avx512 = nullptr;
};

/// What translated code calls.
struct Callees {
    void* self = nullptr;
    /// @return the check, which may be tried again; nullptr: leave, with rip, status flags and Frame set.
    const void* (*fill)(void* self, std::uint32_t check_number) = nullptr;
    std::uint32_t (*interpret)(void* self) = nullptr; ///< @return 0: leave
    std::uint32_t (*transfer)(void* self) = nullptr;  ///< likewise
};

/// Puts the thunks at the free end of `code`.
[[nodiscard]] Thunks make_thunks(interpreter::CodeMemory& code, const FrameOffsets& offsets, const Callees& callees);

} // namespace touka::cpu::translator
