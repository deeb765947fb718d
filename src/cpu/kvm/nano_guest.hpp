// A machine of RAM, KVM's chips and a recording bus, for tests and benchmarks: a few instructions of kernel code in
// long mode. Kernel code may be emulated on the host (2 us an instruction), so payloads stay below 10^5 instructions.
#pragma once

#include <xbyak/xbyak.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <functional>
#include <mutex>
#include <vector>

#include "cpu/kvm/kvm_engine.hpp"
#include "spec/x86/control_registers.hpp"
#include "spec/x86/msr.hpp"

namespace touka::cpu::kvm {

/// Where things lie in a nano guest; all of the first 4 GiB is mapped one to one.
inline constexpr std::uint64_t kGdt = 0x1000, kIdt = 0x2000, kTss = 0x3000, kPageTables = 0x1'0000, kCode = 0x10'0000,
                               kHandler = 0x18'0000, kStack = 0x1F'0000, kData = 0x30'0000, kDevice = 0xD000'0000,
                               kLocalApic = 0xFEE0'0000, kIoApic = 0xFEC0'0000, kRamBytes = 0x40'0000;
/// Ports: a write to kDone stops the vCPU that wrote; kReady only calls NanoBus::on_ready.
inline constexpr std::uint8_t kDone = 0x90, kReady = 0x91;
inline constexpr std::uint8_t kVector = 0x40;

struct Access {
    bool port = false, write = false;
    std::uint64_t address = 0;
    unsigned width_bytes = 0;
    std::uint64_t value = 0;
    bool operator==(const Access&) const = default;
};
/// Notes all accesses; reads answer `answer`, cut to width.
class NanoBus final : public CpuBus {
public:
    std::uint64_t answer = 0;
    std::function<void()> on_ready, on_done;

    std::uint64_t read_memory(spec::GuestAddress address, unsigned width_bytes) override {
        const std::uint64_t value = width_bytes == 8 ? answer : answer & ((std::uint64_t{1} << width_bytes * 8) - 1);
        note({false, false, address.value, width_bytes, value});
        return value;
    }
    void write_memory(spec::GuestAddress address, unsigned width_bytes, std::uint64_t value) override {
        note({false, true, address.value, width_bytes, value});
    }
    std::uint32_t read_port(std::uint16_t port, unsigned width_bytes) override {
        const auto value = static_cast<std::uint32_t>(answer & ((std::uint64_t{1} << width_bytes * 8) - 1));
        note({true, false, port, width_bytes, value});
        return value;
    }
    void write_port(std::uint16_t port, unsigned width_bytes, std::uint32_t value) override {
        if (port == kDone) return on_done();
        if (port == kReady) return on_ready();
        note({true, true, port, width_bytes, value});
    }
    [[nodiscard]] std::vector<Access> accesses() {
        const std::lock_guard lock(mutex_);
        return accesses_;
    }

private:
    void note(const Access& access) {
        const std::lock_guard lock(mutex_);
        accesses_.push_back(access);
    }
    std::mutex mutex_;
    std::vector<Access> accesses_;
};

class NanoGuest {
public:
    using Assemble = std::function<void(Xbyak::CodeGenerator&)>;

    static std::expected<std::unique_ptr<NanoGuest>, KvmFailure> create(std::uint32_t vcpu_count = 1) {
        auto memory = memory::GuestMemory::create(kRamBytes).value();
        auto engine = KvmEngine::create(*memory, vcpu_count + 1); // room for one on another bus
        if (!engine) return std::unexpected(engine.error());
        std::unique_ptr<NanoGuest> guest(new NanoGuest(std::move(memory), std::move(*engine)));
        for (std::uint32_t i = 0; i < vcpu_count; ++i) {
            guest->buses_.push_back(std::make_unique<NanoBus>());
            auto vcpu = guest->make_vcpu(i, vcpu_count, *guest->buses_.back());
            if (!vcpu) return std::unexpected(KvmFailure{vcpu.error(), guest->engine_->failure()});
            guest->vcpus_.push_back(std::move(*vcpu));
            guest->buses_.back()->on_done = [v = guest->vcpus_.back().get()] { v->kick(); };
        }
        return guest;
    }

    [[nodiscard]] KvmEngine& engine() { return *engine_; }
    [[nodiscard]] KvmInterrupts& interrupts() { return engine_->interrupts(); }
    [[nodiscard]] memory::GuestMemory& memory() { return *memory_; }
    [[nodiscard]] KvmVcpu& vcpu(std::size_t index = 0) { return *vcpus_[index]; }
    [[nodiscard]] NanoBus& bus(std::size_t index = 0) { return *buses_[index]; }
    /// Of the last processor made.
    [[nodiscard]] const CpuidTable& cpuid() const { return cpuid_; }

