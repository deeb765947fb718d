// What leaving and re-entering a guest costs. Each iteration is one exit of a guest that does nothing else.
#include <benchmark/benchmark.h>

#include "cpu/kvm/nano_guest.hpp"

namespace touka::cpu::kvm {
namespace {

using Code = Xbyak::CodeGenerator;

/// Answers everything at once and stops the guest after as many accesses as an iteration has.
class CountingBus final : public CpuBus {
public:
    Vcpu* vcpu = nullptr;
    std::uint32_t left = 0;
    std::uint64_t read_memory(spec::GuestAddress, unsigned) override { return count(); }
    void write_memory(spec::GuestAddress, unsigned, std::uint64_t) override { count(); }
    std::uint32_t read_port(std::uint16_t, unsigned) override { return count(); }
    void write_port(std::uint16_t, unsigned, std::uint32_t) override { count(); }

private:
    std::uint32_t count() {
        if (--left == 0) vcpu->kick();
        return 0;
    }
};

void exits(benchmark::State& state, const NanoGuest::Assemble& access) {
    constexpr std::uint32_t kExits = 200;
    auto guest = NanoGuest::create();
    if (!guest) return state.SkipWithError(guest.error().text.c_str());
    (*guest)->load(kCode, [&](Code& a) {
        a.mov(a.edx, 0x500);
        a.mov(a.rsi, kDevice);
        Xbyak::Label again;
        a.L(again);
        access(a);
        a.jmp(again);
    });
    CountingBus bus;
    auto made = (*guest)->make_vcpu(1, 2, bus);
    if (!made) return state.SkipWithError((*guest)->engine().failure().c_str());
    const auto vcpu = std::move(*made);
    bus.vcpu = vcpu.get();
    if (!vcpu->set_state((*guest)->long_mode_state(kCode))) return state.SkipWithError("state refused");
    for ([[maybe_unused]] auto _ : state) {
        bus.left = kExits;
        if (vcpu->run() != VcpuExit::kKicked) return state.SkipWithError(vcpu->failure().c_str());
    }
    state.SetItemsProcessed(state.iterations() * kExits);
}

void write_port(benchmark::State& state) {
    exits(state, [](Code& a) { a.out_(a.dx, a.al); });
}
void read_port(benchmark::State& state) {
    exits(state, [](Code& a) { a.in_(a.al, a.dx); });
}
void write_memory(benchmark::State& state) {
    exits(state, [](Code& a) { a.mov(a.ptr[a.rsi], a.eax); });
}
void read_memory(benchmark::State& state) {
    exits(state, [](Code& a) { a.mov(a.eax, a.ptr[a.rsi]); });
}

void make_machine(benchmark::State& state) {
    for ([[maybe_unused]] auto _ : state) {
        auto guest = NanoGuest::create();
        if (!guest) return state.SkipWithError(guest.error().text.c_str());
    }
}

BENCHMARK(write_port)->UseRealTime();
BENCHMARK(read_port)->UseRealTime();
BENCHMARK(write_memory)->UseRealTime();
BENCHMARK(read_memory)->UseRealTime();
BENCHMARK(make_machine)->UseRealTime()->Unit(benchmark::kMillisecond);

} // namespace
} // namespace touka::cpu::kvm
