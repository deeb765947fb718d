#pragma once

#include <cstdint>

#include "scsi/cdb.hpp"

namespace touka::scsi {

/// Where a medium access command goes. (SBC-4 §5)
struct BlockRange {
    std::uint64_t lba = 0;
    std::uint64_t count = 0; ///< blocks
};

/// LOGICAL BLOCK ADDRESS and TRANSFER LENGTH (or what stands in its place) of a command of 6, 10, 12, 16 or 32 bytes.
/// READ(6) and WRITE(6) mean 256 blocks by 0. (SBC-4 §5.11, §5.12, ...)
[[nodiscard]] inline BlockRange block_range(const Cdb& cdb) {
    if (cdb.operation_code() == spec::scsi::operation::kVariableLength) return {cdb.number(12, 8), cdb.number(28, 4)};
    switch (cdb.operation_code() >> 5) {
        case 0: return {cdb.number(1, 3) & 0x1F'FFFF, cdb[4] == 0 ? 256u : cdb[4]};
        case 1:
        case 2: return {cdb.number(2, 4), cdb.number(7, 2)};
        case 5: return {cdb.number(2, 4), cdb.number(6, 4)};
        default: return {cdb.number(2, 8), cdb.number(10, 4)};
    }
}

/// The byte with RDPROTECT, DPO, FUA, BYTCHK and their kin. (SBC-4 §5)
[[nodiscard]] inline std::uint8_t block_flags(const Cdb& cdb) {
    const std::uint8_t code = cdb.operation_code();
    if (code == spec::scsi::operation::kVariableLength) return cdb[10];
    return code >> 5 == 0 ? std::uint8_t{0} : cdb[1];
}
inline constexpr std::uint8_t kFua = 0x08, kDpo = 0x10;

} // namespace touka::scsi
