// The bytes of one function's configuration space, each with what a write does to it.
#pragma once

#include <array>
#include <cstdint>

#include "spec/pci/config_header.hpp"

namespace touka::platform {

/// Plain storage: bits are read-only, writable, or cleared by writing 1. Meaning is the function's business.
/// Accesses beyond the end read all ones and write nothing. Not synchronised.
class ConfigSpace {
public:
    /// Sets up a register of 1 to 8 bytes: its value after reset and which bits a write changes or clears.
    void define(std::uint32_t offset, unsigned width_bytes, std::uint64_t value, std::uint64_t writable = 0,
                std::uint64_t clear_by_one = 0);

    [[nodiscard]] std::uint64_t read(std::uint32_t offset, unsigned width_bytes) const;
    /// A write by software: masked.
    void write(std::uint32_t offset, unsigned width_bytes, std::uint64_t value);
    /// A change by the hardware: as given.
    void set(std::uint32_t offset, unsigned width_bytes, std::uint64_t value);
    void reset() { bytes_ = reset_bytes_; }

    using SavedBytes = std::array<std::uint8_t, spec::pci::kConfigBytes>;
    [[nodiscard]] const SavedBytes& save() const { return bytes_; }
    /// Takes over the bits that software or the hardware could have changed, and no others.
    void restore(const SavedBytes& saved);

private:
    using Bytes = SavedBytes;
    Bytes bytes_{}, reset_bytes_{}, writable_{}, clear_by_one_{};
};

} // namespace touka::platform
