#pragma once

#include <expected>
#include <memory>
#include <string>

#include "devices/nvme/namespace.hpp"
#include "runtime/reactor.hpp"
#include "storage/raw_file.hpp"

namespace touka::devices::nvme {

/// Gives a namespace formats with metadata, which is kept in the file: made, or lengthened, if need be.
/// @param reactor moves data and metadata; outlives the namespace; not the caller's.
/// @return the file, which outlives the namespace, or what is wrong with it.
[[nodiscard]] std::expected<std::unique_ptr<storage::RawFile>, std::string>
open_metadata(const std::string& path, NamespaceConfiguration& configuration, runtime::Reactor& reactor);

} // namespace touka::devices::nvme
