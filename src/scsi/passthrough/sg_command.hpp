#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "scsi/passthrough/sg_unit.hpp"

namespace touka::scsi {

/// A command while an SgUnit has it, with all that the kernel's header points to.
struct SgUnit::Command {
    Task* task = nullptr;
    sg_io_hdr header{};
    std::array<std::uint8_t, Cdb::kLimitBytes> cdb{};
    std::array<std::uint8_t, spec::scsi::kSenseLimitBytes> sense{};
    std::vector<iovec> buffers{};
};

} // namespace touka::scsi
