#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace touka::network {

/// The ones' complement sum of 16-bit words, not inverted, as if the bytes were followed by zeros. (RFC 1071)
/// @param sum what was summed before, of an even number of bytes.  @return a value of 16 bits, in wire order.
[[nodiscard]] std::uint16_t internet_sum(std::span<const std::byte> bytes, std::uint16_t sum = 0);

/// Puts in the checksum that a guest left to its card: the field has the pseudo-header's sum already.
/// (Virtual I/O Device 1.2 §5.1.6.2)
/// @param message a virtio_net_hdr and its frame.
/// @return false when the header points outside of the frame: the guest's fault, the frame is to be dropped.
[[nodiscard]] bool complete_checksum(std::span<std::byte> message);

} // namespace touka::network
