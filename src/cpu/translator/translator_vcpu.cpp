#include "cpu/translator/translator_vcpu.hpp"

#include <bit>
#include <utility>

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/mode.hpp"
#include "cpu/interpreter/x87_state.hpp"
#include "cpu/translator/host_faults.hpp"
#include "cpu/translator/jump_cache.hpp"
#include "spec/x86/floating_point_state.hpp"

namespace touka::cpu::translator {

using interpreter::StopReason;
using spec::kPageSize;
using namespace spec::x86;
namespace request = interpreter::request;

namespace {

/// From the first element to the one that the bit is in.
std::uint64_t element_distance(const EffectiveAddress& a, std::uint64_t bit) {
    const unsigned unused_bits = 64 - a.element_bytes * 8u;
    const auto number = static_cast<std::int64_t>(bit << unused_bits) >> unused_bits;
    return static_cast<std::uint64_t>(number >> std::countr_zero(a.element_bytes * 8u)) * a.element_bytes;
}

interpreter::OwnedProcessor borrow(Processor& processor) {
    return {&processor, [](Processor*) {}};
}

} // namespace

TranslatorVcpu::TranslatorVcpu(Region region, const TranslationObservers& observers, Turn* turn, std::size_t code_bytes)
    : InterpreterVcpu(borrow(region->processor)), vcpu_(*region), region_(std::move(region)), spaces_(vcpu_),
      cache_(vcpu_, spaces_,
             {.self = this, .fill = &fill, .interpret = &interpret_inline, .transfer = &transfer_inline}, observers,
             code_bytes),
      turn_(turn), verifier_(turn != nullptr ? std::make_unique<Verifier>(vcpu_.processor) : nullptr) {
    vcpu_.processor.translations = &spaces_;
}

TranslatorVcpu::~TranslatorVcpu() { vcpu_.processor.translations = nullptr; }

void TranslatorVcpu::bring_flags(const FlagRecipe& recipe) {
    auto& regs = vcpu_.processor.regs;
    if (recipe) regs.status = follow(recipe, regs.gpr);
}

const void* TranslatorVcpu::fill(void* self, std::uint32_t check_number) {
    auto& vcpu = *static_cast<TranslatorVcpu*>(self);
    const CheckSite& check = vcpu.cache_.check(check_number);
    const auto result = vcpu.spaces_.fill(vcpu.linear_address(check.address), check.length_bytes, check.writes);
    if (result == AddressSpaces::Fill::kDone) return vcpu.cache_.retry(check);
    vcpu.bring_flags(check.flags);
    Frame& frame = vcpu.vcpu_.frame;
    vcpu.vcpu_.processor.rip = frame.rip_base + check.offset;
    const bool crossing = result == AddressSpaces::Fill::kCrossing;
    frame.exit_reason = std::to_underlying(ExitReason::kInterpret);
    frame.exit_data = std::to_underlying(crossing ? Unfinished::kCrossing : Unfinished::kRefused);
    return nullptr;
}

bool TranslatorVcpu::interpret_within() {
    Processor& p = vcpu_.processor;
    if (!passes_check(Arrival::kAtInstruction)) return false;
    statistics_.count_interpreted(vcpu_.frame.exit_data);
    interpreter::select_tlb(p);
    interpreter::interpret_one(p);
    return !p.attention && p.requests.load(std::memory_order_relaxed) == 0;
}

std::uint32_t TranslatorVcpu::interpret_inline(void* self) {
    auto& vcpu = *static_cast<TranslatorVcpu*>(self);
    const Frame& frame = vcpu.vcpu_.frame;
    if (!vcpu.interpret_within()) return 0;
    if (vcpu.vcpu_.processor.rip != frame.rip_base + frame.next_offset) return 0;
    vcpu.spaces_.select();
    if (vcpu.verifier_ != nullptr) {
        vcpu.verifier_->rehearse_rest();
        vcpu.expect_jump();
    }
    return 1;
}

std::uint32_t TranslatorVcpu::transfer_inline(void* self) {
    auto& vcpu = *static_cast<TranslatorVcpu*>(self);
    if (!vcpu.interpret_within() || vcpu.verifier_ != nullptr || !vcpu.is_translatable()) return 0;
    vcpu.select();
    return 1;
}

void TranslatorVcpu::select() {
    spaces_.select();
    if (spaces_.take_used_anew()) cache_.forget_far_links();
    allow_vectors();
}

bool TranslatorVcpu::is_translatable() const {
    const Processor& p = vcpu_.processor;
    if (p.code_size != interpreter::CodeSize::k64 || !p.protected_mode) return false;
    return p.cpl == 0 || (p.cpl == 3 && ((p.system_flags & rflags::AC) == 0 || (p.cr0 & cr0::AM) == 0));
}

void TranslatorVcpu::allow_vectors() {
    const Processor& p = vcpu_.processor;
    constexpr std::uint64_t kAvxState = xsave::kSse | xsave::kAvx;
    // With an exception unmasked the interpreter finds out what the instruction raises.
    const bool masked = (p.regs.mxcsr & mxcsr::kMasks) == mxcsr::kMasks;
    const bool sse = masked && (p.cr0 & (cr0::EM | cr0::TS)) == 0 && (p.cr4 & cr4::OSFXSR) != 0;
    const bool avx = sse && (p.cr4 & cr4::OSXSAVE) != 0 && (p.xcr0 & kAvxState) == kAvxState;
    vcpu_.frame.sse_allowed = sse ? 1 : 0;
    vcpu_.frame.avx_allowed = avx ? 1 : 0;
    vcpu_.frame.avx512_allowed = avx && (p.xcr0 & xsave::kAvx512) == xsave::kAvx512 ? 1 : 0;
}

const void* TranslatorVcpu::find_entry() {
    Processor& p = vcpu_.processor;
    if (const void* known = recall_jump(vcpu_.frame, p.rip); known != nullptr && verifier_ == nullptr) return known;
    ++statistics_.jump_cache_misses;
    const auto physical = code_at_rip();
    if (!physical) return nullptr;
    const Translation* t = cache_.find(p.rip, *physical, mode(), std::exchange(enters_grouped_, true));
    if (t == nullptr) return nullptr;
    if (verifier_ != nullptr) return checked_entry(*t);
    remember(*t);
    return t->entry();
}

std::optional<spec::GuestAddress> TranslatorVcpu::code_at_rip() {
    const interpreter::CodePointer code = interpreter::fetch_pointer(vcpu_.processor, vcpu_.processor.rip);
    if (!code.ok || code.host == nullptr) return std::nullopt;
    return code.physical;
}

BlockMode TranslatorVcpu::mode() const { return vcpu_.processor.cpl == 3 ? BlockMode::kUser : BlockMode::kSupervisor; }

void TranslatorVcpu::remember(const Translation& target) {
    const std::uint64_t rip = vcpu_.processor.rip;
    remember_jump(vcpu_.frame, rip, target.entry());
    spaces_.note_code(rip);
    if (target.second_page != Translation::kOnePage) spaces_.note_code(rip + kPageSize);
}

void TranslatorVcpu::follow_far_link() {
    const auto physical = code_at_rip();
    vcpu_.processor.fault.reset(); // it is found again when execution goes on
    if (!physical) return;
    const Translation* target = cache_.link_far(vcpu_.frame.exit_data, vcpu_.processor.rip, *physical, mode());
    if (target != nullptr) remember(*target);
}

const void* TranslatorVcpu::checked_entry(const Translation& t) {
    verifier_->rehearse(t);
    expect_jump();
    // Linked jumps bring the flags in EFLAGS, so that has its turn as well.
    if (verifier_->rehearsal_count() % 2 == 0) return t.entry();
    vcpu_.frame.jump_code = t.code + t.entries.flags;
    return cache_.thunks().to_flags_entry;
}

void TranslatorVcpu::expect_jump() {
    if (const auto rip = verifier_->destination()) remember_jump(vcpu_.frame, *rip, cache_.thunks().exit_lookup);
}

bool TranslatorVcpu::passes_check(Arrival arrival) {
    if (verifier_ == nullptr || verifier_->agrees(arrival)) return true;
    has_difference_ = true;
    vcpu_.processor.attention = true;
    return false;
}

Arrival TranslatorVcpu::arrival() const {
    switch (static_cast<ExitReason>(vcpu_.frame.exit_reason)) {
        case ExitReason::kLookup:
        case ExitReason::kFarLink: return Arrival::kByJump;
        // A link to the same instruction, whose accesses are then checked each for itself, is no jump.
        case ExitReason::kLink:
            return cache_.link_at(vcpu_.frame.exit_data).grouped ? Arrival::kByJump : Arrival::kAtInstruction;
        default: return Arrival::kAtInstruction;
    }
}

void TranslatorVcpu::take_link_target() {
    vcpu_.processor.rip = vcpu_.frame.rip_base + cache_.link_at(vcpu_.frame.exit_data).target;
}

std::uint64_t TranslatorVcpu::linear_address(const EffectiveAddress& a) const {
    const Processor& p = vcpu_.processor;
    std::uint64_t sum = static_cast<std::uint64_t>(std::int64_t{a.displacement});
    if (a.base == EffectiveAddress::kRip)
        sum += vcpu_.frame.rip_base;
    else if (a.base != EffectiveAddress::kNone)
        sum += p.regs.gpr[a.base];
    if (a.index != EffectiveAddress::kNone) sum += p.regs.gpr[a.index] * a.scale;
    if (a.bit != EffectiveAddress::kNone) sum += element_distance(a, p.regs.gpr[a.bit]);
    if (a.has_short_address) sum &= 0xFFFF'FFFF;
    if (a.has_base_segment) sum += p.segment(a.is_gs ? SegmentName::kGs : SegmentName::kFs).base;
    return sum;
}

void TranslatorVcpu::interpret_left_over() {
    Processor& p = vcpu_.processor;
    if (std::exchange(vcpu_.frame.fault_site, nullptr) != nullptr) ++statistics_.host_faults;
    statistics_.count_interpreted(vcpu_.frame.exit_data);
    interpreter::select_tlb(p);
    interpreter::interpret_one(p);
}

void TranslatorVcpu::bring_x87() {
    Processor& p = vcpu_.processor;
    const bool allowed = (p.cr0 & (cr0::EM | cr0::TS)) == 0;
    if (allowed && p.regs.x87_place == interpreter::X87Place::kImage) interpreter::load_x87(p.regs);
    if (allowed && p.regs.x87_place == interpreter::X87Place::kHost) return;
    vcpu_.frame.exit_data = std::to_underlying(Unfinished::kVectors);
    interpret_left_over();
}

void TranslatorVcpu::run_translated() {
    Processor& p = vcpu_.processor;
    select();
    const void* entry = find_entry();
    if (entry == nullptr) {
        // A fault of the fetch, or code outside of RAM.
        if (!p.fault) interpreter::interpret_one(p);
        return;
    }
    vcpu_.frame.rip_base = p.rip & ~(kPageSize - 1);
    cache_.thunks().enter(&vcpu_, entry);
    ++statistics_.exits[vcpu_.frame.exit_reason];
    const auto reason = static_cast<ExitReason>(vcpu_.frame.exit_reason);
    if (reason == ExitReason::kLink) take_link_target();
    if (vcpu_.frame.fault_site != nullptr) bring_flags(vcpu_.frame.fault_site->flags);
    if (!passes_check(arrival())) return;
    switch (reason) {
        case ExitReason::kLookup:
        case ExitReason::kDone: break;
        // An interrupt that waited for STI is not among the requests any more.
        case ExitReason::kRequest: p.attention |= p.interrupt_waiting != 0; break;
        case ExitReason::kLink:
            if (verifier_ == nullptr)
                cache_.link(vcpu_.frame.exit_data, p.rip);
            else
                enters_grouped_ = cache_.link_at(vcpu_.frame.exit_data).grouped;
            break;
        case ExitReason::kFarLink:
            if (verifier_ == nullptr) follow_far_link();
            break;
        case ExitReason::kX87: bring_x87(); break;
        case ExitReason::kInterpret: interpret_left_over(); break;
    }
}

/// The handlers are looked at once a run, not whenever the guest wakes up: system calls are dear there.
VcpuExit TranslatorVcpu::run() {
    const HostFaultScope faults(vcpu_.frame, cache_);
    return InterpreterVcpu::run();
}

StopReason TranslatorVcpu::execute_processor() {
    Processor& p = vcpu_.processor;
    TurnHolder turn(turn_);
    p.attention = true;
    for (;;) {
        turn.offer();
        const std::uint32_t requests = p.requests.load(std::memory_order_relaxed);
        if (requests != 0 || p.attention) [[unlikely]] {
            if ((requests & request::kCodeWritten) != 0) {
                p.requests.fetch_and(~request::kCodeWritten, std::memory_order_acquire);
                cache_.drop_stale();
            }
            if (std::exchange(has_difference_, false)) return StopReason::kDiffered;
            StopReason reason{};
            if (!interpreter::attend(p, reason)) {
                p.attention = true;
                return reason;
            }
            if (p.attention) continue;
        }
        if (is_translatable()) [[likely]]
            run_translated();
        else
            interpreter::interpret_block(p);
    }
}

std::string TranslatorVcpu::report() const {
    std::string text = InterpreterVcpu::report() + statistics().text();
    if (verifier_ != nullptr) text += verifier_->counters().text();
    return text;
}

std::string TranslatorVcpu::failure() const {
    return (verifier_ != nullptr ? verifier_->report() : "") + InterpreterVcpu::failure();
}

Statistics TranslatorVcpu::statistics() const {
    Statistics s = statistics_;
    s.cache = cache_.counters();
    s.lookaside_fills = spaces_.fill_count();
    s.lookaside_flushes = spaces_.flush_count();
    return s;
}

} // namespace touka::cpu::translator
