// Submission and completion queue entries. (NVM Express Base 2.0 §3.3.3)
#pragma once

#include <cstddef>
#include <cstdint>

#include "spec/nvme/status.hpp"

namespace touka::spec::nvme {

/// §3.3.3.1 figures 87, 88: the common command format; command Dwords 10 to 15 by name.
struct SubmissionEntry {
    std::uint8_t opcode;
    std::uint8_t flags; ///< FUSE in bits 1:0, PSDT in bits 7:6
    std::uint16_t cid;
    std::uint32_t nsid;
    std::uint32_t cdw2, cdw3;
    std::uint64_t mptr;
    std::uint64_t prp1, prp2; ///< or SGL1, 16 bytes
    std::uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};
static_assert(sizeof(SubmissionEntry) == 64 && offsetof(SubmissionEntry, prp1) == 24);
inline constexpr std::uint8_t kFuseMask = 0x03;
inline constexpr unsigned kPsdtShift = 6;
inline constexpr std::uint8_t kPsdtPrp = 0, kPsdtSgl = 1, kPsdtSglMetadataSegment = 2;

/// §3.3.3.2 figure 90.
struct CompletionEntry {
    std::uint32_t dw0, dw1;
    std::uint16_t sq_head;
    std::uint16_t sq_id;
    std::uint16_t cid;
    std::uint16_t status_phase; ///< bit 0: phase tag; status above it
};
static_assert(sizeof(CompletionEntry) == 16);

inline constexpr std::uint32_t kSubmissionEntryShift = 6, kCompletionEntryShift = 4;
inline constexpr std::uint32_t kAllNamespaces = 0xFFFF'FFFF;

/// §5 figure 138: opcodes of the admin command set.
enum class AdminOpcode : std::uint8_t {
    kDeleteSubmissionQueue = 0x00,
    kCreateSubmissionQueue = 0x01,
    kGetLogPage = 0x02,
    kDeleteCompletionQueue = 0x04,
    kCreateCompletionQueue = 0x05,
    kIdentify = 0x06,
    kAbort = 0x08,
    kSetFeatures = 0x09,
    kGetFeatures = 0x0A,
    kAsyncEventRequest = 0x0C,
    kNamespaceManagement = 0x0D,
    kNamespaceAttachment = 0x15,
    kVirtualizationManagement = 0x1C,
    kDoorbellBufferConfig = 0x7C,
    kFormatNvm = 0x80,
};

/// §7 figure 390 and NVM Command Set 1.0 §3 figure 12: opcodes of I/O commands.
enum class IoOpcode : std::uint8_t {
    kFlush = 0x00,
    kWrite = 0x01,
    kRead = 0x02,
    kCompare = 0x05,
    kWriteZeroes = 0x08,
    kDatasetManagement = 0x09,
    kVerify = 0x0C,
    kReservationRegister = 0x0D,
    kReservationReport = 0x0E,
    kReservationAcquire = 0x11,
    kReservationRelease = 0x15,
    kCopy = 0x19,
};

/// NVM Command Set 1.0 §3.2: bits of command Dword 12 of commands on ranges of blocks.
inline constexpr std::uint32_t kBlockCountMask = 0xFFFF, kDeallocate = 1u << 25, kForceUnitAccess = 1u << 30;

/// NVM Command Set 1.0 §5.2.3: PRINFO in bits 29:26 of the same Dword, Copy's PRINFOR in bits 15:12.
inline constexpr unsigned kPrinfoShift = 26, kPrinfoReadShift = 12;
inline constexpr std::uint32_t kPrinfoReferenceTag = 1u << 0, kPrinfoApplicationTag = 1u << 1, kPrinfoGuard = 1u << 2,
                               kPrinfoAction = 1u << 3;

/// Base 2.0 §3.4.2: FUSE.
inline constexpr std::uint8_t kFuseFirst = 1, kFuseSecond = 2;

/// NVM Command Set 1.0 §3.2.3 figure 39: one range of Dataset Management.
struct DatasetRange {
    std::uint32_t attributes;
    std::uint32_t block_count;
    std::uint64_t first_lba;
};
static_assert(sizeof(DatasetRange) == 16);
inline constexpr std::uint32_t kDatasetDeallocate = 1u << 2, kDatasetRangeLimit = 256;

/// NVM Command Set 1.0 §3.2.2 figure 29: one source range of Copy, descriptor format 0.
struct CopyRange {
    std::uint64_t reserved0;
    std::uint64_t first_lba;
    std::uint16_t block_count; ///< less one
    std::uint16_t reserved18[3];
    std::uint32_t reference_tag;
    std::uint16_t application_tag, application_tag_mask;
};
static_assert(sizeof(CopyRange) == 32 && offsetof(CopyRange, reference_tag) == 24);

/// Base 2.0 §5.4, §5.5: bits of command Dword 11 of the queues' creation.
inline constexpr std::uint32_t kQueueContiguous = 1u << 0, kQueueInterruptsEnabled = 1u << 1;

} // namespace touka::spec::nvme
