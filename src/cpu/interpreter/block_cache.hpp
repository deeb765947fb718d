// The decoded code of one processor, found by where its bytes are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "cpu/interpreter/block.hpp"
#include "cpu/interpreter/native.hpp"
#include "cpu/interpreter/unimplemented_report.hpp"

namespace touka::cpu::interpreter {

struct DecodedBlock;

/// Private to its processor, so without locks; stores by others are noticed through memory::CodePages. When the arena
/// is full, everything is dropped and decoded anew.
/// @thread its vCPU's.
class BlockCache {
public:
    static constexpr std::size_t kDefaultArenaBytes = 64 << 20;

    /// @param arena_bytes for decoded code, allocated when first needed; at least 1 MiB.
    explicit BlockCache(std::size_t arena_bytes = kDefaultArenaBytes);

    /// The block at Processor::rip under the current mode, decoded if need be.
    /// @param single one instruction only.
    /// @return nullptr with Processor::fault set when the code cannot be fetched.
    [[nodiscard]] Block* find(Processor& p, bool single = false);

    /// The common case of find(), inline: 64-bit code of a page that is in the TLB, found at once.
    /// @return nullptr: ask find().
    [[nodiscard]] Block* find_quick(const Processor& p, bool single = false) const {
        const CodeTlbEntry& entry = p.tlb.code[p.cpl == 3 ? 1 : 0][Tlb::code_slot(p.rip)];
        if (entry.tag != p.tlb.tag(p.rip)) return nullptr;
        const auto* host = reinterpret_cast<const std::byte*>(p.rip + entry.host_minus_linear);
        Block* block = quick_[quick_slot(host)];
        const std::uint8_t mode = block_mode::k64Bit | (single ? block_mode::kSingle : 0);
        if (block == nullptr || block->host != host || block->mode != mode) return nullptr;
        return p.code_size == CodeSize::k64 && is_current(p, *block) ? block : nullptr;
    }

    /// Is everything the block was decoded from unchanged? Blocks that cross a page are for find() to judge.
    [[nodiscard]] static bool is_current(const Processor& p, const Block& block) {
        return block.source.generation == p.memory.code_pages().generation(block.source.page);
    }
    /// Grows when blocks were dropped: links taken before are dangling.
    [[nodiscard]] std::uint64_t drop_count() const { return drop_count_; }

    /// The block whose ops run now.
    void set_running(Block* block) { running_ = block; }
    [[nodiscard]] Block* running() const { return running_; }
    /// The processor stored to a page with code: if the running block came from it, its next instruction is not run
    /// from this block any more.
    void page_written(std::uint64_t page);

    /// Memory that lives until the next drop; nullptr when there is none left.
    [[nodiscard]] void* allocate(std::size_t length_bytes);
    [[nodiscard]] HostCode& host_code() { return host_code_; }
    [[nodiscard]] UnimplementedReport& unimplemented() { return unimplemented_; }
    [[nodiscard]] const UnimplementedReport& unimplemented() const { return unimplemented_; }

private:
    static constexpr std::size_t kBucketCount = 1 << 15;
    static constexpr std::size_t kQuickCount = 1 << 14;
    /// More than the largest block and its descriptions take.
    static constexpr std::size_t kReserveBytes = 256 << 10;

    [[nodiscard]] static std::size_t bucket(const std::byte* host) {
        const auto key = reinterpret_cast<std::uintptr_t>(host);
        return (key ^ (key >> 15)) % kBucketCount;
    }
    [[nodiscard]] static std::size_t quick_slot(const std::byte* host) {
        const auto key = reinterpret_cast<std::uintptr_t>(host);
        return (key ^ (key >> 13)) % kQuickCount;
    }
    void drop_all();
    [[nodiscard]] Block* find_in_ram(Processor& p, std::uint8_t mode, std::uint64_t linear, std::byte* host,
                                     spec::GuestAddress physical);
    [[nodiscard]] static bool is_second_page_current(Processor& p, Block& block, std::uint64_t linear);
    [[nodiscard]] Block* decode_in_ram(Processor& p, std::uint8_t mode, std::uint64_t linear, std::byte* host,
                                       spec::GuestAddress physical);
    /// Code that is not in RAM: one instruction, for this one time.
    [[nodiscard]] Block* decode_from_bus(Processor& p, std::uint8_t mode, std::uint64_t linear,
                                         spec::GuestAddress physical);
    [[nodiscard]] Block* keep(const Block& header, const DecodedBlock& decoded, CodeSource second = {});

    std::array<Block*, kBucketCount> buckets_{};
    std::array<Block*, kQuickCount> quick_{}; ///< blocks in one page that find() gave lately, by their address
    std::size_t arena_bytes_;
    std::unique_ptr<std::byte[]> arena_;
    std::size_t arena_used_ = 0;
    std::uint64_t drop_count_ = 0;
    Block* running_ = nullptr;
    HostCode host_code_;
    UnimplementedReport unimplemented_;
};

} // namespace touka::cpu::interpreter
