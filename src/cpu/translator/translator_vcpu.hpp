// One vCPU of the translator engine.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cpu/interpreter/interpreter_vcpu.hpp"
#include "cpu/translator/address_spaces.hpp"
#include "cpu/translator/statistics.hpp"
#include "cpu/translator/translation_cache.hpp"
#include "cpu/translator/turn.hpp"
#include "cpu/translator/vcpu_region.hpp"
#include "cpu/translator/verifier.hpp"

namespace touka::cpu::translator {

/// The interpreter's vCPU, with its instructions run as translated code wherever that can be: 64-bit code in RAM,
/// without single-step, breakpoints and alignment checks. Everything else, and each instruction that translated code
/// does not have or cannot finish, is the interpreter's, on the same Processor.
/// @thread as InterpreterVcpu.
class TranslatorVcpu final : public interpreter::InterpreterVcpu {
public:
    using Region = std::unique_ptr<VcpuMemory, void (*)(VcpuMemory*)>;

    /// @param observers outlive this. @param turn nullptr, or what the vCPUs of an engine that checks each block share.
    TranslatorVcpu(Region region, const TranslationObservers& observers, Turn* turn = nullptr,
                   std::size_t code_bytes = TranslationCache::kDefaultCodeBytes);
    ~TranslatorVcpu() override;

    /// Whether the host gave address space and memory that may be executed.
    [[nodiscard]] bool is_usable() const { return spaces_.is_mapped() && cache_.has_memory(); }
    [[nodiscard]] Statistics statistics() const;
    [[nodiscard]] VcpuExit run() override;
    [[nodiscard]] std::string report() const override;
    [[nodiscard]] std::string failure() const override;

private:
    [[nodiscard]] interpreter::StopReason execute_processor() override;
    [[nodiscard]] bool is_translatable() const;
    /// Runs from rip until translated code has nothing to go on with.
    void run_translated();
    /// @return where to enter; nullptr: the interpreter must take the instruction at rip.
    [[nodiscard]] const void* find_entry();
    void follow_far_link();
    /// From now on jumps to rip find `target`.
    void remember(const Translation& target);
    /// Where the instruction at rip is; nothing where it is not in RAM, or cannot be fetched: then Processor::fault
    /// says why.
    [[nodiscard]] std::optional<spec::GuestAddress> code_at_rip();
    [[nodiscard]] BlockMode mode() const;
    /// Starts the check of a block, which is to be entered there.
    [[nodiscard]] const void* checked_entry(const Translation& t);
    /// Returns and indirect jumps find the way that they take as if it had been taken before, but lead back here.
    void expect_jump();
    /// After translated code came back. @return false: there is a difference, and nothing is to go on.
    [[nodiscard]] bool passes_check(Arrival arrival);
    [[nodiscard]] Arrival arrival() const;
    /// The running code's jump is to be linked: where it leads.
    void take_link_target();
    /// Translated code could not do the instruction at rip.
    void interpret_left_over();
    [[nodiscard]] std::uint64_t linear_address(const EffectiveAddress& address) const;
    /// The status flags are nowhere, if there is a recipe.
    void bring_flags(const FlagRecipe& recipe);
    void allow_vectors();
    /// Makes the host's x87 registers the guest's, or interprets the instruction that needs them.
    void bring_x87();
    [[nodiscard]] static std::uint32_t interpret_inline(void* self);
    [[nodiscard]] static std::uint32_t transfer_inline(void* self);
    /// Does the instruction at rip for translated code. @return whether that may go on.
    [[nodiscard]] bool interpret_within();
    /// Before translated code runs, what it relies on in Frame.
    void select();
    [[nodiscard]] static const void* fill(void* self, std::uint32_t check_number);

    VcpuMemory& vcpu_;
    Region region_;
    AddressSpaces spaces_;
    TranslationCache cache_;
    Statistics statistics_;
    bool enters_grouped_ = true;  ///< the kind of block that the link leads to which is not made because of checks
    bool has_difference_ = false; ///< found by a check, to be told
    Turn* turn_;
    std::unique_ptr<Verifier> verifier_; ///< nullptr: nothing is checked. Else jumps lead back to the dispatcher
};

} // namespace touka::cpu::translator
