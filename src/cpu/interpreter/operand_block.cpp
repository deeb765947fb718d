#include "cpu/interpreter/operand_block.hpp"

#include <algorithm>
#include <cstring>

namespace touka::cpu::interpreter {
namespace {

/// The part of a block that open_operand takes at once.
std::size_t piece_length(std::uint64_t linear, std::size_t remaining) {
    const std::size_t to_page_end = spec::kPageSize - linear % spec::kPageSize;
    return std::min({remaining, to_page_end, BounceBuffer::kSizeBytes});
}

} // namespace

std::size_t memory_operand_index(const Instruction& i) {
    std::size_t index = 0;
    while (i.operands[index].type != ZYDIS_OPERAND_TYPE_MEMORY) ++index;
    return index;
}

bool probe_block(Processor& p, std::uint64_t linear, std::size_t length_bytes, bool write, std::uint8_t access) {
    const auto kind = static_cast<std::uint8_t>(access | (write ? access::kWriteOnly : access::kReadOnly));
    for (std::size_t done = 0; done < length_bytes;) {
        const std::byte* host = open_operand(p, linear + done, 1, kind);
        if (host == nullptr) return false;
        abandon_operand(p, host);
        done += spec::kPageSize - (linear + done) % spec::kPageSize;
    }
    return true;
}

bool read_block(Processor& p, std::uint64_t linear, std::span<std::uint8_t> bytes, std::uint8_t access) {
    for (std::size_t done = 0; done < bytes.size();) {
        const std::size_t length = piece_length(linear + done, bytes.size() - done);
        const std::byte* host = open_operand_to_read(p, linear + done, static_cast<unsigned>(length), access);
        if (host == nullptr) return false;
        std::memcpy(bytes.data() + done, host, length);
        done += length;
    }
    return true;
}

bool write_block(Processor& p, std::uint64_t linear, std::span<const std::uint8_t> bytes) {
    for (std::size_t done = 0; done < bytes.size();) {
        const std::size_t length = piece_length(linear + done, bytes.size() - done);
        std::byte* host = open_operand(p, linear + done, static_cast<unsigned>(length), access::kWriteOnly);
        if (host == nullptr) return false;
        std::memcpy(host, bytes.data() + done, length);
        close_operand(p, host);
        done += length;
    }
    return true;
}

} // namespace touka::cpu::interpreter
