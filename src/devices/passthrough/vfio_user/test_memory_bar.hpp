#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "platform/address_space.hpp"

namespace touka::devices::passthrough::test {

/// A BAR that is nothing but memory, which its owner may share. @param memory as long as the BAR.
class MemoryBar final : public platform::IoHandler {
public:
    explicit MemoryBar(std::span<std::byte> memory) : memory_(memory) {}
    [[nodiscard]] std::uint64_t read(std::uint64_t offset, unsigned width_bytes) override {
        std::uint64_t value = 0;
        std::memcpy(&value, memory_.data() + offset, width_bytes);
        return value;
    }
    void write(std::uint64_t offset, unsigned width_bytes, std::uint64_t value) override {
        std::memcpy(memory_.data() + offset, &value, width_bytes);
    }

private:
    std::span<std::byte> memory_;
};

} // namespace touka::devices::passthrough::test