    /// 64-bit code at `address`.
    void load(std::uint64_t address, const Assemble& assemble) {
        Xbyak::CodeGenerator code;
        assemble(code);
        std::memcpy(memory_->base() + address, code.getCode(), code.getSize());
    }
    /// What `vector` does: `body`, EOI, IRETQ.
    void handle(std::uint8_t vector, const Assemble& body) {
        load(kHandler, [&](Xbyak::CodeGenerator& a) {
            body(a);
            write_apic(a, 0xB0, 0);
            a.db(0x48), a.db(0xCF); // iretq
        });
        std::uint64_t gate[2] = {kHandler & 0xFFFF, 0};
        gate[0] |= std::uint64_t{8} << 16 | std::uint64_t{0x8E00} << 32 | (kHandler >> 16 & 0xFFFF) << 48;
        std::memcpy(memory_->base() + kIdt + std::size_t{vector} * 16, gate, sizeof gate);
    }
    static void write_apic(Xbyak::CodeGenerator& a, std::uint32_t offset, std::uint32_t value) {
        a.mov(a.eax, static_cast<std::uint32_t>(kLocalApic + offset));
        a.mov(a.dword[a.rax], value);
    }
    /// Ports are written with an immediate number: out (port), al.
    static void out(Xbyak::CodeGenerator& a, std::uint8_t port) { a.out_(port, a.al); }
    /// Enables the local APIC, says ready, and halts with interrupts on.
    static void wait_for_interrupts(Xbyak::CodeGenerator& a) {
        write_apic(a, 0xF0, 0x1FF);
        out(a, kReady);
        Xbyak::Label again;
        a.L(again);
        a.sti();
        a.hlt();
        a.jmp(again);
    }

    /// Processor `index` of `count`, on a bus of the caller's.
    [[nodiscard]] std::expected<std::unique_ptr<KvmVcpu>, CpuError> make_vcpu(std::uint32_t index, std::uint32_t count,
                                                                              CpuBus& bus) {
        cpuid_ = make_cpuid({.features = engine_->features(),
                             .vcpu_count = count,
                             .vcpu_index = index,
                             .tsc_frequency_hz = engine_->tsc_frequency_hz()});
        return engine_->make_kvm_vcpu(index, cpuid_, bus);
    }
    [[nodiscard]] CpuState long_mode_state(std::uint64_t rip) {
        using namespace spec::x86;
        CpuState s = vcpu().state().value();
        const SegmentState data{0x10, 0xC093, false, 0xFFFF'FFFF, 0};
        s.segment.fill(data);
        s.seg(SegmentName::kCs) = {0x08, 0xA09B, false, 0xFFFF'FFFF, 0};
        s.tr = {0x18, 0x8B, false, 0x67, kTss};
        s.gdtr = {31, kGdt};
        s.idtr = {4095, kIdt};
        s.cr0 = cr0::PE | cr0::MP | cr0::ET | cr0::NE | cr0::WP | cr0::PG;
        s.cr3 = kPageTables;
        s.cr4 = cr4::PAE | cr4::OSFXSR | cr4::OSXMMEXCPT;
        std::ranges::find(s.msrs, msr::kEfer, &MsrValue::index)->value = efer::SCE | efer::LME | efer::LMA;
        s.reg(Gpr::kRsp) = kStack;
        s.rip = rip;
        s.rflags = rflags::FIXED;
        s.run_state = RunState::kRunning;
        return s;
    }
    /// Runs vCPU 0 from `rip` until it writes kDone or cannot go on.
    VcpuExit start(std::uint64_t rip = kCode) {
        if (!vcpu().set_state(long_mode_state(rip))) return VcpuExit::kFailed;
        return vcpu().run();
    }

    [[nodiscard]] std::uint64_t data(std::uint64_t offset = 0) const {
        std::uint64_t value = 0;
        std::memcpy(&value, memory_->base() + kData + offset, sizeof value);
        return value;
    }

private:
    NanoGuest(std::unique_ptr<memory::GuestMemory> memory, std::unique_ptr<KvmEngine> engine)
        : memory_(std::move(memory)), engine_(std::move(engine)) {
        write_tables();
    }
    void write_tables() {
        const auto put = [&](std::uint64_t address, std::uint64_t value) {
            std::memcpy(memory_->base() + address, &value, sizeof value);
        };
        put(kGdt + 8, 0x00AF'9B00'0000'FFFF);
        put(kGdt + 16, 0x00CF'9300'0000'FFFF);
        put(kPageTables, (kPageTables + 0x1000) | 3);
        for (std::uint64_t gib = 0; gib < 4; ++gib) {
            const std::uint64_t directory = kPageTables + 0x2000 + gib * 0x1000;
            put(kPageTables + 0x1000 + gib * 8, directory | 3);
            for (std::uint64_t i = 0; i < 512; ++i) put(directory + i * 8, gib << 30 | i << 21 | 0x83);
        }
    }

    std::unique_ptr<memory::GuestMemory> memory_;
    std::unique_ptr<KvmEngine> engine_;
    CpuidTable cpuid_{{}};
    std::vector<std::unique_ptr<NanoBus>> buses_;
    std::vector<std::unique_ptr<KvmVcpu>> vcpus_;
};

} // namespace touka::cpu::kvm
