#include "scsi/disk/disk_core.hpp"

#include "scsi/disk/protected_disk.hpp"

namespace touka::scsi {

using namespace spec::scsi;

std::uint16_t length_field(const Cdb& cdb) {
    if (cdb.operation_code() == operation::kVariableLength) return 28;
    switch (cdb_length_of_group(cdb.operation_code())) {
        case 6: return 4;
        case 10: return 7;
        case 12: return 6;
        default: return 10;
    }
}

std::optional<Sense> DiskCore::check_range(const BlockRange& range) const {
    if (range.lba < block_count && range.count <= block_count - range.lba) return std::nullopt;
    return Sense::illegal_request(SenseCode::kLogicalBlockAddressOutOfRange);
}

std::optional<Sense> DiskCore::check_transfer(const BlockRange& range, const Cdb& cdb) const {
    if (auto sense = check_range(range)) return sense;
    if (range.count <= kTransferLimitBytes / block_bytes) return std::nullopt;
    return Sense::invalid_field_in_cdb(length_field(cdb));
}

std::optional<Sense> DiskCore::check_writable() const {
    if (read_only) return Sense::of(SenseKey::kDataProtect, SenseCode::kWriteProtected);
    if (modes.software_write_protect()) {
        return Sense::of(SenseKey::kDataProtect, SenseCode::kLogicalUnitSoftwareWriteProtected);
    }
    return std::nullopt;
}

std::optional<Sense> DiskCore::failure() const {
    const bool journal_failed = journal != nullptr && journal->failed();
    const bool store_failed = protection != nullptr && protection->state() == ProtectedDisk::State::kFailed;
    if (!journal_failed && !store_failed) return std::nullopt;
    return Sense::of(SenseKey::kHardwareError, SenseCode::kLogicalUnitFailure);
}

Sense medium_sense(storage::BlockStatus status, storage::BlockOperation operation) {
    using storage::BlockStatus;
    switch (status) {
        case BlockStatus::kNoSpace:
            return Sense::of(SenseKey::kDataProtect, SenseCode::kSpaceAllocationFailedWriteProtect);
        case BlockStatus::kReadOnly: return Sense::of(SenseKey::kDataProtect, SenseCode::kWriteProtected);
        case BlockStatus::kOutOfRange: return Sense::illegal_request(SenseCode::kLogicalBlockAddressOutOfRange);
        case BlockStatus::kUnsupported: return Sense::of(SenseKey::kHardwareError, SenseCode::kInternalTargetFailure);
        case BlockStatus::kOk:
        case BlockStatus::kIoError: break;
    }
    return Sense::of(SenseKey::kMediumError, operation == storage::BlockOperation::kRead
                                                 ? SenseCode::kUnrecoveredReadError
                                                 : SenseCode::kWriteError);
}

std::vector<std::uint8_t> range_usage(std::uint8_t operation_code, std::uint8_t flags) {
    constexpr std::uint8_t kAll = 0xFF, kGroup = 0x1F;
    switch (cdb_length_of_group(operation_code)) {
        case 6: return {operation_code, 0x1F, kAll, kAll, kAll, 0};
        case 10: return {operation_code, flags, kAll, kAll, kAll, kAll, kGroup, kAll, kAll, 0};
        case 12: return {operation_code, flags, kAll, kAll, kAll, kAll, kAll, kAll, kAll, kAll, kGroup, 0};
        default:
            return {operation_code, flags, kAll, kAll, kAll, kAll, kAll,   kAll,
                    kAll,           kAll,  kAll, kAll, kAll, kAll, kGroup, 0};
    }
}

std::vector<std::uint8_t> range_usage32(std::uint16_t service_action, std::uint8_t flags) {
    std::vector<std::uint8_t> usage(32, 0xFF);
    usage[0] = operation::kVariableLength;
    for (std::size_t i = 1; i <= 5; ++i) usage[i] = 0;
    usage[6] = 0x1F; // GROUP NUMBER
    usage[7] = 0x18; // ADDITIONAL CDB LENGTH
    usage[8] = static_cast<std::uint8_t>(service_action >> 8);
    usage[9] = static_cast<std::uint8_t>(service_action);
    usage[10] = flags;
    usage[11] = 0;
    return usage;
}

} // namespace touka::scsi
