#include "cpu/translator/verifier.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/run_loop.hpp"
#include "cpu/interpreter/x87_state.hpp"
#include "cpu/translator/difference_report.hpp"
#include "spec/address.hpp"

namespace touka::cpu::translator {

using interpreter::Processor;
using spec::kPageSize;
using spec::x86::Exception;

namespace {

/// All that instructions of 64-bit code look at. @pre x87 registers of `from` are home, if they are among the parts.
void mirror(const Processor& from, Processor& to, RegisterParts parts) {
    to.regs.gpr = from.regs.gpr;
    to.regs.status = from.regs.status;
    to.regs.mxcsr = from.regs.mxcsr;
    if (parts.vectors) {
        to.regs.vector = from.regs.vector;
        to.regs.hi16_zmm = from.regs.hi16_zmm;
        to.regs.zmm_hi256 = from.regs.zmm_hi256;
        to.regs.hi256_in_use = from.regs.hi256_in_use;
        to.regs.opmask = from.regs.opmask;
    }
    if (parts.x87) to.regs.legacy = from.regs.legacy;
    to.rip = from.rip;
    to.system_flags = from.system_flags;
    to.segments = from.segments;
    to.cr0 = from.cr0;
    to.cr2 = from.cr2;
    to.cr3 = from.cr3;
    to.cr4 = from.cr4;
    to.xcr0 = from.xcr0;
    to.msr = from.msr;
    to.code_size = from.code_size;
    to.cpl = from.cpl;
    to.long_mode = from.long_mode;
    to.protected_mode = from.protected_mode;
    to.fault.reset();
    to.interrupt_shadow = false;
    interpreter::flush_tlb(to);
    interpreter::select_tlb(to);
}

} // namespace

std::string VerifierCounters::text() const {
    return fmt::format("verified: {} blocks, {} instructions; not compared: {}, disturbed: {}\n", blocks, instructions,
                       not_compared, disturbed);
}

Verifier::Verifier(Processor& processor)
    : processor_(processor),
      oracle_(std::make_unique<Processor>(processor.memory, processor.bus, processor.interrupts, processor.cpuid)),
      decoded_(std::make_unique<GuestBlock>()),
      points_(std::make_unique<std::array<Point, GuestBlock::kMaxInstructions + 1>>()) {
    oracle_->rehearsal = &rehearsal_;
}

const BlockSteps& Verifier::steps_of(const Translation& t) {
    const auto found = known_.find(t.code);
    if (found != known_.end() && found->second.page == t.page && found->second.generation == t.generation)
        return found->second.steps;
    decode_again(processor_.memory, t, *decoded_);
    return known_.insert_or_assign(t.code, KnownSteps{t.page, t.generation, BlockSteps(*decoded_)}).first->second.steps;
}

void Verifier::rehearse(const Translation& t) {
    ++rehearsal_count_;
    translation_ = &t;
    block_ = &steps_of(t);
    run_from(0);
}

void Verifier::rehearse_rest() {
    const auto offset = static_cast<std::uint16_t>(processor_.rip % kPageSize);
    const auto step = std::ranges::find(block_->steps, offset, &BlockSteps::Step::offset);
    run_from(static_cast<std::size_t>(step - block_->steps.begin()));
}

void Verifier::run_from(std::size_t step) {
    // The registers of this thread's FPU are the guest's, and now the oracle's for a while.
    const bool in_host = block_->parts.x87 && processor_.regs.x87_place != interpreter::X87Place::kImage;
    if (in_host) interpreter::save_x87(processor_.regs);
    mirror(processor_, *oracle_, block_->parts);
    rehearsal_.start();
    point_count_ = 0;
    end_ = rehearse_steps(step);
    if (in_host) interpreter::load_x87(processor_.regs);
    is_pending_ = true;
}

void Verifier::keep_point() {
    if (block_->parts.x87) interpreter::spill_x87(oracle_->regs);
    Point& point = (*points_)[point_count_++];
    point.state.take(*oracle_, block_->parts);
    point.store_count = rehearsal_.store_count();
}

Verifier::End Verifier::rehearse_steps(std::size_t first) {
    const std::uint64_t page = oracle_->rip & ~(kPageSize - 1);
    for (const BlockSteps::Step& step : std::span(block_->steps).subspan(first)) {
        keep_point();
        if (!step.is_own) return End::kOpen;
        interpreter::interpret_one(*oracle_);
        oracle_->interrupt_shadow = false; // the block goes on behind STI
        if (rehearsal_.has_given_up()) return End::kOpen;
        if (oracle_->fault) {
            // A translation that the guest has not flushed yet may still be in use.
            return oracle_->fault->exception == Exception::kPageFault ? End::kOpen : End::kFault;
        }
        if (oracle_->rip != page + step.next_offset) break;
    }
    keep_point();
    return End::kLeft;
}

const Verifier::Point* Verifier::expected(Arrival arrival) const {
    const auto points = std::span(*points_).first(point_count_);
    if (arrival == Arrival::kByJump) return end_ == End::kLeft ? &points.back() : nullptr;
    for (const Point& point : end_ == End::kLeft ? points.first(points.size() - 1) : points)
        if (point.state.rip == processor_.rip) return &point;
    return nullptr;
}

std::optional<std::uint64_t> Verifier::destination() const {
    if (end_ != End::kLeft) return std::nullopt;
    return (*points_)[point_count_ - 1].state.rip;
}

bool Verifier::agrees(Arrival arrival) {
    if (!std::exchange(is_pending_, false)) return true;
    const bool in_host = block_->parts.x87 && processor_.regs.x87_place != interpreter::X87Place::kImage;
    if (in_host) interpreter::save_x87(processor_.regs);
    const bool equal = compare(arrival);
    if (in_host) interpreter::load_x87(processor_.regs);
    return equal;
}

bool Verifier::compare(Arrival arrival) {
    const Point* point = expected(arrival);
    actual_.take(processor_, block_->parts);
    if (point == nullptr) {
        if (end_ == End::kOpen) {
            ++counters_.not_compared;
            return true;
        }
        const Point& last = (*points_)[point_count_ - 1];
        if (end_ == End::kLeft)
            return differ("translated code stands at an instruction that the interpreter did not reach", last);
        return differ(fmt::format("translated code went on where the interpreter finds exception {}",
                                  std::to_underlying(oracle_->fault->exception)),
                      last);
    }
    const bool same_memory = !rehearsal_.compare(processor_.memory, point->store_count);
    if (!same_memory || !actual_.equals(point->state, block_->parts))
        return differ("translated code and the interpreter differ", *point);
    ++counters_.blocks;
    counters_.instructions += static_cast<std::uint64_t>(point - points_->data());
    return true;
}

bool Verifier::differ(std::string what, const Point& point) {
    if (rehearsal_.has_memory_changed(processor_.memory)) {
        ++counters_.disturbed;
        return true;
    }
    report_ = DifferenceReport{.memory = processor_.memory,
                               .translation = *translation_,
                               .what = std::move(what),
                               .parts = block_->parts,
                               .before = points_->front().state,
                               .interpreted = point.state,
                               .translated = actual_,
                               .stored = rehearsal_.compare(processor_.memory, point.store_count)}
                  .text();
    return false;
}

} // namespace touka::cpu::translator
