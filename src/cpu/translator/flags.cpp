// Where the guest's status flags are.
#include "cpu/translator/block_emitter.hpp"

namespace touka::cpu::translator {

void BlockEmitter::save_flags() {
    lahf();
    seto(al);
    mov(word[rsp + o_.status], ax);
}

void BlockEmitter::flags_home() {
    if (flags_ == Flags::kHost) save_flags();
    flags_ = Flags::kHome;
}

void BlockEmitter::flags_host() {
    if (flags_ == Flags::kHome) {
        // AL is 1 or 0: the sum overflows or does not.
        movzx(eax, word[rsp + o_.status]);
        add(al, 0x7F);
        sahf();
    }
    flags_ = Flags::kHost;
}

void BlockEmitter::carry_host() {
    constexpr std::uint8_t kCarryBit = 8;
    static_assert(interpreter::StatusFlags::kCF == 1u << kCarryBit);
    if (flags_ == Flags::kHome) bt(word[rsp + o_.status], kCarryBit);
}

} // namespace touka::cpu::translator
