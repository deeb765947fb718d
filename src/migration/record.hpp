// One device's saved state on its way to a file, a stream or another engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "migration/archive.hpp"

namespace touka::migration {

struct Record {
    std::string name;          ///< which instance: unique in a machine
    std::uint16_t version = 0; ///< of the layout; the reader's kVersion or older
    std::vector<std::byte> bytes;

    void describe(auto& archive) { archive(name, version, bytes); }
};

enum class RestoreError {
    kNewerVersion, ///< written by a newer Touka than this one
    kDamaged,      ///< too short, too long, or a count that cannot be
    kMismatch,     ///< of a machine with other devices or another shape
};

/// @param state a struct with kVersion and describe(), as archive.hpp shows.
template <class State>
[[nodiscard]] Record save_record(std::string name, State state) {
    ArchiveWriter writer;
    state.describe(writer);
    return Record{std::move(name), State::kVersion, writer.take()};
}

/// The state in `record`, fields of later versions at their defaults.
template <class State>
[[nodiscard]] std::expected<State, RestoreError> load_record(const Record& record) {
    if (record.version > State::kVersion) return std::unexpected(RestoreError::kNewerVersion);
    State state{};
    ArchiveReader reader(record.bytes);
    state.describe(reader);
    if (!reader.complete()) return std::unexpected(RestoreError::kDamaged);
    return state;
}

} // namespace touka::migration
