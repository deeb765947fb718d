#pragma once

#include <cstdint>

#include "devices/nvme/request.hpp"
#include "spec/nvme/identify.hpp"

namespace touka::devices::nvme {

class Namespace;

inline constexpr char kFirmwareRevision[] = "1.0";

/// Copy takes so much at most: blocks of one source range, of all ranges, and ranges. (NVM Command Set 1.0 §4.1.5.1)
inline constexpr std::uint16_t kCopyRangeBlocks = 1024;
inline constexpr std::uint32_t kCopyBlocks = 16384;
inline constexpr std::uint8_t kCopyRanges = 128;

[[nodiscard]] spec::nvme::IdentifyController identify_controller(Controller& controller);
[[nodiscard]] spec::nvme::IdentifyNamespace identify_namespace(const Namespace& ns);
[[nodiscard]] spec::nvme::IndependentNamespace independent_namespace(const Namespace& ns);

/// The values of CNS whose answer is a list.
Outcome identify_list(Controller& controller, Request& request, spec::nvme::Cns cns);

} // namespace touka::devices::nvme
