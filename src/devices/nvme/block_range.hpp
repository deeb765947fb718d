#pragma once

#include <cstdint>

#include "devices/nvme/namespace.hpp"
#include "spec/nvme/command.hpp"

namespace touka::devices::nvme {

/// What the commands on one range of blocks say in Dwords 10 to 12. (NVM Command Set 1.0 §3.2)
struct BlockRange {
    std::uint64_t first_lba = 0;
    std::uint32_t block_count = 0;

    [[nodiscard]] static BlockRange of(const spec::nvme::SubmissionEntry& command) {
        return {command.cdw10 | std::uint64_t{command.cdw11} << 32, (command.cdw12 & spec::nvme::kBlockCountMask) + 1};
    }
    [[nodiscard]] bool within(const Namespace& ns) const {
        const std::uint64_t blocks = ns.block_count();
        return first_lba <= blocks && block_count <= blocks - first_lba;
    }
    /// @pre within a namespace of that block size.
    [[nodiscard]] std::uint64_t offset_bytes(unsigned block_shift) const { return first_lba << block_shift; }
    [[nodiscard]] std::uint64_t length_bytes(unsigned block_shift) const {
        return std::uint64_t{block_count} << block_shift;
    }
};

} // namespace touka::devices::nvme
