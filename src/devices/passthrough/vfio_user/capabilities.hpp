// What both ends can do, as they tell each other first. (vfio-user Protocol, "VFIO_USER_VERSION")
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "spec/vfio_user/messages.hpp"

namespace touka::devices::passthrough {

/// The JSON object "capabilities"; a member is what its absence means.
struct Capabilities {
    std::uint64_t max_message_descriptors = spec::vfio_user::kDefaultMaxMessageDescriptors;
    std::uint64_t max_transfer_bytes = spec::vfio_user::kDefaultMaxTransferBytes;
    std::uint64_t max_dma_maps = spec::vfio_user::kDefaultMaxDmaMaps;
    std::uint64_t page_sizes = spec::vfio_user::kDefaultPageSizes;
    bool write_multiple = false;
    bool twin_socket = false;
    std::optional<std::uint64_t> twin_socket_index; ///< in the reply's descriptors
    bool address_translation = false;               ///< Touka's own (spec/vfio_user/address_translation.hpp)
};

/// What follows Version: with a terminating NUL.
[[nodiscard]] std::vector<std::byte> write_capabilities(const Capabilities& capabilities);

/// @param bytes what follows Version in the peer's message; nothing at all is allowed.
/// @return nothing when it is not JSON with a NUL, or a known member is of another type or out of range. Members that
///   nobody knows are left aside.
[[nodiscard]] std::optional<Capabilities> read_capabilities(std::span<const std::byte> bytes);

} // namespace touka::devices::passthrough
