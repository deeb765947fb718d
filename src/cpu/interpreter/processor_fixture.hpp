// A small machine for the tests of the interpreter's system side: RAM, one processor, a bus and an APIC that only
// remember.
#pragma once

#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/mode.hpp"
#include "cpu/interpreter/processor.hpp"
#include "cpu/interpreter/reset.hpp"
#include "cpu/interpreter/system_instruction.hpp"
#include "spec/x86/cpuid.hpp"
#include "spec/x86/descriptor.hpp"
#include "spec/x86/msr.hpp"
#include "spec/x86/page_table.hpp"

namespace touka::cpu::interpreter {

/// Nobody answers reads; writes are remembered.
class RecordingBus final : public CpuBus {
public:
    std::uint64_t read_memory(spec::GuestAddress, unsigned) override { return ~std::uint64_t{0}; }
    void write_memory(spec::GuestAddress, unsigned, std::uint64_t) override {}
    std::uint32_t read_port(std::uint16_t, unsigned) override { return ~std::uint32_t{0}; }
    void write_port(std::uint16_t port, unsigned, std::uint32_t value) override { writes.emplace_back(port, value); }

    std::vector<std::pair<std::uint16_t, std::uint32_t>> writes;
};

/// A local APIC with one vector at most.
class OneVectorPort final : public InterruptPort {
public:
    [[nodiscard]] bool has_interrupt() const override { return pending.load() != 0; }
    [[nodiscard]] std::optional<std::uint8_t> acknowledge() override {
        const std::uint8_t vector = pending.exchange(0);
        return vector == 0 ? std::nullopt : std::optional(vector);
    }
    [[nodiscard]] std::uint8_t task_priority_class() const override { return priority; }
    void set_task_priority_class(std::uint8_t value) override { priority = value; }
    [[nodiscard]] std::optional<std::uint64_t> read_msr(std::uint32_t index) override {
        const auto found = msrs.find(index);
        return found == msrs.end() ? std::nullopt : std::optional(found->second);
    }
    [[nodiscard]] bool write_msr(std::uint32_t index, std::uint64_t value) override {
        const auto found = msrs.find(index);
        if (found == msrs.end()) return false;
        found->second = value;
        return true;
    }
    [[nodiscard]] std::optional<spec::GuestAddress> page() const override { return std::nullopt; }
    [[nodiscard]] std::uint32_t read_page(std::uint32_t) override { return 0; }
    void write_page(std::uint32_t, std::uint32_t) override {}
    void reset_by_init() override { ++init_count; }

