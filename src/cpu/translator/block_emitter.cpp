#include "cpu/translator/block_emitter.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "cpu/translator/flag_recipe.hpp"
#include "cpu/translator/lookaside_table.hpp"

namespace touka::cpu::translator {

bool BlockEmitter::overwrites_flags_first() const {
    if (block_->uses_vectors) return false;
    for (std::size_t n = 0; n < block_->count; ++n) {
        const GuestInstruction& i = block_->instructions[n];
        const bool simple = i.kind == Kind::kCopied || i.kind == Kind::kNothing || i.kind == Kind::kLea ||
                            (i.kind == Kind::kMultiplyDivide && i.flags.overwrites);
        if (!simple || i.has_access || i.flags.reads || i.uses_x87) return false;
        if (i.flags.overwrites) return !opens_ahead(i, following(n)); // the check would come first
    }
    return false;
}

BlockEmitter::BlockEmitter(interpreter::CodeMemory& memory, const FrameOffsets& offsets, const Thunks& thunks)
    : CodeGenerator(memory.size_bytes(), memory.writable_alias(memory.executable())), memory_(memory),
      executable_(memory.executable()), o_(offsets), thunks_(thunks) {
    make_pieces();
}

void BlockEmitter::put(std::span<const std::uint8_t> bytes) {
    std::ranges::copy(bytes, const_cast<std::uint8_t*>(getCurr()));
    setSize(getSize() + bytes.size());
}

CodePiece BlockEmitter::piece(auto&& assemble) {
    const std::size_t start = memory_.used_bytes();
    setSize(start);
    assemble();
    return CodePiece({getCode() + start, getSize() - start});
}

void BlockEmitter::make_pieces() {
    save_flags_ = piece([&] {
        lahf();
        seto(al);
        mov(word[rsp + o_.status], ax);
    });
    for (const HostRegister host : {kHostRax, kHostPointers[0], kHostPointers[1]}) {
        const Xbyak::Reg64 at(host);
        check_pieces_[pointer_number(at)] = {
            .read = piece([&] { assemble_look_up(at, false); }),
            .write = piece([&] { assemble_look_up(at, true); }),
            .address = piece([&] { add(at, in_table(LookasideTable::kHostPagesOffset)); }),
        };
    }
}

void BlockEmitter::jump_to_thunk(const void* thunk) { jmp(memory_.writable_alias(thunk), T_NEAR); }
void BlockEmitter::call_thunk(const void* thunk) { call(memory_.writable_alias(thunk)); }

std::size_t BlockEmitter::forward_jump(unsigned opcode) {
    const std::array<std::uint8_t, 6> jump{static_cast<std::uint8_t>(opcode >> 8), static_cast<std::uint8_t>(opcode)};
    put(std::span(jump).subspan(opcode > 0xFF ? 0 : 1));
    return getSize() - sizeof(std::uint32_t);
}

void BlockEmitter::resolve(std::size_t at) {
    const auto displacement = static_cast<std::int32_t>(getSize() - (at + 4));
    std::memcpy(const_cast<std::uint8_t*>(getCode()) + at, &displacement, sizeof(displacement));
}

void BlockEmitter::may_fault() {
    tables_->fault_sites.push_back(
        {.at = from_start(), .offset = offset_, .flags_in_eflags = flags_ == Flags::kHost, .flags = lost_flags()});
}

void BlockEmitter::leave_by(const void* thunk, std::uint16_t offset) {
    mov(ecx, offset);
    jump_to_thunk(thunk);
}

std::size_t BlockEmitter::vectors_off() const {
    if (block_->uses_avx512) return o_.avx512_off;
    return block_->uses_avx ? o_.avx_off : o_.sse_off;
}

void BlockEmitter::emit_entries(const GuestBlock& block, Translation& t) {
    const bool overwrites = overwrites_flags_first();
    t.entries.flags = from_start16();
    Xbyak::Label body;
    if (overwrites) {
        // Without touching EFLAGS.
        Xbyak::Label go_on;
        mov(ecx, dword[rsp + o_.requests]);
        jecxz(go_on);
        save_flags();
        mov(ecx, t.offset);
        jump_to_thunk(thunks_.exit_request);
        L(go_on);
        jmp(body, T_NEAR);
    } else {
        save_flags();
    }
    t.entries.home = from_start16();
    cmp(dword[rsp + o_.requests], 0);
    request_jump_ = forward_jump(0x0F85); // JNE
    t.entries.home_without_poll = from_start16();
    if (block.uses_vectors) {
        cmp(dword[rsp + vectors_off()], 0);
        vector_jump_ = forward_jump(0x0F85); // JNE
    }
    body_ = getSize();
    L(body);
    t.entries.flags_without_poll = overwrites ? from_start16() : t.entries.flags;
    flags_ = overwrites ? Flags::kEither : Flags::kHome;
}

void BlockEmitter::emit_instruction(const GuestInstruction& i) {
    switch (i.kind) {
        case Kind::kCopied:
            if (i.uses_x87) expect_x87(i);
            return copied(i);
        case Kind::kNothing: return;
        case Kind::kLea: return lea(i);
        case Kind::kPush: return push_value(i);
        case Kind::kPop: return pop_value(i);
        case Kind::kLeave: return leave_frame(i);
        case Kind::kMultiplyDivide: return multiply_divide(i);
        case Kind::kShiftByCl: return shift_by_cl(i);
        case Kind::kCompareExchange: return compare_exchange(i);
        case Kind::kSignExtend: return sign_extend(i);
        case Kind::kBitString: return bit_string(i);
        case Kind::kCompareStrings: return compare_strings(i);
        case Kind::kUserAccess: return user_access(i);
        case Kind::kPushFlags: return push_flags(i);
        case Kind::kReadSelector: return read_selector(i);
        case Kind::kInterruptFlag: return interrupt_flag(i);
        case Kind::kDirectionFlag: return direction_flag(i);
        case Kind::kSwapGs: return swap_gs();
        case Kind::kReadTimeStamp: return read_time_stamp(i);
        case Kind::kSegmentBase: return segment_base(i);
        case Kind::kString: return string_operation(i);
        case Kind::kCalled: return called(i);
        case Kind::kTransferred: return transferred(i);
        case Kind::kJump: return jump(i);
        case Kind::kJumpIf: return jump_if(i);
        case Kind::kJumpIndirect: return jump_indirect(i);
        case Kind::kCall: return call_direct(i);
        case Kind::kCallIndirect: return call_indirect(i);
        case Kind::kReturn: return return_near(i);
        case Kind::kInterpreted: break;
    }
    flags_home();
    mov(dword[rsp + o_.exit_data], 0u);
    leave_by(thunks_.exit_interpret, i.offset);
}

void BlockEmitter::emit_stubs(const Translation& t) {
    resolve(request_jump_);
    mov(ecx, t.offset);
    jump_to_thunk(thunks_.exit_request);

    if (block_->uses_vectors) {
        resolve(vector_jump_);
        call_thunk(block_->uses_avx512 ? thunks_.load_avx512 : thunks_.load_vectors);
        cmp(dword[rsp + vectors_off()], 0);
        je(static_cast<const void*>(getCode() + body_));
        leave_by(thunks_.exit_unvectored, t.offset);
    }
    for (const X87Stub& s : x87_stubs_) {
        resolve(s.jump);
        leave_by(thunks_.exit_x87, s.offset);
    }
    for (const RefusalStub& s : refusal_stubs_) {
        resolve(s.jump);
        mov(dword[rsp + o_.exit_data], static_cast<std::uint32_t>(s.instruction->decoded.info.mnemonic));
        leave_by(thunks_.exit_interpret, s.instruction->offset);
    }
    for (const MissStub& s : miss_stubs_) emit_miss_stub(s);
    for (const FarStub& s : far_stubs_) emit_far_stub(s);
    flags_ = Flags::kHome; // after a check they are
    for (const CheckStub& s : check_stubs_) emit_check_stub(s);
    for (const StringStub& s : string_stubs_) emit_string_stub(s);
    for (const LinkStub& s : link_stubs_) {
        resolve(s.jump);
        mov(ecx, s.number);
        jump_to_thunk(s.with_flags ? thunks_.exit_link_flags : thunks_.exit_link);
    }
}

void BlockEmitter::start(const GuestBlock& block, Translation& t, SideTables& tables) {
    block_ = &block;
    translation_ = &t;
    tables_ = &tables;
    if (cold_end_ - cold_at_ < kMaxPartBytes) {
        cold_at_ = memory_.used_bytes();
        cold_end_ = cold_at_ + kColdChunkBytes;
        memory_.commit(kColdChunkBytes);
    }
    start_ = memory_.used_bytes();
    setSize(start_);
    forget_pointers();
    opened_.fill(0);
    has_x87_ = false;
    opened_ahead_ = nullptr;
    flag_recipe_ = {};
    check_stubs_.clear();
    miss_stubs_.clear();
    far_stubs_.clear();
    x87_stubs_.clear();
    refusal_stubs_.clear();
    link_stubs_.clear();
    string_stubs_.clear();
}

void BlockEmitter::emit(const GuestBlock& block, Translation& t, SideTables& tables) {
    start(block, t, tables);
    t.code = here();
    t.length_bytes = static_cast<std::uint16_t>(block.end_offset() - t.offset);
    t.first_fault_site = static_cast<std::uint32_t>(tables.fault_sites.size());
    emit_entries(block, t);
    for (std::size_t n = 0; n < block.count; ++n) {
        const GuestInstruction& i = block.instructions[n];
        index_ = n;
        offset_ = i.offset;
        outline_.instructions[n] = from_start();
        open_ahead(i, following(n));
        emit_instruction(i);
        if (i.flags.writes) {
            flag_recipe_ = flag_recipe(i);
            flag_maker_ = n;
        }
    }
    outline_.instructions[block.count] = from_start();
    const auto looks_backward = static_cast<std::uint16_t>(spec::kPageSize);
    const std::uint16_t from = block.ends_polled ? looks_backward : block.instructions[block.count - 1].offset;
    if (block.ends_open && block.meets_crossing)
        go_by_address(block.end_offset());
    else if (block.ends_open)
        go_to(block.end_offset(), from);
    t.fault_site_count = static_cast<std::uint32_t>(tables.fault_sites.size()) - t.first_fault_site;
    t.code_bytes = from_start();
    memory_.commit(t.code_bytes);
    outline_.stubs = static_cast<std::int64_t>(cold_at_) - static_cast<std::int64_t>(start_);
    setSize(cold_at_);
    emit_stubs(t);
    outline_.stub_bytes = static_cast<std::uint32_t>(getSize() - cold_at_);
    cold_at_ = getSize();
}

} // namespace touka::cpu::translator
