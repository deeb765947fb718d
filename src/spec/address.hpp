// The three kinds of address that must never be mixed up: where a guest byte is, where a device thinks
// it is, and where a block is. (AMD64 Architecture Programmer's Manual vol. 2 §5; VT-d §3.3; SBC-4 §4.5)
#pragma once

#include <compare>
#include <cstdint>

namespace touka::spec {

/// An unsigned address that only mixes with plain offsets and with addresses of its own kind.
template <class Kind>
struct Address {
    std::uint64_t value = 0;

    constexpr Address() = default;
    constexpr explicit Address(std::uint64_t v) : value(v) {}
    constexpr auto operator<=>(const Address&) const = default;
    /// Wraps like the hardware does; whoever needs to know first checks with `fits`.
    constexpr Address operator+(std::uint64_t offset) const { return Address{value + offset}; }
    constexpr std::uint64_t operator-(Address other) const { return value - other.value; }
};

/// Guest physical address, in bytes.
using GuestAddress = Address<struct GuestAddressKind>;
/// What a device puts on the bus: an address in its own DMA space, in bytes.
using Iova = Address<struct IovaKind>;
/// Logical block address, in blocks of the unit it belongs to.
using Lba = Address<struct LbaKind>;

inline constexpr std::uint64_t kPageSize = 4096;

} // namespace touka::spec
