// Which engine runs the machine.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "cpu/kvm/kvm_engine.hpp"
#include "cpu/switching/switchable_engine.hpp"
#include "cpu/vcpu.hpp"
#include "machine/config.hpp"
#include "machine/machine_error.hpp"
#include "memory/guest_memory.hpp"

namespace touka::machine {

struct ChosenEngine {
    std::unique_ptr<cpu::CpuEngine> engine;
    cpu::kvm::KvmEngine* kvm = nullptr; ///< the same engine, when it is KVM
    /// The same engine, when it is two that take turns.
    cpu::switching::SwitchableEngine* switchable = nullptr;
    std::string note; ///< one line for the user: which, and why
};

/// Makes the engine that was asked for, with the other software engine beside it where it is to be switched; or for
/// kAuto the fastest that works here: KVM where it runs kernel code at a usable speed, which is measured, else the
/// translator, else the interpreter.
/// @param config validated.
/// @param memory outlives the engine.
[[nodiscard]] std::expected<ChosenEngine, MachineError> choose_engine(const MachineConfig& config,
                                                                      memory::GuestMemory& memory);

} // namespace touka::machine
