#pragma once

#include <expected>

#include "configuration/config_error.hpp"
#include "machine/config.hpp"

namespace touka::machine {

using configuration::ConfigError;

/// As many as xAPIC destinations name: ids 0 to 254.
inline constexpr std::uint32_t kCpuCountLimit = 255;
inline constexpr std::uint64_t kSmallestMemoryBytes = 16ull << 20;
inline constexpr std::uint64_t kLargestMemoryBytes = 1ull << 40;
inline constexpr std::uint32_t kLongestGrace_s = 24 * 3600;
inline constexpr std::size_t kNameLimit = 63;
inline constexpr std::size_t kSerialLimit = 20;        // virtio 1.2 §5.2.6: VIRTIO_BLK_T_GET_ID
inline constexpr std::size_t kInterfaceNameLimit = 15; // IFNAMSIZ less the zero
inline constexpr std::size_t kScsiUnitLimit = 255;     // virtio 1.2 §5.6.4: max_target

/// How many slots without a card come after those that `cards` names.
[[nodiscard]] std::uint32_t free_slots_of(const MachineConfig& config);

/// Checks what a configuration says before anything is opened or built; whether files exist is seen later.
/// @return the first contradiction, without a place in a file.
[[nodiscard]] std::expected<void, ConfigError> validate(const MachineConfig& config);

} // namespace touka::machine
