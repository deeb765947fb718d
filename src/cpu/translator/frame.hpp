// What translated code works on: the processor it stands for, and beside it what only the translator knows.
#pragma once

#include <array>
#include <cstdint>

#include "cpu/interpreter/processor.hpp"

namespace touka::cpu::translator {

using interpreter::Processor;

/// Why translated code came back to the dispatcher. Processor::rip is where the guest goes on.
enum class ExitReason : std::uint32_t {
    kLookup,    ///< nothing is known of where rip leads
    kInterpret, ///< the instruction at rip is not translated, or could not be done there; exit_data is its mnemonic or
                ///< 0
    kRequest,   ///< somebody asked something of the processor
    kLink,      ///< a jump inside its page that is not linked yet: exit_data is its number
    kDone,      ///< the interpreter did an instruction for translated code, and it was not of the kind to go on after
    kFarLink,   ///< a jump to another page that is not connected: exit_data is its number
    kX87,       ///< as kInterpret, when the guest's x87 registers cannot be brought into the host's
};

/// Frame::exit_data of kInterpret, when it is no mnemonic: why a translated instruction could not be done.
enum class Unfinished : std::uint32_t {
    kJumpMiss = 0x8000, ///< a return or an indirect jump to an address that the jump cache does not know
    kRefused,           ///< an access that faults, or to a device
    kCrossing,          ///< an access on two pages
    kHostFault,         ///< a store to a page that is read-only in the host, division by zero, ...
    kVectors,           ///< vector registers may not be used
    kEnd
};

struct FaultSite;

/// Where a jump that does not know its target looks first: by the low bits of the address.
inline constexpr std::size_t kJumpCacheEntries = 1 << 16;

/// More jumps from page to page than these go by the jump cache.
inline constexpr std::size_t kFarLinks = 1 << 19;

/// Translated code at linear address `rip`: key = rip ^ JumpCache's generation. One cache line has all of a slot.
struct alignas(16) JumpSlot {
    std::uint64_t key;
    const void* code;
};

/// For the code of a FarLink to read: whether its jump may be taken.
struct FarKey {
    /// Linear address of the jump's page ^ JumpCache's generation, while the jump is connected for that address space;
    /// 0 otherwise, which no page has.
    std::uint64_t key;
    /// How often others may still come by before the jump is theirs: code may run in several address spaces.
    std::uint32_t patience;
};

struct alignas(64) Frame {
    std::uint64_t host_rsp = 0;
    std::uint64_t rip_base = 0;                     ///< linear address of the page that the running code lies on
    std::uint64_t table = 0;                        ///< LookasideTable of the running privilege: what R14 holds
    std::uint64_t open_table = 0, closed_table = 0; ///< with and without RFLAGS.AC, in supervisor mode
    std::uint64_t jump_generation = 0;              ///< see JumpCache
    std::uint32_t sse_off = 1, avx_off = 1;         ///< not 0: the host's vector registers are not the guest's
    std::uint32_t sse_allowed = 0, avx_allowed = 0; ///< by CR0, CR4, XCR0 and MXCSR
    /// Likewise for opmask registers, ZMM16 to ZMM31 and the upper halves of the others. They come when code needs
    /// them; together with the lower halves where upper halves are in use, since VEX-encoded code clears them.
    std::uint32_t avx512_off = 1, avx512_allowed = 0;
    std::uint32_t avx512_loaded = 0; ///< the host's are the guest's, allowed or not
    std::uint32_t exit_reason = 0, exit_data = 0;
    std::uint64_t kept_pointer = 0;  ///< the pointer register that calls do not keep, while a table is filled
    const void* jump_code = nullptr; ///< where an indirect call goes, while its return address is stored
    std::uint32_t next_offset = 0;   ///< of the instruction after the one that the interpreter does for translated code
    const void* go_on = nullptr;     ///< where, after a table was filled
    const FaultSite* fault_site = nullptr; ///< that execution left by, or nullptr
    std::uint32_t host_mxcsr = 0x1F80;
    /// All 0 in the beginning, which their memory comes as: writing so much would take longer than all else that a vCPU
    /// needs for its start.
    std::array<JumpSlot, kJumpCacheEntries> jumps;
    std::array<FarKey, kFarLinks> far_keys;
};

/// One vCPU's memory, laid out for addressing everything from RSP, which points here while translated code runs; its
/// stack, for signals and calls, lies below. The registers at home come first: short displacements reach them.
/// Lies in memory that is 0.
struct alignas(64) VcpuMemory {
    Processor processor;
    Frame frame;

    VcpuMemory(memory::GuestMemory& memory, CpuBus& bus, InterruptPort& interrupts, CpuidTable cpuid)
        : processor(memory, bus, interrupts, std::move(cpuid)) {}

    /// Distance from RSP.
    [[nodiscard]] std::size_t offset_of(const auto& member) const {
        return static_cast<std::size_t>(reinterpret_cast<const std::byte*>(&member) -
                                        reinterpret_cast<const std::byte*>(this));
    }
};

} // namespace touka::cpu::translator
