// One vCPU of the translator engine.
#pragma once

#include <memory>
#include <string>

#include "cpu/interpreter/interpreter_vcpu.hpp"
#include "cpu/translator/address_spaces.hpp"
#include "cpu/translator/statistics.hpp"
#include "cpu/translator/translation_cache.hpp"
#include "cpu/translator/vcpu_region.hpp"

namespace touka::cpu::translator {

/// The interpreter's vCPU, with its instructions run as translated code wherever that can be: 64-bit code in RAM,
/// without single-step, breakpoints and alignment checks. Everything else, and each instruction that translated code
/// does not have or cannot finish, is the interpreter's, on the same Processor.
/// @thread as InterpreterVcpu.
class TranslatorVcpu final : public interpreter::InterpreterVcpu {
public:
    using Region = std::unique_ptr<VcpuMemory, void (*)(VcpuMemory*)>;

    /// @param observers outlive this.
    TranslatorVcpu(Region region, const memory::GuardedView& view, const TranslationObservers& observers,
                   std::size_t code_bytes = TranslationCache::kDefaultCodeBytes);
    ~TranslatorVcpu() override;

    /// Whether the host gave address space and memory that may be executed.
    [[nodiscard]] bool is_usable() const { return spaces_.is_mapped() && cache_.has_memory(); }
    [[nodiscard]] Statistics statistics() const;
    [[nodiscard]] std::string report() const override;

private:
    [[nodiscard]] interpreter::StopReason execute_processor() override;
    [[nodiscard]] bool is_translatable() const;
    /// Runs from rip until translated code has nothing to go on with.
    void run_translated();
    /// @return where to enter; nullptr: the interpreter must take the instruction at rip.
    [[nodiscard]] const void* find_entry();
    void follow_link();
    /// Translated code could not do the instruction at rip.
    void interpret_left_over();
    [[nodiscard]] bool made_writable();
    [[nodiscard]] std::uint64_t linear_address(const MemoryAccess& access) const;
    void allow_vectors();
    /// Makes the host's x87 registers the guest's, or interprets the instruction that needs them.
    void bring_x87();
    [[nodiscard]] static std::uint32_t interpret_inline(void* self);
    [[nodiscard]] static std::uint32_t fill(void* self, std::uint64_t linear, AccessWord access);

    VcpuMemory& vcpu_;
    Region region_;
    AddressSpaces spaces_;
    TranslationCache cache_;
    Statistics statistics_;
};

} // namespace touka::cpu::translator
