// Lock-step: the interpreter runs what a block of translated code is about to run, and the results are compared.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "cpu/interpreter/processor.hpp"
#include "cpu/interpreter/rehearsal.hpp"
#include "cpu/translator/block_steps.hpp"
#include "cpu/translator/verified_state.hpp"

namespace touka::cpu::translator {

/// How translated code came back.
enum class Arrival : std::uint8_t {
    kByJump,        ///< control left the block; rip is where it went
    kAtInstruction, ///< the instruction at rip, which is one of the block's, is not done yet
};

struct VerifierCounters {
    std::uint64_t blocks = 0;       ///< runs of blocks that were compared and equal
    std::uint64_t instructions = 0; ///< that they consist of
    /// Runs that ended behind what the interpreter can do without effect: device accesses, page faults of a mapping
    /// that the guest has changed and not flushed, the time stamp counter.
    std::uint64_t not_compared = 0;
    std::uint64_t disturbed = 0; ///< runs that differed, but something else wrote memory that they read

    [[nodiscard]] std::string text() const;
};

/// A rehearsal runs the block's instructions on a processor of its own, from the guest's state, without effect on
/// memory, and keeps the state in front of each. When translated code has come back, wherever in the block, its state
/// is compared with the one kept for that place, and its stores with the rehearsed ones: registers, RFLAGS, vectors,
/// x87, segment bases. A store of translated code where the interpreter makes none goes unnoticed, unless the
/// block reads it later. (docs/decisions/008)
///
/// Memory must not change in between. Other vCPUs wait for their Turn; what devices write is found out when a
/// difference shows: if a byte that the interpreter read has changed since, the difference counts as `disturbed`.
/// @thread its vCPU's.
class Verifier {
public:
    explicit Verifier(interpreter::Processor& processor);

    /// Before `t` is entered at the processor's rip. @pre no other block is linked to, and `t` stays until agrees().
    void rehearse(const Translation& t);
    /// Within the block, behind an instruction that the interpreter did for translated code.
    void rehearse_rest();
    /// Translated code has left its state in the processor. Without a rehearsal since the last call, nothing is
    /// compared. @return false: report() shows the difference.
    [[nodiscard]] bool agrees(Arrival arrival);

    /// Where control goes when it leaves the block, if the interpreter got that far.
    [[nodiscard]] std::optional<std::uint64_t> destination() const;
    /// The last difference; empty until there is one.
    [[nodiscard]] const std::string& report() const { return report_; }
    [[nodiscard]] const VerifierCounters& counters() const { return counters_; }
    /// How many blocks were rehearsed.
    [[nodiscard]] std::uint64_t rehearsal_count() const { return rehearsal_count_; }

private:
    /// In front of an instruction, or behind the last.
    struct Point {
        VerifiedState state;
        std::size_t store_count = 0;
    };
    enum class End : std::uint8_t {
        kLeft,  ///< control left the block: the last point is where it went
        kFault, ///< the instruction at the last point raises an exception that translated code cannot miss
        kOpen,  ///< the instruction at the last point is not for rehearsals
    };

    [[nodiscard]] const BlockSteps& steps_of(const Translation& t);
    void run_from(std::size_t step);
    [[nodiscard]] End rehearse_steps(std::size_t step);
    void keep_point();
    [[nodiscard]] const Point* expected(Arrival arrival) const;
    [[nodiscard]] bool compare(Arrival arrival);
    [[nodiscard]] bool differ(std::string what, const Point& expected);

    interpreter::Processor& processor_;
    std::unique_ptr<interpreter::Processor> oracle_;
    interpreter::Rehearsal rehearsal_;

    struct KnownSteps {
        std::uint64_t page;
        std::uint32_t generation;
        BlockSteps steps;
    };
    std::unordered_map<const std::uint8_t*, KnownSteps> known_; ///< by Translation::code
    std::unique_ptr<GuestBlock> decoded_;

    const Translation* translation_ = nullptr;
    const BlockSteps* block_ = nullptr;
    std::unique_ptr<std::array<Point, GuestBlock::kMaxInstructions + 1>> points_;
    std::size_t point_count_ = 0;
    VerifiedState actual_; ///< of the translated run
    End end_ = End::kOpen;
    bool is_pending_ = false;
    std::uint64_t rehearsal_count_ = 0;
    VerifierCounters counters_;
    std::string report_;
};

} // namespace touka::cpu::translator
