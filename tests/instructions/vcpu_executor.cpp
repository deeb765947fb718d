#include "instructions/vcpu_executor.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

#include "instructions/guest_tables.hpp"
#include "instructions/vector_state.hpp"
#include "spec/x86/exception.hpp"
#include "spec/x86/floating_point_state.hpp"

namespace touka::tests::instructions {
namespace {

using spec::GuestAddress;

[[noreturn]] void give_up(const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    std::abort();
}

} // namespace

VcpuExecutor::VcpuExecutor(cpu::CpuEngine& engine, memory::GuestMemory& memory) : engine_(engine), memory_(memory) {
    write_guest_tables(memory);
    cpu::CpuidPolicy policy;
    policy.features = engine.features();
    policy.tsc_frequency_hz = engine.tsc_frequency_hz();
    auto made = engine.make_vcpu(0, cpu::make_cpuid(policy), {.bus = this, .interrupts = &interrupts_});
    if (!made) give_up("the engine makes no vCPU: " + engine.failure());
    vcpu_ = std::move(*made);
}

void VcpuExecutor::write_port(std::uint16_t port, unsigned, std::uint32_t) {
    if (!vector_) vector_ = port;
    vcpu_->kick();
}

void VcpuExecutor::run(const Case& test, Result& result) { run_from(initial_state(test), test, result); }

void VcpuExecutor::run_from(const cpu::CpuState& state, const Case& test, Result& result) {
    put_memory(test.memory);
    if (!vcpu_->set_state(state)) give_up("the engine refuses the state");
    vector_.reset();
    while (!vector_) {
        const auto exit = vcpu_->run();
        if (exit == cpu::VcpuExit::kShutdown) vector_ = Result::kShutdown;
        if (exit == cpu::VcpuExit::kDiffered) {
            vector_ = Result::kDiffered;
            std::fputs(vcpu_->failure().c_str(), stderr);
        }
        if (exit == cpu::VcpuExit::kFailed) give_up("the engine failed: " + vcpu_->failure());
    }
    take_result(result);
    constexpr std::uint64_t kBytes = sizeof(test.memory.pages);
    std::memcpy(result.memory.pages.data(), memory_.span(GuestAddress{kTestPagesPhysical}, kBytes).data(), kBytes);
}

void VcpuExecutor::put_memory(const Memory& memory) {
    for (std::size_t n = 0; n < memory.pages.size(); ++n) {
        const GuestAddress at{kTestPagesPhysical + n * kPageBytes};
        std::byte* place = memory_.span(at, kPageBytes).data();
        if (std::memcmp(place, memory.pages[n].data(), kPageBytes) == 0) continue;
        std::memcpy(place, memory.pages[n].data(), kPageBytes);
        memory_.written(at, kPageBytes);
    }
}

void VcpuExecutor::take_result(Result& result) {
    const auto state = vcpu_->state();
    if (!state) give_up("the engine gives no state");
    result.vector = *vector_;
    result.error_code = 0;
    result.cr2 = 0;
    result.after = {};
    result.after.gpr = state->gpr;
    if (state->xsave.size() < spec::x86::xsave::kBytes) give_up("the engine's XSAVE image is too short");
    take_vectors(std::as_bytes(std::span(state->xsave)), result.after);
    if (result.vector == Result::kShutdown || result.vector == Result::kDiffered) return;

    // The exception's frame on the ring-0 stack: [error code,] RIP, CS, RFLAGS, RSP, SS.
    std::uint64_t frame = state->gpr[static_cast<std::size_t>(cpu::Gpr::kRsp)] - kSystemLinear;
    const auto pop = [&] {
        std::uint64_t value = 0;
        const auto bytes = memory_.span(GuestAddress{frame}, 8);
        if (bytes.empty()) {
            result.vector = Result::kLost;
        } else {
            std::memcpy(&value, bytes.data(), 8);
        }
        frame += 8;
        return value;
    };
    const auto exception = static_cast<spec::x86::Exception>(result.vector);
    if (spec::x86::has_error_code(exception)) result.error_code = static_cast<std::uint32_t>(pop());
    result.after.rip = pop();
    pop();
    result.after.rflags = pop();
    result.after.gpr[static_cast<std::size_t>(cpu::Gpr::kRsp)] = pop();
    if (exception == spec::x86::Exception::kPageFault) result.cr2 = state->cr2;
}

} // namespace touka::tests::instructions
