#include "cpu/translator/translator_vcpu.hpp"

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

interpreter::OwnedProcessor borrow(Processor& processor) {
    return {&processor, [](Processor*) {}};
}

} // namespace

TranslatorVcpu::TranslatorVcpu(Region region, const memory::GuardedView& view, const TranslationObservers& observers,
                               std::size_t code_bytes)
    : InterpreterVcpu(borrow(region->processor)), vcpu_(*region), region_(std::move(region)), spaces_(vcpu_, view),
      cache_(vcpu_, {.self = this, .fill = &fill, .interpret = &interpret_inline}, observers, code_bytes) {
    vcpu_.processor.translations = &spaces_;
}

TranslatorVcpu::~TranslatorVcpu() { vcpu_.processor.translations = nullptr; }

std::uint32_t TranslatorVcpu::fill(void* self, std::uint64_t linear, AccessWord access) {
    auto& vcpu = *static_cast<TranslatorVcpu*>(self);
    const auto result = vcpu.spaces_.fill(linear, access.length_bytes(), access.is_write());
    if (result == AddressSpaces::Fill::kDone) return 1;
    Frame& frame = vcpu.vcpu_.frame;
    vcpu.vcpu_.processor.rip = frame.rip_base + access.offset();
    const bool crossing = result == AddressSpaces::Fill::kCrossing;
    frame.exit_reason = std::to_underlying(ExitReason::kInterpret);
    frame.exit_data = std::to_underlying(crossing ? Unfinished::kCrossing : Unfinished::kRefused);
    return 0;
}

std::uint32_t TranslatorVcpu::interpret_inline(void* self) {
    auto& vcpu = *static_cast<TranslatorVcpu*>(self);
    Processor& p = vcpu.vcpu_.processor;
    const Frame& frame = vcpu.vcpu_.frame;
    vcpu.statistics_.count_interpreted(frame.exit_data);
    interpreter::select_tlb(p);
    interpreter::interpret_one(p);
    if (p.attention || p.requests.load(std::memory_order_relaxed) != 0) return 0;
    if (p.rip != frame.rip_base + frame.next_offset) return 0;
    vcpu.spaces_.select();
    return 1;
}

bool TranslatorVcpu::is_translatable() const {
    const Processor& p = vcpu_.processor;
    if (p.code_size != interpreter::CodeSize::k64 || !p.protected_mode) return false;
    return p.cpl == 0 || (p.cpl == 3 && ((p.system_flags & rflags::AC) == 0 || (p.cr0 & cr0::AM) == 0));
}

void TranslatorVcpu::allow_vectors() {
    const Processor& p = vcpu_.processor;
    constexpr std::uint64_t kAvxState = 6;
    // With an exception unmasked the interpreter finds out what the instruction raises.
    const bool masked = (p.regs.mxcsr & mxcsr::kMasks) == mxcsr::kMasks;
    const bool sse = masked && (p.cr0 & (cr0::EM | cr0::TS)) == 0 && (p.cr4 & cr4::OSFXSR) != 0;
    const bool avx = sse && (p.cr4 & cr4::OSXSAVE) != 0 && (p.xcr0 & kAvxState) == kAvxState;
    vcpu_.frame.sse_allowed = sse ? 1 : 0;
    vcpu_.frame.avx_allowed = avx ? 1 : 0;
}

const void* TranslatorVcpu::find_entry() {
    Processor& p = vcpu_.processor;
    if (const void* known = recall_jump(vcpu_.frame, p.rip)) return known;
    ++statistics_.jump_cache_misses;
    const interpreter::CodePointer code = interpreter::fetch_pointer(p, p.rip);
    if (!code.ok || code.host == nullptr) return nullptr;
    const BlockMode mode = p.cpl == 3 ? BlockMode::kUser : BlockMode::kSupervisor;
    const Translation* t = cache_.find(p.rip, code.physical, mode);
    if (t == nullptr) return nullptr;
    remember_jump(vcpu_.frame, p.rip, t->jump_entry);
    spaces_.note_code(p.rip);
    if (t->second_page != Translation::kOnePage) spaces_.note_code(p.rip + kPageSize);
    return t->jump_entry;
}

