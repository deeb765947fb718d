#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace touka::scsi::iscsi {

/// Memory for commands' data, in pieces of powers of two that are kept for the next command. Page-aligned, so that it
/// may go to the host's disks as it is. One reactor.
class BufferPool {
public:
    static constexpr std::size_t kSmallestBytes = 4096;
    static constexpr std::size_t kLargestBytes = 16 << 20;

    /// @param limit_bytes of all pieces that are out at the same time.
    /// @param kept_bytes of pieces that are kept although nobody uses them.
    explicit BufferPool(std::uint64_t limit_bytes, std::uint64_t kept_bytes = 64 << 20)
        : limit_bytes_(limit_bytes), kept_limit_bytes_(kept_bytes) {}
    BufferPool(const BufferPool&) = delete;
    BufferPool& operator=(const BufferPool&) = delete;
    ~BufferPool();

    /// @return a piece of at least `bytes`; empty when the limit is reached or the host has no memory.
    [[nodiscard]] std::span<std::uint8_t> take(std::size_t bytes);
    /// @param piece as `take` returned it.
    void give_back(std::span<std::uint8_t> piece);

    /// How large the piece for `bytes` is. @pre at most kLargestBytes.
    [[nodiscard]] static std::size_t piece_bytes(std::size_t bytes);
    [[nodiscard]] std::uint64_t used_bytes() const { return used_bytes_; }

private:
    static constexpr std::size_t kClasses = 13;
    static_assert(kSmallestBytes << (kClasses - 1) == kLargestBytes);

    std::array<std::vector<std::uint8_t*>, kClasses> free_;
    std::uint64_t used_bytes_ = 0, kept_bytes_ = 0;
    std::uint64_t limit_bytes_, kept_limit_bytes_;
};

} // namespace touka::scsi::iscsi
