#include "platform/boot/entry_state.hpp"

#include <array>
#include <cstring>
#include <span>

#include "platform/boot/boot_layout.hpp"
#include "spec/boot/linux_boot.hpp"
#include "spec/x86/control_registers.hpp"
#include "spec/x86/msr.hpp"

namespace touka::platform::boot {
namespace {

using cpu::CpuState;
using cpu::SegmentName;
using cpu::SegmentState;

// Attributes as SegmentState has them. (AMD64 APM vol. 2 rev. 3.42 §4.7 and §4.8)
constexpr std::uint16_t kFlatCode64 = 0xA09B; // G, L, present, code, readable, accessed
constexpr std::uint16_t kFlatCode32 = 0xC09B; // G, D, present, code, readable, accessed
constexpr std::uint16_t kFlatData = 0xC093;   // G, B, present, data, writable, accessed
constexpr std::uint16_t kBusyTss = 0x008B;
constexpr std::uint16_t kTaskSelector = 0x20;
constexpr std::uint32_t kTssLimit = 0x67;

constexpr std::uint64_t kPagePresentWritable = 0x3, kLargePage = 0x80;
constexpr std::uint64_t kLargePageSize = 0x20'0000;
constexpr std::size_t kEntriesPerTable = 512, kMappedGibibytes = 4;

constexpr std::uint64_t descriptor(const SegmentState& segment) {
    const bool pages = (segment.attributes & 0x8000) != 0;
    const std::uint64_t limit = pages ? segment.limit >> 12 : segment.limit;
    return (limit & 0xFFFF) | (segment.base & 0xFF'FFFF) << 16 |
           static_cast<std::uint64_t>(segment.attributes & 0xF0FF) << 40 | (limit >> 16 & 0xF) << 48 |
           (segment.base >> 24 & 0xFF) << 56;
}
static_assert(descriptor({.selector = 0, .attributes = kFlatCode64, .limit = 0xFFFF'FFFF}) == 0x00AF'9B00'0000'FFFF);

void write(const memory::GuestMemory& memory, GuestAddress address, std::span<const std::uint64_t> words) {
    const auto to = memory.span(address, words.size_bytes());
    std::memcpy(to.data(), words.data(), to.size());
}

/// The x87 and SSE state after FNINIT and reset, in the XSAVE layout. XSTATE_BV stays 0: all components are in their
/// initial state; the legacy area repeats it for readers that do not look there.
std::vector<std::uint8_t> initial_xsave() {
    std::vector<std::uint8_t> image(576);
    const std::uint16_t control_word = 0x037F;
    const std::uint32_t mxcsr = 0x1F80;
    std::memcpy(image.data(), &control_word, sizeof control_word);
    std::memcpy(image.data() + 24, &mxcsr, sizeof mxcsr);
    return image;
}

CpuState make_flat_state(const memory::GuestMemory& memory, std::uint16_t code_attributes) {
    CpuState state;
    for (auto& segment : state.segment) {
        segment = {.selector = spec::boot::kBootDs, .attributes = kFlatData, .limit = 0xFFFF'FFFF};
    }
    state.seg(SegmentName::kCs) = {
        .selector = spec::boot::kBootCs, .attributes = code_attributes, .limit = 0xFFFF'FFFF};
    state.tr = {.selector = kTaskSelector, .attributes = kBusyTss, .limit = kTssLimit};
    state.ldtr = {.selector = 0, .attributes = 0x0082, .unusable = true};
    const std::array<std::uint64_t, 6> gdt{
        0, 0, descriptor(state.seg(SegmentName::kCs)), descriptor(state.seg(SegmentName::kDs)), descriptor(state.tr), 0,
    };
    write(memory, kGdtAddress, gdt);
    state.gdtr = {.limit = sizeof gdt - 1, .base = kGdtAddress.value};
    state.cr0 = spec::x86::cr0::PE | spec::x86::cr0::ET | spec::x86::cr0::NE;
    state.dr[6] = 0xFFFF'0FF0;
    state.dr[7] = 0x400;
    state.xsave = initial_xsave();
    return state;
}

void write_identity_tables(const memory::GuestMemory& memory) {
    std::array<std::uint64_t, kEntriesPerTable> table{};
    const auto page = [](std::size_t n) { return kPageTablesAddress + n * spec::kPageSize; };
    table[0] = page(1).value | kPagePresentWritable;
    write(memory, page(0), table);
    for (std::size_t i = 0; i < kMappedGibibytes; ++i) table[i] = page(2 + i).value | kPagePresentWritable;
    write(memory, page(1), table);
    for (std::size_t gibibyte = 0; gibibyte < kMappedGibibytes; ++gibibyte) {
        for (std::size_t i = 0; i < kEntriesPerTable; ++i) {
            table[i] = (gibibyte * kEntriesPerTable + i) * kLargePageSize | kPagePresentWritable | kLargePage;
        }
        write(memory, page(2 + gibibyte), table);
    }
}

/// What firmware leaves in model-specific registers and kernels rely on: memory is write-back by default (MTRRs
/// enabled, Intel SDM vol. 3 rev. 084 §12.11.2.1), REP MOVS is fast, the PAT as after reset.
std::vector<cpu::MsrValue> initial_msrs(std::uint64_t efer) {
    namespace msr = spec::x86::msr;
    return {{msr::kMiscEnable, 1}, {msr::kPat, 0x0007'0406'0007'0406}, {msr::kMtrrDefType, 0x806}, {msr::kEfer, efer}};
}

} // namespace

CpuState make_long_mode_entry(const memory::GuestMemory& memory, GuestAddress entry, GuestAddress argument) {
    CpuState state = make_flat_state(memory, kFlatCode64);
    write_identity_tables(memory);
    state.cr0 |= spec::x86::cr0::PG;
    state.cr3 = kPageTablesAddress.value;
    state.cr4 = spec::x86::cr4::PAE;
    state.msrs = initial_msrs(spec::x86::efer::LME | spec::x86::efer::LMA);
    state.rip = entry.value;
    state.reg(cpu::Gpr::kRsi) = argument.value;
    return state;
}

CpuState make_protected_mode_entry(const memory::GuestMemory& memory, GuestAddress entry, GuestAddress argument) {
    CpuState state = make_flat_state(memory, kFlatCode32);
    state.msrs = initial_msrs(0);
    state.rip = entry.value;
    state.reg(cpu::Gpr::kRbx) = argument.value;
    return state;
}

} // namespace touka::platform::boot
