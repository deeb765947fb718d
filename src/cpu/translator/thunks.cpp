#include "cpu/translator/thunks.hpp"

#include <xbyak/xbyak.h>

#include <cstddef>

#include "cpu/translator/jump_code.hpp"
#include "cpu/translator/register_map.hpp"
#include "cpu/translator/vector_code.hpp"
#include "spec/x86/floating_point_state.hpp"

namespace touka::cpu::translator {
namespace {

using namespace Xbyak::util;
using Xbyak::Reg64;

class ThunkWriter : public Xbyak::CodeGenerator {
public:
    ThunkWriter(interpreter::CodeMemory& code, const FrameOffsets& offsets)
        : CodeGenerator(code.free_space().size(), code.free_space().data()), o_(offsets),
          executable_(code.free_space_executable()) {}

    /// The host's callee-saved registers are on its own stack meanwhile.
    const void* enter() {
        const void* at = begin();
        for (const Reg64& reg : kCalleeSaved) push(reg);
        mov(ptr[rdi + o_.host_rsp], rsp);
        mov(rsp, rdi);
        mov(rcx, rsi);
        mov(r14, ptr[rsp + o_.table]);
        load_mapped(0);
        jmp(rcx);
        return at;
    }

    const void* to_flags_entry() {
        const void* at = begin();
        movzx(eax, word[rsp + o_.status]);
        add(al, 0x7F); // see BlockEmitter::flags_host
        sahf();
        not_(word[rsp + o_.status]);
        jmp(ptr[rsp + o_.jump_code]);
        return at;
    }

    /// @return the address behind which EAX is the reason and rip is set.
    const void* leave() {
        const void* at = begin();
        mov(dword[rsp + o_.exit_reason], eax);
        save_mapped(0);
        bring_vectors_home();
        restore_host();
        return at;
    }

    const void* exit_at_offset(ExitReason reason, const void* leave) {
        const void* at = begin();
        set_rip();
        return jump_out(at, reason, leave);
    }
    const void* exit_unfinished(Unfinished why, bool with_flags, const void* leave) {
        const void* at = begin();
        if (with_flags) save_flags();
        set_rip();
        mov(dword[rsp + o_.exit_data], static_cast<std::uint32_t>(why));
        return jump_out(at, ExitReason::kInterpret, leave);
    }
    const void* exit_lookup(const void* leave) {
        const void* at = begin();
        mov(ptr[rsp + o_.rip], rax);
        return jump_out(at, ExitReason::kLookup, leave);
    }
    const void* far_jump(const void* leave) {
        const void* at = begin();
        static_assert(sizeof(FarKey) == 2 * 8);
        mov(dword[rsp + o_.exit_data], ecx);
        movsxd(rax, eax);
        add(rax, ptr[rsp + o_.rip_base]);
        add(ecx, ecx);
        sub(dword[rsp + rcx * 8 + o_.far_keys + offsetof(FarKey, patience)], 1);
        Xbyak::Label impatient;
        jb(impatient);
        go_by_cache();
        jumps_.change_key();
        L(impatient);
        mov(ptr[rsp + o_.rip], rax);
        return jump_out(at, ExitReason::kFarLink, leave);
    }
    const void* transfer(const Callees& callees, const void* leave) {
        const void* at = begin();
        set_rip();
        save_mapped(0);
        bring_vectors_home();
        Xbyak::Label done;
        mov(rdi, reinterpret_cast<std::uint64_t>(callees.self));
        mov(rax, reinterpret_cast<std::uint64_t>(callees.transfer));
        call(rax);
        test(eax, eax);
        jnz(done);
        mov(dword[rsp + o_.exit_reason], static_cast<std::uint32_t>(ExitReason::kDone));
        restore_host();
        L(done);
        load_mapped(0);
        mov(r14, ptr[rsp + o_.table]);
        mov(rax, ptr[rsp + o_.rip]);
        go_by_cache();
        return jump_out(at, ExitReason::kLookup, leave);
    }
    const void* exit_link(bool with_flags, const void* leave) {
        const void* at = begin();
        if (with_flags) save_flags();
        mov(dword[rsp + o_.exit_data], ecx);
        return jump_out(at, ExitReason::kLink, leave);
    }

