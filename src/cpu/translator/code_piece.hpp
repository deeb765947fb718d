// Host code that is the same in many places, but for a number in it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace touka::cpu::translator {

/// Kept as bytes, to be copied: assembling it each time takes ten times as long.
class CodePiece {
public:
    static constexpr std::size_t kMostBytes = 40;

    CodePiece() = default;
    /// @pre code.size() <= kMostBytes
    explicit CodePiece(std::span<const std::uint8_t> code) : size_(code.size()) {
        std::ranges::copy(code, bytes_.begin());
    }
    [[nodiscard]] std::span<const std::uint8_t> bytes() const { return std::span(bytes_).first(size_); }

private:
    std::array<std::uint8_t, kMostBytes> bytes_{};
    std::size_t size_ = 0;
};

} // namespace touka::cpu::translator
