// Memory for generated code that is nowhere writable and executable at once: one memfd, mapped twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/unique_fd.hpp"

namespace touka::cpu::interpreter {

/// Hands out code memory front to back. Pages are backed when first written. One thread.
class CodeMemory {
public:
    /// When the host gives no memory, size_bytes() is 0 and nothing can be added.
    explicit CodeMemory(std::size_t size_bytes);
    ~CodeMemory();
    CodeMemory(const CodeMemory&) = delete;
    CodeMemory& operator=(const CodeMemory&) = delete;

    /// Copies position-independent code in, aligned to 16 bytes.
    /// @return where it can be executed, or nullptr when there is no room.
    [[nodiscard]] const void* add(std::span<const std::uint8_t> code);
    /// Makes all of it free again. Nobody may be executing there.
    void clear();

    [[nodiscard]] std::size_t size_bytes() const { return size_bytes_; }
    [[nodiscard]] std::size_t used_bytes() const { return used_bytes_; }

private:
    runtime::UniqueFd fd_;
    std::size_t size_bytes_ = 0;
    std::size_t used_bytes_ = 0;
    std::uint8_t* writable_ = nullptr;
    const std::uint8_t* executable_ = nullptr;
};

} // namespace touka::cpu::interpreter
