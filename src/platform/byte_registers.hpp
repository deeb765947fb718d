#pragma once

#include <cstdint>

#include "platform/address_space.hpp"

namespace touka::platform {

/// A device on the 8-bit part of the bus: wider accesses become one access for each byte, low address first.
class ByteRegisters : public IoHandler {
public:
    [[nodiscard]] std::uint64_t read(std::uint64_t offset, unsigned width_bytes) final {
        std::uint64_t value = 0;
        for (unsigned i = 0; i < width_bytes; ++i) value |= std::uint64_t{read_byte(offset + i)} << (8 * i);
        return value;
    }
    void write(std::uint64_t offset, unsigned width_bytes, std::uint64_t value) final {
        for (unsigned i = 0; i < width_bytes; ++i) write_byte(offset + i, static_cast<std::uint8_t>(value >> (8 * i)));
    }

protected:
    [[nodiscard]] virtual std::uint8_t read_byte(std::uint64_t offset) = 0;
    virtual void write_byte(std::uint64_t offset, std::uint8_t value) = 0;
};

} // namespace touka::platform
