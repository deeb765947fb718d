// From what a command says about its data to host memory. (NVM Express Base 2.0 §4.1)
// Absent: keyed descriptors, bit buckets, metadata in pieces.
#pragma once

#include <cstdint>

#include "devices/nvme/segment_list.hpp"
#include "memory/dma_space.hpp"
#include "spec/nvme/command.hpp"

namespace touka::devices::nvme {

/// More descriptors than this have no command's data: a list that goes in circles ends here.
inline constexpr unsigned kSglDescriptorLimit = 1024;

/// The memory behind a data pointer, read once. All within a use of `dma`.
struct DataMapping {
    memory::DmaSpace& dma;
    memory::DmaAccess access; ///< to the data; lists are always read
    std::uint32_t page_bytes; ///< CC.MPS
    memory::DmaHold& hold;    ///< gets the ranges of the data; not active
};

/// PRP1 and PRP2. (§4.1.1) @param length_bytes at least 1.
/// @return kSuccess and `to` covers exactly length_bytes; kPrpOffsetInvalid; kDataTransferError for what cannot be
/// reached.
[[nodiscard]] spec::nvme::Status map_prps(const DataMapping& mapping, std::uint64_t prp1, std::uint64_t prp2,
                                          std::uint64_t length_bytes, SegmentList& to);

/// SGL1, which stands where the PRPs do. (§4.1.2) A list may be longer than the data.
/// @return the statuses of figure 92 that begin with "SGL", or kDataTransferError.
[[nodiscard]] spec::nvme::Status map_sgl(const DataMapping& mapping, const spec::nvme::SubmissionEntry& command,
                                         std::uint64_t length_bytes, SegmentList& to);

/// By the command's PSDT. @param sgl_allowed not for admin commands over PCIe. (§3.3.3.1)
[[nodiscard]] spec::nvme::Status map_data(const DataMapping& mapping, const spec::nvme::SubmissionEntry& command,
                                          std::uint64_t length_bytes, bool sgl_allowed, SegmentList& to);

/// Appends [address, address + length_bytes). @return kDataTransferError, or kInvalidSglCount when there is no room.
[[nodiscard]] spec::nvme::Status map_block(const DataMapping& mapping, std::uint64_t address,
                                           std::uint64_t length_bytes, SegmentList& to);

/// MPTR: one stretch of memory. (Base 2.0 §3.3.3.1) @return as map_data.
[[nodiscard]] spec::nvme::Status map_metadata(const DataMapping& mapping, const spec::nvme::SubmissionEntry& command,
                                              std::uint64_t length_bytes, SegmentList& to);

} // namespace touka::devices::nvme
