// Memory for generated code that is nowhere writable and executable at once: the same pages, mapped twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

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
    /// For code that is generated where it will run: the free part, and the same place as it will be executed. Jumps
    /// within this memory have the same displacements in both mappings.
    [[nodiscard]] std::span<std::uint8_t> free_space() const {
        return {writable_ + used_bytes_, size_bytes_ - used_bytes_};
    }
    [[nodiscard]] const std::uint8_t* free_space_executable() const { return executable_ + used_bytes_; }
    /// The first `length_bytes` of free_space() are in use now.
    void commit(std::size_t length_bytes) {
        used_bytes_ += length_bytes;
        if (used_bytes_ + kAheadBytes / 2 > mapped_bytes_) [[unlikely]]
            map_ahead();
    }
    /// The place to write to in order to change the code at `executable`.
    [[nodiscard]] std::uint8_t* writable_alias(const void* executable) const {
        return writable_ + (static_cast<const std::uint8_t*>(executable) - executable_);
    }
    [[nodiscard]] bool contains(const void* executable) const {
        const auto* at = static_cast<const std::uint8_t*>(executable);
        return at >= executable_ && at < executable_ + size_bytes_;
    }
    [[nodiscard]] const std::uint8_t* executable() const { return executable_; }

    /// Makes all of it free again. Nobody may be executing there.
    void clear();

    [[nodiscard]] std::size_t size_bytes() const { return size_bytes_; }
    [[nodiscard]] std::size_t used_bytes() const { return used_bytes_; }

private:
    static constexpr std::size_t kAheadBytes = 1 << 20;
    /// Pages ahead are mapped at once instead of by a fault each, in both mappings.
    void map_ahead();

    std::size_t size_bytes_ = 0;
    std::size_t used_bytes_ = 0;
    std::size_t mapped_bytes_ = 0;
    std::uint8_t* writable_ = nullptr;
    const std::uint8_t* executable_ = nullptr;
};

} // namespace touka::cpu::interpreter