    std::atomic<std::uint8_t> pending{0};
    std::uint8_t priority = 0;
    unsigned init_count = 0;
    std::map<std::uint32_t, std::uint64_t> msrs{{spec::x86::msr::kApicBase, 0xFEE0'0900},
                                                {spec::x86::msr::kTscDeadline, 0}};
};

/// CPUID with what the tests rely on: 40 physical address bits, x87, SSE and AVX state.
[[nodiscard]] inline CpuidTable small_cpuid(ProcessorModel::Vendor vendor) {
    using namespace spec::x86::cpuid;
    const CpuidRegisters intel{0xD, 0x756E'6547, 0x6C65'746E, 0x4965'6E69};
    const CpuidRegisters amd{0xD, 0x6874'7541, 0x444D'4163, 0x6974'6E65};
    const std::uint32_t avx512 = vendor == ProcessorModel::Vendor::kIntel ? 1088 : 832;
    return CpuidTable({
        {kVendor, 0, false, vendor == ProcessorModel::Vendor::kIntel ? intel : amd},
        {kFeatures,
         0,
         false,
         {0x00A2'0F10, 0, leaf1_ecx::PCID | leaf1_ecx::XSAVE | leaf1_ecx::AVX, leaf1_edx::APIC | leaf1_edx::SEP}},
        {kExtendedFeatures,
         0,
         true,
         {0, leaf7_ebx::FSGSBASE | leaf7_ebx::SMEP | leaf7_ebx::SMAP | leaf7_ebx::INVPCID | leaf7_ebx::TSC_ADJUST,
          leaf7_ecx::UMIP | leaf7_ecx::RDPID, 0}},
        {kXsave, 0, true, {0xE7, avx512 + 1600, avx512 + 1600, 0}},
        {kXsave, 1, true, {leaf13_1_eax::XSAVEC | leaf13_1_eax::XGETBV_1, 832, 0, 0}},
        {kXsave, 2, true, {256, 576, 0, 0}},
        {kXsave, 5, true, {64, avx512, 0, 0}},
        {kXsave, 6, true, {512, avx512 + 64, 0, 0}},
        {kXsave, 7, true, {1024, avx512 + 576, 0, 0}},
        {kExtendedProcessor,
         0,
         false,
         {0, 0, 0, extended1_edx::SYSCALL | extended1_edx::NX | extended1_edx::PAGE_1GB | extended1_edx::LM}},
        {kAddressSizes, 0, false, {0x3028, 0, 0, 0}},
    });
}

struct SmallMachine {
    static constexpr std::uint64_t kRamBytes = 8 << 20;
    // Where set_up_long_mode() puts things.
    static constexpr std::uint64_t kPml4 = 0x1000, kPdpt = 0x2000, kDirectory = 0x3000, kTable = 0x4000;
    static constexpr std::uint64_t kGdt = 0x5000, kIdt = 0x6000, kTss = 0x7000, kStack = 0x1'0000;
    static constexpr std::uint64_t kKernelStack = 0x2'0000, kInterruptStack = 0x3'0000, kUserStack = 0x4'0000;
    static constexpr std::uint64_t kCode = 0x5'0000, kHandlers = 0x6'0000;
    static constexpr std::uint16_t kCode64 = 0x08, kData = 0x10, kCode32 = 0x18, kUserData = 0x28 | 3,
                                   kUserCode64 = 0x30 | 3, kUserCode32 = 0x20 | 3, kTssSelector = 0x38,
                                   kAbsentCode = 0x48, kCode16 = 0x50;

    /// @param other_bus what the processor reaches instead of `bus`.
    explicit SmallMachine(ProcessorModel::Vendor vendor = ProcessorModel::Vendor::kAmd, CpuBus* other_bus = nullptr)
        : memory(std::move(*memory::GuestMemory::create(kRamBytes))),
          p(*memory, other_bus != nullptr ? *other_bus : bus, port, small_cpuid(vendor)) {
        reset_state(p);
    }

    template <class T>
    void poke(std::uint64_t address, T value) {
        std::memcpy(memory->base() + address, &value, sizeof value);
    }
    template <class T = std::uint64_t>
    [[nodiscard]] T peek(std::uint64_t address) const {
        T value;
        std::memcpy(&value, memory->base() + address, sizeof value);
        return value;
    }
    void place(std::uint64_t address, std::span<const std::uint8_t> bytes) {
        std::memcpy(memory->base() + address, bytes.data(), bytes.size());
    }

    void set_up_tables() {
        constexpr std::array<std::uint64_t, 11> kDescriptors{
            0,
            0x00AF'9B00'0000'FFFF, // 08 code 64
            0x00CF'9300'0000'FFFF, // 10 data
            0x00CF'9B00'0000'FFFF, // 18 code 32
            0x00CF'FB00'0000'FFFF, // 20 user code 32
            0x00CF'F300'0000'FFFF, // 28 user data
            0x00AF'FB00'0000'FFFF, // 30 user code 64
            0x0000'8900'7000'0067, // 38 TSS at 7000
            0,                     //    its upper half in long mode
            0x00AF'1B00'0000'FFFF, // 48 code 64, not present
            0x008F'9B00'0000'FFFF, // 50 code 16, page granular
        };
        for (std::size_t n = 0; n < kDescriptors.size(); ++n) poke(kGdt + n * 8, kDescriptors[n]);
        p.gdtr = {.limit = kDescriptors.size() * 8 - 1, .base = kGdt};
        p.tr = {.selector = kTssSelector, .attributes = 0x8B, .unusable = false, .limit = 0x67, .base = kTss};
        p.ldtr.unusable = true;
    }

    void set_segments(std::uint16_t cs, std::uint16_t ss) {
        p.segment(SegmentName::kCs) = segment_of(cs);
        p.segment(SegmentName::kSs) = segment_of(ss);
        for (const SegmentName name : {SegmentName::kDs, SegmentName::kEs}) p.segment(name) = segment_of(ss);
        update_mode(p);
        select_tlb(p);
    }

    /// 64-bit code at CPL 0 (or 3), all RAM identity-mapped for everybody, IDT with interrupt gates to handlers.
    void set_up_long_mode(bool user = false) {
        using namespace spec::x86;
        constexpr std::uint64_t kAll = page_entry::P | page_entry::RW | page_entry::US;
        set_up_tables();
        poke(kPml4, kPdpt | kAll);
        poke(kPdpt, kDirectory | kAll);
        for (std::uint64_t n = 0; n < kRamBytes >> 21; ++n) poke(kDirectory + n * 8, (n << 21) | kAll | page_entry::PS);
        poke(kTss + 4, kKernelStack);
        poke(kTss + 0x24, kInterruptStack);
        for (unsigned vector = 0; vector < 256; ++vector) set_gate(vector, kCode64, 0x8E00, handler(vector));
        p.idtr = {.limit = 0xFFF, .base = kIdt};
        p.cr0 = cr0::PE | cr0::PG | cr0::WP | cr0::NE | cr0::ET;
        p.cr3 = kPml4;
        p.cr4 = cr4::PAE;
        p.msr.efer = efer::LME | efer::LMA | efer::NXE | efer::SCE;
        set_segments(user ? kUserCode64 : kCode64, user ? kUserData : kData);
        p.gpr(Gpr::kRsp) = user ? kUserStack : kStack;
        p.rip = kCode;
        flush_tlb(p);
    }

    /// 32-bit code at CPL 0 (or 3) without paging; IDT with 32-bit interrupt gates.
    void set_up_protected_mode(bool user = false) {
        using namespace spec::x86;
        set_up_tables();
        for (std::uint64_t vector = 0; vector < 256; ++vector)
            poke(kIdt + vector * 8, 0x0000'8E00'0000'0000 | std::uint64_t{kCode32} << 16 | (handler(vector) & 0xFFFF) |
                                        (handler(vector) >> 16) << 48);
        poke<std::uint32_t>(kTss + 4, kKernelStack);
        poke<std::uint16_t>(kTss + 8, kData);
        p.idtr = {.limit = 0x7FF, .base = kIdt};
        p.cr0 = cr0::PE | cr0::ET | cr0::NE;
        set_segments(user ? kUserCode32 : kCode32, user ? kUserData : kData);
        p.gpr(Gpr::kRsp) = user ? kUserStack : kStack;
        p.rip = kCode;
        flush_tlb(p);
    }

    [[nodiscard]] static constexpr std::uint64_t handler(std::uint64_t vector) { return kHandlers + vector * 16; }
    /// @param attributes bits 47:32 of the gate: IST, type, DPL, P.
    void set_gate(std::uint64_t vector, std::uint16_t selector, std::uint64_t attributes, std::uint64_t target) {
        poke(kIdt + vector * 16,
             (target & 0xFFFF) | std::uint64_t{selector} << 16 | attributes << 32 | (target >> 16 & 0xFFFF) << 48);
        poke(kIdt + vector * 16 + 8, target >> 32);
    }

    [[nodiscard]] SegmentState segment_of(std::uint16_t selector) const {
        const spec::x86::Descriptor d{peek(kGdt + (selector & ~7u))};
        return {.selector = selector,
                .attributes = spec::x86::descriptor::attributes(d),
                .unusable = false,
                .limit = spec::x86::descriptor::limit(d),
                .base = spec::x86::descriptor::base(d)};
    }

    /// Executes one system instruction at rip; its bytes are put there first.
    Outcome execute(std::initializer_list<std::uint8_t> bytes) {
        place(p.rip, std::span(bytes.begin(), bytes.size()));
        ZydisDecoder decoder;
        const auto mode = p.code_size == CodeSize::k64   ? ZYDIS_MACHINE_MODE_LONG_64
                          : p.code_size == CodeSize::k32 ? ZYDIS_MACHINE_MODE_LEGACY_32
                                                         : ZYDIS_MACHINE_MODE_REAL_16;
        const auto width = p.code_size == CodeSize::k64   ? ZYDIS_STACK_WIDTH_64
                           : p.code_size == CodeSize::k32 ? ZYDIS_STACK_WIDTH_32
                                                          : ZYDIS_STACK_WIDTH_16;
        ZydisDecoderInit(&decoder, mode, width);
        Instruction i{};
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes.begin(), bytes.size(), &i.info, i.operands.data())))
            std::abort();
        std::memcpy(i.bytes.data(), bytes.begin(), bytes.size());
        p.next_rip = p.rip + i.info.length;
        p.fault.reset();
        const Outcome outcome = find_system_instruction(i.info.mnemonic)(p, i);
        if (outcome == Outcome::kNext) p.rip = p.next_rip;
        select_tlb(p);
        return outcome;
    }
    /// The exception that executing these bytes raises, with its error code; 255 when there is none.
    std::pair<unsigned, std::uint32_t> fault_of(std::initializer_list<std::uint8_t> bytes) {
        if (execute(bytes) != Outcome::kFault) return {255, 0};
        return {static_cast<unsigned>(p.fault->exception), p.fault->error_code};
    }

    std::unique_ptr<memory::GuestMemory> memory;
    RecordingBus bus;
    OneVectorPort port;
    Processor p;
};

} // namespace touka::cpu::interpreter
