#pragma once

#include <cstdint>
#include <string>

#include "scsi/tape/tape.hpp"

namespace touka::scsi {

/// A tape cartridge as the configuration describes it; the image file has the data alone.
struct Cartridge {
    std::string path{};    ///< of the image; made when there is none
    std::string barcode{}; ///< the primary volume tag: up to 32 ASCII characters
    TapeCapacity capacity{.capacity_bytes = std::uint64_t{400} << 30, .early_warning_bytes = std::uint64_t{64} << 20};
    std::uint8_t density_code = 0x80; ///< SSC-5, "Density codes": 80h and above are the vendor's
    bool write_protected = false;     ///< the tab on its edge
};

} // namespace touka::scsi
