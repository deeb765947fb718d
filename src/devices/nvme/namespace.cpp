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
    const std::size_t plain = formats_.size();
    if (configuration_.protection) {
        for (std::size_t i = 0; i < plain; ++i) {
            formats_.push_back(formats_[i]);
            formats_.back().metadata_bytes = spec::scsi::kProtectionBytes;
        }
        const ProtectedNamespace::Format found = configuration_.protection->format();
        for (std::size_t i = plain; i < formats_.size() && found.type != scsi::ProtectionType::kNone; ++i) {
            if (1u << formats_[i].data_shift != found.block_bytes) continue;
            set_format(static_cast<std::uint8_t>(i | (found.layout & (kExtended | kFirstBytes)) |
                                                 std::to_underlying(found.type) << kTypeShift));
            return;
        }
    }
    const std::uint32_t wanted =
        configuration_.block_bytes != 0 ? configuration_.block_bytes : geometry().logical_block_bytes;
    const auto found = std::ranges::find_if(
        formats_, [wanted](const LbaFormat& format) { return std::uint32_t{1} << format.data_shift == wanted; });
    if (found != formats_.end()) set_format(static_cast<std::uint8_t>(found - formats_.begin()));
}

std::optional<std::uint8_t> Namespace::format_of(std::uint32_t dword10) const {
    const std::uint32_t index = dword10 & kIndex;
    const std::uint32_t type = dword10 >> 5 & 0x7;
    const bool first = (dword10 >> 8 & 1) != 0;
    if (index >= formats_.size() || (dword10 >> 12 & 0x3) != 0) return std::nullopt; // the index's upper half
    const bool metadata = formats_[index].metadata_bytes != 0;
    if (metadata ? type == 0 || type > 3 : type != 0 || first || (dword10 & kExtended) != 0) return std::nullopt;
    return static_cast<std::uint8_t>((dword10 & (kIndex | kExtended)) | (first ? kFirstBytes : 0) | type << kTypeShift);
}

ProtectedNamespace::Format Namespace::file_format(std::uint8_t format) const {
    return {.type = static_cast<scsi::ProtectionType>(format >> kTypeShift),
            .block_bytes = 1u << formats_[format & kIndex].data_shift,
            .layout = static_cast<std::uint8_t>(format & (kExtended | kFirstBytes))};
}

} // namespace touka::devices::nvme
