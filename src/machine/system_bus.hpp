#pragma once

#include "cpu/bus.hpp"
#include "platform/address_space.hpp"

namespace touka::machine {

/// What lies outside of the processors: the machine's memory-mapped I/O and its ports. Any thread.
class SystemBus final : public cpu::CpuBus {
public:
    std::uint64_t read_memory(spec::GuestAddress address, unsigned width_bytes) override {
        return memory_.read(address.value, width_bytes);
    }
    void write_memory(spec::GuestAddress address, unsigned width_bytes, std::uint64_t value) override {
        memory_.write(address.value, width_bytes, value);
    }
    std::uint32_t read_port(std::uint16_t port, unsigned width_bytes) override {
        return static_cast<std::uint32_t>(ports_.read(port, width_bytes));
    }
    void write_port(std::uint16_t port, unsigned width_bytes, std::uint32_t value) override {
        ports_.write(port, width_bytes, value);
    }

    [[nodiscard]] platform::AddressSpace& memory() { return memory_; }
    [[nodiscard]] platform::AddressSpace& ports() { return ports_; }

private:
    platform::AddressSpace memory_;
    platform::AddressSpace ports_;
};

} // namespace touka::machine
