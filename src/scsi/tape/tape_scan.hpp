#pragma once

#include <cstdint>
#include <expected>

#include "scsi/tape/object_index.hpp"
#include "scsi/tape/tape_file.hpp"
#include "scsi/tape/tape_image.hpp"

namespace touka::scsi {

/// What a walk over a tape image finds.
struct TapeScan {
    ObjectIndex index;
    std::uint64_t file_bytes = 0;
    bool end_marked = false; ///< there is an end-of-medium marker behind the last object
    bool torn = false;       ///< what follows the last object is the rest of a write that was not completed
};

/// Walks from control word to control word. @return what stands in the way of taking the file for a tape.
[[nodiscard]] std::expected<TapeScan, TapeLoadFailure> scan_tape(TapeFile& file);

} // namespace touka::scsi
