#include "cpu/translator/block_steps.hpp"

#include <array>
#include <cstring>
#include <span>

#include "spec/address.hpp"

namespace touka::cpu::translator {

using spec::kPageSize;

namespace {

bool is_own(const GuestInstruction& i) {
    switch (i.kind) {
        case Kind::kCalled:
        case Kind::kTransferred:
        case Kind::kInterpreted:
        case Kind::kReadTimeStamp: return false;
        // Taken and not taken cannot be told apart.
        case Kind::kJumpIf: return i.target != i.next_offset();
        default: return true;
    }
}

} // namespace

void decode_again(const memory::GuestMemory& memory, const Translation& t, GuestBlock& block) {
    std::array<std::uint8_t, 2 * kPageSize> bytes;
    std::memcpy(bytes.data(), memory.base() + t.page * kPageSize, kPageSize);
    const bool crosses = t.second_page != Translation::kOnePage;
    if (crosses) std::memcpy(bytes.data() + kPageSize, memory.base() + t.second_page * kPageSize, kPageSize);
    const std::span code(bytes.data(), crosses ? 2 * kPageSize : kPageSize);
    static_cast<void>(decode_guest_block(code, t.offset, t.mode == BlockMode::kSupervisor, t.grouped, block));
}

BlockSteps::BlockSteps(const GuestBlock& block) {
    for (std::size_t n = 0; n < block.count; ++n) {
        const GuestInstruction& i = block.instructions[n];
        steps.push_back({i.offset, i.next_offset(), translator::is_own(i)});
        parts.vectors |= i.uses_vectors;
        parts.x87 |= i.uses_x87;
    }
}

} // namespace touka::cpu::translator
