#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "platform/pci/pci_layout.hpp"

namespace touka::platform {

/// Gives out aligned pieces of one window to BARs. Under the root's configuration lock.
class BarAllocator {
public:
    explicit BarAllocator(const PciWindow& window) : window_(window) {}
    /// The lowest free address that is a multiple of the length. @param length_bytes a power of two.
    [[nodiscard]] std::optional<std::uint64_t> allocate(std::uint64_t length_bytes);
    void release(std::uint64_t first) { taken_.erase(first); }
    [[nodiscard]] const PciWindow& window() const { return window_; }

private:
    PciWindow window_;
    std::map<std::uint64_t, std::uint64_t> taken_; // first address to length
};

} // namespace touka::platform
