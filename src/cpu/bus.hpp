#pragma once

#include <cstdint>

#include "spec/address.hpp"

namespace touka::cpu {

/// What a processor reaches outside of RAM. Called on vCPU threads, several at once; answers at once.
/// Values are little-endian in the low bytes; nobody there reads all ones, as on a real bus.
class CpuBus {
public:
    virtual ~CpuBus() = default;
    /// @param width_bytes 1, 2, 4 or 8.
    virtual std::uint64_t read_memory(spec::GuestAddress address, unsigned width_bytes) = 0;
    virtual void write_memory(spec::GuestAddress address, unsigned width_bytes, std::uint64_t value) = 0;
    /// @param width_bytes 1, 2 or 4.
    virtual std::uint32_t read_port(std::uint16_t port, unsigned width_bytes) = 0;
    virtual void write_port(std::uint16_t port, unsigned width_bytes, std::uint32_t value) = 0;
};

} // namespace touka::cpu