    const void* fill(const Callees& callees) {
        const void* at = begin();
        save_mapped(0);
        mov(esi, ecx);
        Xbyak::Label no_vectors, done, leave;
        cmp(dword[rsp + o_.sse_off], 0);
        jne(no_vectors, T_NEAR);
        vectors_.save(0);
        vzeroupper();
        L(no_vectors);
        static_assert(kHostPointers[1] == 8);
        mov(ptr[rsp + o_.kept_pointer], r8);
        mov(rdi, reinterpret_cast<std::uint64_t>(callees.self));
        mov(rax, reinterpret_cast<std::uint64_t>(callees.fill));
        call(rax);
        test(rax, rax);
        jz(leave, T_NEAR);
        mov(ptr[rsp + o_.go_on], rax);
        cmp(dword[rsp + o_.sse_off], 0);
        jne(done, T_NEAR);
        vectors_.restore(0);
        L(done);
        mov(r8, ptr[rsp + o_.kept_pointer]);
        for_each_caller_saved([&](std::size_t guest, const Reg64& host) { mov(host, ptr[rsp + o_.gpr + guest * 8]); });
        jmp(ptr[rsp + o_.go_on]);
        L(leave);
        leave_saved();
        return at;
    }

    const void* interpret(const Callees& callees) {
        const void* at = begin();
        add(rcx, ptr[rsp + kCalled + o_.rip_base]);
        mov(ptr[rsp + kCalled + o_.rip], rcx);
        mov(dword[rsp + kCalled + o_.next_offset], eax);
        save_mapped(kCalled);
        Xbyak::Label no_vectors, leave, done;
        cmp(dword[rsp + kCalled + o_.sse_off], 0);
        jne(no_vectors, T_NEAR);
        vectors_.save(kCalled);
        ldmxcsr(ptr[rsp + kCalled + o_.host_mxcsr]);
        vzeroupper();
        L(no_vectors);
        call_out(callees.self, reinterpret_cast<std::uint64_t>(callees.interpret));
        test(eax, eax);
        jz(leave, T_NEAR);
        cmp(dword[rsp + kCalled + o_.sse_off], 0);
        jne(done, T_NEAR);
        vectors_.restore(kCalled);
        L(done);
        load_mapped(kCalled);
        mov(r14, ptr[rsp + kCalled + o_.table]);
        ret();
        L(leave);
        mov(dword[rsp + kCalled + o_.exit_reason], static_cast<std::uint32_t>(ExitReason::kDone));
        add(rsp, static_cast<std::uint32_t>(kCalled));
        leave_saved();
        return at;
    }

    const void* load_vectors() {
        const void* at = begin();
        Xbyak::Label refused, loaded;
        cmp(dword[rsp + kCalled + o_.sse_allowed], 0);
        je(refused, T_NEAR);
        cmp(dword[rsp + kCalled + o_.sse_off], 0);
        je(loaded, T_NEAR);
        vectors_.restore(kCalled);
        L(loaded);
        vectors_.note_loaded();
        L(refused);
        ret();
        return at;
    }

    const void* load_avx512() {
        const void* at = begin();
        Xbyak::Label refused, has_lower, loaded;
        cmp(dword[rsp + kCalled + o_.avx512_allowed], 0);
        je(refused, T_NEAR);
        cmp(dword[rsp + kCalled + o_.sse_off], 0);
        je(has_lower, T_NEAR);
        vectors_.restore(kCalled);
        L(has_lower);
        cmp(dword[rsp + kCalled + o_.avx512_loaded], 0);
        jne(loaded, T_NEAR);
        vectors_.restore_avx512(kCalled);
        L(loaded);
        vectors_.note_loaded();
        L(refused);
        ret();
        return at;
    }

private:
    static constexpr std::size_t kCalled = VectorCode::kCalled;
    static inline const Reg64 kCalleeSaved[] = {Reg64(3), Reg64(5), Reg64(12), Reg64(13), Reg64(14), Reg64(15)};