void TranslatorVcpu::follow_link() {
    Processor& p = vcpu_.processor;
    const Link link = cache_.link_at(vcpu_.frame.exit_data);
    p.rip = vcpu_.frame.rip_base + link.target;
    cache_.link(vcpu_.frame.exit_data, p.rip);
}

std::uint64_t TranslatorVcpu::linear_address(const MemoryAccess& a) const {
    const Processor& p = vcpu_.processor;
    std::uint64_t sum = static_cast<std::uint64_t>(std::int64_t{a.displacement});
    if (a.base == MemoryAccess::kRip)
        sum += vcpu_.frame.rip_base;
    else if (a.base != MemoryAccess::kNone)
        sum += p.regs.gpr[a.base];
    if (a.index != MemoryAccess::kNone) sum += p.regs.gpr[a.index] * a.scale;
    if (a.has_short_address) sum &= 0xFFFF'FFFF;
    if (a.has_base_segment) sum += p.segment(a.is_gs ? SegmentName::kGs : SegmentName::kFs).base;
    return sum;
}

bool TranslatorVcpu::made_writable() {
    const MemoryAccess* access = cache_.access_at(vcpu_.frame.fault_at);
    if (access == nullptr || !access->writes) return false;
    const std::uint64_t linear = linear_address(*access);
    // The page is not to blame: CMPXCHG16B of an address that is not aligned, or the kernel's limit of mappings.
    if (spaces_.may_store(linear)) return false;
    // A page with code is written by the interpreter, which sees to it that the code is dropped.
    return spaces_.fill(linear, access->size_bytes, true) == AddressSpaces::Fill::kDone && spaces_.may_store(linear);
}

void TranslatorVcpu::interpret_left_over() {
    if (vcpu_.frame.fault_at != nullptr) {
        ++statistics_.host_faults;
        const bool retry = made_writable();
        vcpu_.frame.fault_at = nullptr;
        if (retry) return;
    }
    Processor& p = vcpu_.processor;
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
    spaces_.select();
    const void* entry = find_entry();
    if (entry == nullptr) {
        // A fault of the fetch, or code outside of RAM.
        if (!p.fault) interpreter::interpret_one(p);
        return;
    }
    allow_vectors();
    cache_.thunks().enter(&vcpu_.frame, entry, p.rip ^ vcpu_.frame.jump_generation);
    ++statistics_.exits[vcpu_.frame.exit_reason];
    switch (static_cast<ExitReason>(vcpu_.frame.exit_reason)) {
        case ExitReason::kLookup:
        case ExitReason::kDone: break;
        // An interrupt that waited for STI is not among the requests any more.
        case ExitReason::kRequest: p.attention |= p.interrupt_waiting != 0; break;
        case ExitReason::kLink: follow_link(); break;
        case ExitReason::kX87: bring_x87(); break;
        case ExitReason::kInterpret: interpret_left_over(); break;
    }
}

StopReason TranslatorVcpu::execute_processor() {
    Processor& p = vcpu_.processor;
    const HostFaultScope faults(vcpu_.frame, cache_);
    p.attention = true;
    for (;;) {
        const std::uint32_t requests = p.requests.load(std::memory_order_relaxed);
        if (requests != 0 || p.attention) [[unlikely]] {
            if ((requests & request::kCodeWritten) != 0) {
                p.requests.fetch_and(~request::kCodeWritten, std::memory_order_acquire);
                cache_.drop_stale();
            }
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

std::string TranslatorVcpu::report() const { return InterpreterVcpu::report() + statistics().text(); }

Statistics TranslatorVcpu::statistics() const {
    Statistics s = statistics_;
    s.cache = cache_.counters();
    s.lookaside_fills = spaces_.fill_count();
    s.lookaside_flushes = spaces_.flush_count();
    return s;
}

} // namespace touka::cpu::translator
