#include "devices/nvme/metadata_file.hpp"

#include <fmt/format.h>

#include <utility>

#include "storage/side_file.hpp"

namespace touka::devices::nvme {

std::expected<std::unique_ptr<storage::RawFile>, std::string>
open_metadata(const std::string& path, NamespaceConfiguration& configuration, runtime::Reactor& reactor) {
    auto file = storage::open_side_file(path, ProtectedNamespace::file_bytes(configuration.geometry),
                                        storage::SideFileSpace::kSparse);
    if (!file) return std::unexpected(file.error().text);
    auto opened = ProtectedNamespace::open(reactor, configuration.open,
                                           [&](runtime::Reactor& its) { return (*file)->open_queue(its); });
    if (!opened) return std::unexpected(fmt::format("{}: {}", path, opened.error()));
    configuration.protection = std::move(*opened);
    return std::move(*file);
}

} // namespace touka::devices::nvme
