#include "devices/nvme/namespace.hpp"

#include <algorithm>
#include <utility>

namespace touka::devices::nvme {

using spec::nvme::LbaFormat;

Namespace::Namespace(std::uint32_t nsid, NamespaceConfiguration configuration)
    : nsid_(nsid), configuration_(std::move(configuration)) {
    if (geometry().logical_block_bytes <= 512) {
        formats_.push_back({.metadata_bytes = 0, .data_shift = 9, .relative_performance = 0});
    }
    formats_.push_back({.metadata_bytes = 0, .data_shift = 12, .relative_performance = 0});
    const std::uint32_t wanted =
        configuration_.block_bytes != 0 ? configuration_.block_bytes : geometry().logical_block_bytes;
    const auto found = std::ranges::find_if(
        formats_, [wanted](const LbaFormat& format) { return std::uint32_t{1} << format.data_shift == wanted; });
    if (found != formats_.end()) set_format(static_cast<std::uint8_t>(found - formats_.begin()));
}

} // namespace touka::devices::nvme
