#pragma once

#include <cstdint>
#include <vector>

namespace touka::scsi {

/// What RECEIVE COPY OPERATING PARAMETERS returns. (SPC-4 §6.22)
[[nodiscard]] std::vector<std::uint8_t> copy_operating_parameters();

/// VPD page 8Fh behind its header. (SPC-4 §7.8.17)
[[nodiscard]] std::vector<std::uint8_t> third_party_copy_page();

} // namespace touka::scsi
