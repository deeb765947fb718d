// REP MOVS and REP STOS within a page each: the host's own, on host addresses.
#include "cpu/translator/block_emitter.hpp"
#include "cpu/translator/lookaside_table.hpp"
#include "spec/address.hpp"
#include "spec/x86/control_registers.hpp"

namespace touka::cpu::translator {
namespace {

using Xbyak::Reg64;

constexpr unsigned kGuestRax = 0, kGuestRcx = 1, kGuestRsi = 6, kGuestRdi = 7;
/// The host's instruction uses the same registers for addresses as the guest's; these keep how far apart they are.
constexpr HostRegister kToDestination = kHostPointers[0], kToSource = kHostPointers[1];
static_assert(kHostOf[kGuestRsi] == kGuestRsi && kHostOf[kGuestRdi] == kGuestRdi);

constexpr auto kPageBytes = static_cast<std::uint32_t>(spec::kPageSize);

} // namespace

/// Leaves in `to` the host's address minus the guest's; jumps to the stub unless all elements lie in the guest's page.
void BlockEmitter::find_string(unsigned guest, const Reg64& to, std::uint32_t element_bytes, StringStub& stub) {
    const Reg64 address(kHostOf[guest]), count(kHostOf[kGuestRcx]);
    mov(to, address);
    stub.jumps[stub.jump_count++] = look_up_page(to, 1, guest == kGuestRdi);
    Xbyak::CodeGenerator::lea(rax, ptr[to + count * static_cast<int>(element_bytes)]);
    cmp(rax, kPageBytes);
    stub.jumps[stub.jump_count++] = forward_jump(0x0F87);
    add(to, in_table(LookasideTable::kHostPagesOffset));
    sub(to, address);
}

/// Also what is left to do when the host's instruction faulted half way.
void BlockEmitter::bring_string_home(bool moves) {
    sub(Reg64(kHostOf[kGuestRdi]), Reg64(kToDestination));
    if (moves) sub(Reg64(kHostOf[kGuestRsi]), Reg64(kToSource));
    mov(Reg64(kHostOf[kGuestRcx]), rcx);
}

void BlockEmitter::string_operation(const GuestInstruction& i) {
    flags_home();
    forget_pointers();
    const auto element_bytes = static_cast<std::uint32_t>(i.operand(0).size / 8);
    const bool moves = i.operand(1).type == ZYDIS_OPERAND_TYPE_MEMORY;
    StringStub stub{.instruction = &i, .moves = moves};
    test(dword[rsp + o_.system_flags], static_cast<std::uint32_t>(spec::x86::rflags::DF));
    stub.jumps[stub.jump_count++] = forward_jump(0x0F85); // JNE
    cmp(Reg64(kHostOf[kGuestRcx]), kPageBytes / element_bytes);
    stub.jumps[stub.jump_count++] = forward_jump(0x0F87); // JA
    find_string(kGuestRdi, Reg64(kToDestination), element_bytes, stub);
    if (moves) find_string(kGuestRsi, Reg64(kToSource), element_bytes, stub);

    mov(rcx, Reg64(kHostOf[kGuestRcx]));
    add(Reg64(kHostOf[kGuestRdi]), Reg64(kToDestination));
    if (moves)
        add(Reg64(kHostOf[kGuestRsi]), Reg64(kToSource));
    else
        mov(rax, Reg64(kHostOf[kGuestRax]));
    may_fault();
    stub.fault_site = tables_->fault_sites.size() - 1;
    put(host_bytes(i.decoded, {}).span());
    bring_string_home(moves);
    stub.behind = getSize();
    string_stubs_.push_back(stub);
}

void BlockEmitter::emit_string_stub(const StringStub& stub) {
    const GuestInstruction& i = *stub.instruction;
    for (std::size_t n = 0; n < stub.jump_count; ++n) resolve(stub.jumps[n]);
    call_interpreter(i);
    jmp(getCode() + stub.behind);

    tables_->fault_sites[stub.fault_site].recovery = static_cast<std::uint32_t>(getSize());
    bring_string_home(stub.moves);
    leave_by(thunks_.exit_fault, i.offset);
}

} // namespace touka::cpu::translator