    const void* begin() {
        align(16);
        return executable_ + getSize();
    }
    /// Jumps to `leave`, whose executable address is given.
    const void* jump_out(const void* at, ExitReason reason, const void* leave) {
        mov(eax, static_cast<std::uint32_t>(reason));
        jmp(getCode() + (static_cast<const std::uint8_t*>(leave) - executable_), T_NEAR);
        return at;
    }
    void for_each_mapped(auto&& function) {
        for (std::size_t guest = 0; guest < kHostOf.size(); ++guest) {
            const HostRegister host = kHostOf[guest];
            if (host != kAtHome) function(guest, Reg64(host));
        }
    }
    void for_each_caller_saved(auto&& function) {
        for_each_mapped([&](std::size_t guest, const Reg64& host) {
            const bool callee_saved = host.getIdx() == 3 || host.getIdx() == 5 || host.getIdx() >= 12;
            if (!callee_saved) function(guest, host);
        });
    }
    /// Back to the stack that enter() came on, and out.
    void restore_host() {
        mov(rsp, ptr[rsp + o_.host_rsp]);
        for (std::size_t n = std::size(kCalleeSaved); n-- > 0;) pop(kCalleeSaved[n]);
        ret();
    }
    /// Out of a thunk that has saved everything.
    void leave_saved() {
        put_vectors_away();
        restore_host();
    }
    /// Where the jump cache knows the linear address in RAX, goes there; else on behind this, with its key in RAX.
    void go_by_cache() {
        Xbyak::Label found, missed;
        jumps_.look_up();
        je(found);
        jumps_.look_further();
        jne(missed);
        L(found);
        jumps_.enter();
        jmp(jumps_.found());
        L(missed);
    }
    /// What the host's vector registers have of the guest's is in RegisterFile, and they are the host's again.
    void bring_vectors_home() {
        Xbyak::Label none;
        cmp(dword[rsp + o_.sse_off], 0);
        jne(none, T_NEAR);
        vectors_.save(0);
        put_vectors_away();
        L(none);
    }
    /// The host's vector registers are the host's again.
    void put_vectors_away() {
        vectors_.note_gone();
        ldmxcsr(ptr[rsp + o_.host_mxcsr]);
        vzeroupper();
    }
    void save_mapped(std::size_t shift) {
        for_each_mapped(
            [&](std::size_t guest, const Reg64& host) { mov(ptr[rsp + shift + o_.gpr + guest * 8], host); });
    }
    void load_mapped(std::size_t shift) {
        for_each_mapped(
            [&](std::size_t guest, const Reg64& host) { mov(host, ptr[rsp + shift + o_.gpr + guest * 8]); });
    }
    void save_flags() {
        lahf();
        seto(al);
        mov(word[rsp + o_.status], ax);
    }
    void set_rip() {
        add(rcx, ptr[rsp + o_.rip_base]);
        mov(ptr[rsp + o_.rip], rcx);
    }
    /// From within a thunk that was called.
    void call_out(void* self, std::uint64_t function) {
        mov(rdi, reinterpret_cast<std::uint64_t>(self));
        mov(rax, function);
        sub(rsp, 8);
        call(rax);
        add(rsp, 8);
    }
    const FrameOffsets& o_;
    const std::uint8_t* executable_;
    JumpCode jumps_{*this, o_};
    VectorCode vectors_{*this, o_};
};

} // namespace

FrameOffsets::FrameOffsets(const VcpuMemory& v) {
    const Processor& p = v.processor;
    const Frame& f = v.frame;
    gpr = v.offset_of(p.regs.gpr);
    status = v.offset_of(p.regs.status);
    system_flags = v.offset_of(p.system_flags);
    rip = v.offset_of(p.rip);
    requests = v.offset_of(p.requests);
    vectors = v.offset_of(p.regs.vector);
    mxcsr = v.offset_of(p.regs.mxcsr);
    fs_base = v.offset_of(p.segment(SegmentName::kFs).base);
    gs_base = v.offset_of(p.segment(SegmentName::kGs).base);
    host_rsp = v.offset_of(f.host_rsp);
    rip_base = v.offset_of(f.rip_base);
    table = v.offset_of(f.table);
    open_table = v.offset_of(f.open_table);
    closed_table = v.offset_of(f.closed_table);
    jump_generation = v.offset_of(f.jump_generation);
    jumps = v.offset_of(f.jumps);
    far_keys = v.offset_of(f.far_keys);
    jump_code = v.offset_of(f.jump_code);
    kernel_gs_base = v.offset_of(p.msr.kernel_gs_base);
    tsc_offset = v.offset_of(p.msr.tsc_offset);
    tsc_aux = v.offset_of(p.msr.tsc_aux);
    cr4 = v.offset_of(p.cr4);
    interrupt_waiting = v.offset_of(p.interrupt_waiting);
    next_offset = v.offset_of(f.next_offset);
    selectors = v.offset_of(p.segments.front().selector);
    kept_pointer = v.offset_of(f.kept_pointer);
    go_on = v.offset_of(f.go_on);
    x87_place = v.offset_of(p.regs.x87_place);
    sse_off = v.offset_of(f.sse_off);
    avx_off = v.offset_of(f.avx_off);
    sse_allowed = v.offset_of(f.sse_allowed);
    avx_allowed = v.offset_of(f.avx_allowed);
    avx512_off = v.offset_of(f.avx512_off);
    avx512_allowed = v.offset_of(f.avx512_allowed);
    avx512_loaded = v.offset_of(f.avx512_loaded);
    hi256_in_use = v.offset_of(p.regs.hi256_in_use);
    hi16_zmm = v.offset_of(p.regs.hi16_zmm);
    zmm_hi256 = v.offset_of(p.regs.zmm_hi256);
    opmask = v.offset_of(p.regs.opmask);
    exit_reason = v.offset_of(f.exit_reason);
    exit_data = v.offset_of(f.exit_data);
    host_mxcsr = v.offset_of(f.host_mxcsr);
}

Thunks make_thunks(interpreter::CodeMemory& code, const FrameOffsets& offsets, const Callees& callees) {
    ThunkWriter w(code, offsets);
    Thunks t;
    t.enter = reinterpret_cast<void (*)(VcpuMemory*, const void*)>(reinterpret_cast<std::uintptr_t>(w.enter()));
    t.to_flags_entry = w.to_flags_entry();
    const void* leave = w.leave();
    t.exit_interpret = w.exit_at_offset(ExitReason::kInterpret, leave);
    t.exit_request = w.exit_at_offset(ExitReason::kRequest, leave);
    t.exit_x87 = w.exit_at_offset(ExitReason::kX87, leave);
    t.exit_unvectored = w.exit_unfinished(Unfinished::kVectors, false, leave);
    t.exit_jump_miss = w.exit_unfinished(Unfinished::kJumpMiss, false, leave);
    t.exit_fault = w.exit_unfinished(Unfinished::kHostFault, false, leave);
    t.exit_fault_flags = w.exit_unfinished(Unfinished::kHostFault, true, leave);
    t.exit_lookup = w.exit_lookup(leave);
    t.far_jump = w.far_jump(leave);
    t.exit_link = w.exit_link(false, leave);
    t.exit_link_flags = w.exit_link(true, leave);
    t.fill = w.fill(callees);
    t.interpret = w.interpret(callees);
    t.transfer = w.transfer(callees, leave);
    t.load_vectors = w.load_vectors();
    t.load_avx512 = w.load_avx512();
    code.commit(w.getSize());
    return t;
}

} // namespace touka::cpu::translator
