#include "cpu/interpreter/block_cache.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "cpu/interpreter/block_decoder.hpp"
#include "cpu/interpreter/described_op.hpp"
#include "cpu/interpreter/memory_access.hpp"

namespace touka::cpu::interpreter {
namespace {

using spec::GuestAddress;
using spec::kPageSize;

/// The bytes of a page from some offset on, copied once: the guest may change them meanwhile.
struct CodeBytes {
    std::array<std::uint8_t, kPageSize + 16> bytes;
    std::size_t count = 0;

    void append(const std::byte* host, std::size_t length_bytes) {
        for (std::size_t i = 0; i < length_bytes; ++i) {
            bytes[count++] = host::load<std::uint8_t>(const_cast<std::byte*>(host) + i);
        }
    }
    [[nodiscard]] std::span<const std::uint8_t> span() const { return {bytes.data(), count}; }
};

/// A block is short: most of a page need not be copied for it.
constexpr std::size_t kUsualBytes = 512;

/// Where rip is in linear memory. @return false with #GP(0) when it is beyond the limit of CS.
bool code_address(Processor& p, std::uint64_t& linear) {
    linear = p.rip;
    if (p.code_size == CodeSize::k64) return true;
    const SegmentState& cs = p.segment(SegmentName::kCs);
    if (p.rip > cs.limit) return p.raise(Exception::kGeneralProtection);
    linear = (cs.base + p.rip) & 0xFFFF'FFFF;
    return true;
}

/// Takes the generation before the bytes, so that a write in between leaves the block stale.
CodeSource start_reading(Processor& p, GuestAddress physical) {
    const std::uint64_t page = physical.value / kPageSize;
    const std::uint32_t generation = p.memory.code_pages().generation(page);
    if (p.translations != nullptr)
        p.translations->code_read(page);
    else
        static_cast<void>(p.memory.code_pages().mark(page)); // who is nobody has no rights to give up
    return {static_cast<std::uint32_t>(page), generation};
}

} // namespace

BlockCache::BlockCache(std::size_t arena_bytes) : arena_bytes_(arena_bytes) {}

void* BlockCache::allocate(std::size_t length_bytes) {
    if (!arena_) arena_ = std::make_unique_for_overwrite<std::byte[]>(arena_bytes_);
    const std::size_t start = (arena_used_ + alignof(Block) - 1) / alignof(Block) * alignof(Block);
    void* place = arena_.get() + start;
    std::size_t space = arena_bytes_ - start;
    if (std::align(alignof(Block), length_bytes, place, space) == nullptr) return nullptr;
    arena_used_ = static_cast<std::size_t>(static_cast<std::byte*>(place) - arena_.get()) + length_bytes;
    return place;
}

void BlockCache::drop_all() {
    buckets_ = {};
    quick_ = {};
    arena_used_ = 0;
    ++drop_count_;
    running_ = nullptr;
    host_code_.clear();
}

void BlockCache::page_written(std::uint64_t page) {
    if (running_ == nullptr || !running_->is_from(page)) return;
    // The block is stale from now on and nobody enters it again; what is left of it leads out.
    for (std::size_t i = 0; i < running_->op_count; ++i) {
        running_->ops()[i].handler = leave_block_handler();
    }
}

Block* BlockCache::find(Processor& p, bool single) {
    std::uint64_t linear = 0;
    if (!code_address(p, linear)) return nullptr;
    const CodePointer code = fetch_pointer(p, linear);
    if (!code.ok) return nullptr;
    if (arena_used_ > arena_bytes_ - kReserveBytes || host_code_.is_filling()) drop_all();
    const auto mode = static_cast<std::uint8_t>(current_block_mode(p) | (single ? block_mode::kSingle : 0));
    Block* block = code.host == nullptr ? decode_from_bus(p, mode, linear, code.physical)
                                        : find_in_ram(p, mode, linear, code.host, code.physical);
    if (block == nullptr) return nullptr;
    if (p.code_size == CodeSize::k64) {
        if (block->host != nullptr && !block->crosses) quick_[quick_slot(block->host)] = block;
        return block;
    }
    // Instructions behind the limit of CS must fault, those before it must not.
    const std::uint64_t room = p.segment(SegmentName::kCs).limit - p.rip;
    if (block->length_bytes == 0 || block->length_bytes - 1u <= room) return block;
    if (!single) return find(p, true);
    p.raise(Exception::kGeneralProtection);
    return nullptr;
}

Block* BlockCache::find_in_ram(Processor& p, std::uint8_t mode, std::uint64_t linear, std::byte* host,
                               GuestAddress physical) {
    Block*& first = buckets_[bucket(host)];
    Block** previous = &first;
    for (Block* block = first; block != nullptr; previous = &block->chain, block = block->chain) {
        if (block->host != host || block->mode != mode) continue;
        if (is_current(p, *block) && is_second_page_current(p, *block, linear)) return block;
        if (p.fault) return nullptr;
        *previous = block->chain; // stale
        break;
    }
    return decode_in_ram(p, mode, linear, host, physical);
}

bool BlockCache::is_second_page_current(Processor& p, Block& block, std::uint64_t linear) {
    if (!block.crosses) return true;
    const CodePointer code = fetch_pointer(p, (linear | (kPageSize - 1)) + 1);
    const CodeSource second = block.second_source();
    return code.ok && code.host != nullptr && code.physical.value / kPageSize == second.page &&
           p.memory.code_pages().generation(second.page) == second.generation;
}

Block* BlockCache::decode_in_ram(Processor& p, std::uint8_t mode, std::uint64_t linear, std::byte* host,
                                 GuestAddress physical) {
    const std::uint64_t offset = physical.value % kPageSize;
    Block header{.host = host, .chain = nullptr, .source = start_reading(p, physical), .mode = mode};
    CodeSource second_source;
    CodeBytes code;
    code.append(host, std::min(kPageSize - offset, kUsualBytes));
    DecodedBlock decoded;
    DecodeResult result = decode_block(*this, mode, offset, code.span(), decoded);
    if (result == DecodeResult::kMoreBytesNeeded) {
        // One instruction that crosses into the next page.
        const CodePointer second = fetch_pointer(p, (linear | (kPageSize - 1)) + 1);
        if (!second.ok) return nullptr;
        if (second.host == nullptr) return decode_from_bus(p, mode, linear, physical);
        header.crosses = true;
        second_source = start_reading(p, second.physical);
        code.append(second.host, ZYDIS_MAX_INSTRUCTION_LENGTH);
        result =
            decode_block(*this, static_cast<std::uint8_t>(mode | block_mode::kSingle), offset, code.span(), decoded);
    }
    Block* block = result == DecodeResult::kOk ? keep(header, decoded, second_source) : nullptr;
    if (block == nullptr) {
        // Out of memory: find() keeps a reserve that one block cannot use up, but a full arena is no reason to fail.
        drop_all();
        return decode_in_ram(p, mode, linear, host, physical);
    }
    Block*& first = buckets_[bucket(host)];
    block->chain = first;
    first = block;
    return block;
}

Block* BlockCache::decode_from_bus(Processor& p, std::uint8_t mode, std::uint64_t linear, GuestAddress physical) {
    CodeBytes code;
    while (code.count < ZYDIS_MAX_INSTRUCTION_LENGTH) {
        const std::uint64_t next = linear + code.count;
        if (code.count != 0 && next % kPageSize == 0) {
            const CodePointer more = fetch_pointer(p, next);
            // What is missing may not be needed: an incomplete instruction shows itself below.
            if (!more.ok) break;
            physical = GuestAddress{more.physical.value - code.count};
        }
        const GuestAddress at = physical + code.count;
        if (p.memory.is_ram(at)) {
            code.append(p.memory.base() + at.value, 1);
        } else {
            code.bytes[code.count++] = static_cast<std::uint8_t>(read_device(p, at, 1));
        }
    }
    const auto single = static_cast<std::uint8_t>(mode | block_mode::kSingle);
    DecodedBlock decoded;
    const DecodeResult result = decode_block(*this, single, linear % kPageSize, code.span(), decoded);
    if (result == DecodeResult::kMoreBytesNeeded) return nullptr; // the fault of the next page stands
    p.fault.reset();
    Block header;
    header.mode = single;
    return result == DecodeResult::kOk ? keep(header, decoded) : nullptr;
}

Block* BlockCache::keep(const Block& header, const DecodedBlock& decoded, CodeSource second) {
    const std::size_t ops_bytes = decoded.op_count * sizeof(Op);
    void* memory = allocate(sizeof(Block) + ops_bytes + (header.crosses ? sizeof(CodeSource) : 0));
    if (memory == nullptr) return nullptr;
    Block* block = new (memory) Block(header);
    block->op_count = decoded.op_count;
    block->length_bytes = decoded.length_bytes;
    std::memcpy(static_cast<void*>(block->ops()), decoded.ops.data(), ops_bytes);
    if (block->crosses) block->second_source() = second;
    return block;
}

} // namespace touka::cpu::interpreter
