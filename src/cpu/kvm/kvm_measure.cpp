#include "cpu/kvm/kvm_measure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "cpu/kvm/kvm_engine.hpp"
#include "spec/x86/control_registers.hpp"
#include "spec/x86/msr.hpp"

namespace touka::cpu::kvm {

namespace {

constexpr std::uint64_t kPageTables = 0x1000, kCode = 0x4000, kMemoryBytes = 0x10'0000;
constexpr std::uint64_t kFirstIterations = 500, kMostIterations = 1u << 26, kInstructionsPerIteration = 2;

// dec rcx; jnz -5; out 80h, al
constexpr std::array<std::uint8_t, 7> kLoop = {0x48, 0xFF, 0xC9, 0x75, 0xFB, 0xE6, 0x80};

/// Stops the vCPU at the port write behind the loop.
class StopAtPort final : public CpuBus {
public:
    Vcpu* vcpu = nullptr;
    std::uint64_t read_memory(spec::GuestAddress, unsigned) override { return ~std::uint64_t{0}; }
    void write_memory(spec::GuestAddress, unsigned, std::uint64_t) override {}
    std::uint32_t read_port(std::uint16_t, unsigned) override { return ~std::uint32_t{0}; }
    void write_port(std::uint16_t, unsigned, std::uint32_t) override { vcpu->kick(); }
};

/// The first 2 MiB, mapped one to one by one large page.
void load(memory::GuestMemory& memory) {
    constexpr std::uint64_t kPresentWritable = 3, kLarge = 0x80;
    const auto put = [&](std::uint64_t address, std::uint64_t value) {
        std::memcpy(memory.base() + address, &value, sizeof value);
    };
    put(kPageTables, (kPageTables + 0x1000) | kPresentWritable);
    put(kPageTables + 0x1000, (kPageTables + 0x2000) | kPresentWritable);
    put(kPageTables + 0x2000, kLarge | kPresentWritable);
    std::memcpy(memory.base() + kCode, kLoop.data(), kLoop.size());
}

CpuState kernel_mode(CpuState state, std::uint64_t iterations) {
    using namespace spec::x86;
    state.segment.fill({0x10, 0xC093, false, 0xFFFF'FFFF, 0});
    state.seg(SegmentName::kCs) = {0x08, 0xA09B, false, 0xFFFF'FFFF, 0};
    state.tr = {0x18, 0x8B, false, 0x67, 0};
    state.cr0 = cr0::PE | cr0::MP | cr0::ET | cr0::NE | cr0::PG;
    state.cr3 = kPageTables;
    state.cr4 = cr4::PAE;
    const auto efer = std::ranges::find(state.msrs, msr::kEfer, &MsrValue::index);
    if (efer != state.msrs.end()) efer->value = efer::LME | efer::LMA;
    state.reg(Gpr::kRcx) = iterations;
    state.rip = kCode;
    state.rflags = rflags::FIXED;
    return state;
}

EngineMeasurement broken(std::string_view why) {
    return {EngineMeasurement::Verdict::kBroken, 0, fmt::format("/dev/kvm cannot run kernel code here: {}", why)};
}

using Duration = std::chrono::steady_clock::duration;

/// The shortest of a few runs: entering the guest, the loop, and leaving. The first runs also build the tables of the
/// host for the guest's pages, and any of them can lose the processor to somebody else.
std::expected<Duration, EngineMeasurement> best_time(Vcpu& vcpu, std::uint64_t iterations) {
    constexpr int kRuns = 3;
    Duration best = Duration::max();
    for (int run = 0; run < kRuns; ++run) {
        const auto state = vcpu.state();
        if (!state || !vcpu.set_state(kernel_mode(*state, iterations))) return std::unexpected(broken(vcpu.failure()));
        const auto start = std::chrono::steady_clock::now();
        const VcpuExit exit = vcpu.run();
        best = std::min<Duration>(best, std::chrono::steady_clock::now() - start);
        if (exit == VcpuExit::kShutdown) return std::unexpected(broken("it stops with a triple fault"));
        if (exit == VcpuExit::kFailed) return std::unexpected(broken(vcpu.failure()));
    }
    return best;
}

} // namespace

EngineMeasurement judge(double instructions_per_second) {
    if (instructions_per_second >= kSlowestUsable) {
        return {EngineMeasurement::Verdict::kUsable, instructions_per_second, {}};
    }
    return {EngineMeasurement::Verdict::kTooSlow, instructions_per_second,
            fmt::format("/dev/kvm runs kernel code at {:.1f} MIPS here (a stock kernel would not finish booting)",
                        instructions_per_second / 1e6)};
}

EngineMeasurement judge(const KvmFailure& failure) {
    using Verdict = EngineMeasurement::Verdict;
    switch (failure.error) {
        case CpuError::kUnavailable: return {Verdict::kUnavailable, 0, failure.text};
        case CpuError::kNoPermission: return {Verdict::kNoPermission, 0, failure.text};
        default: return broken(failure.text);
    }
}

EngineMeasurement measure_kvm(std::chrono::microseconds enough) {
    auto memory = memory::GuestMemory::create(kMemoryBytes);
    if (!memory) return broken("no memory for a guest");
    auto engine = KvmEngine::create(**memory, 1);
    if (!engine) return judge(engine.error());
    load(**memory);

    StopAtPort bus;
    const CpuidTable cpuid = make_cpuid({.features = (*engine)->features()});
    auto vcpu = (*engine)->make_vcpu(0, cpuid, {.bus = &bus});
    if (!vcpu) return broken((*engine)->failure());
    bus.vcpu = vcpu->get();

    const auto entry = best_time(**vcpu, 1);
    if (!entry) return entry.error();
    for (std::uint64_t iterations = kFirstIterations;; iterations *= 8) {
        const auto whole = best_time(**vcpu, iterations);
        if (!whole) return whole.error();
        const Duration loop = *whole - *entry;
        if (loop < std::max<Duration>(enough, *entry * 4) && iterations < kMostIterations) continue;
        const double seconds = std::max(std::chrono::duration<double>(loop).count(), 1e-9);
        return judge(static_cast<double>(iterations * kInstructionsPerIteration) / seconds);
    }
}

} // namespace touka::cpu::kvm
