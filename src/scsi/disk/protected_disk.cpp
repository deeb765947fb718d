#include "scsi/disk/protected_disk.hpp"

#include <algorithm>

namespace touka::scsi {

using namespace spec::scsi;
using storage::BlockOperation;
using storage::BlockStatus;

namespace {

SenseCode code_of(ProtectionFault fault) {
    switch (fault) {
        case ProtectionFault::kGuard: return SenseCode::kLogicalBlockGuardCheckFailed;
        case ProtectionFault::kApplicationTag: return SenseCode::kLogicalBlockApplicationTagCheckFailed;
        case ProtectionFault::kReferenceTag: break;
    }
    return SenseCode::kLogicalBlockReferenceTagCheckFailed;
}

/// Which bytes of the information a comparison looks at. (SBC-4 table 120)
std::uint64_t compared_bytes(std::uint8_t code, bool application_tag_owner) {
    constexpr std::uint64_t kGuard = 0xFFFF'0000'0000'0000, kApplicationTag = 0x0000'FFFF'0000'0000,
                            kReferenceTag = 0x0000'0000'FFFF'FFFF;
    const std::uint64_t application_tag = application_tag_owner ? kApplicationTag : 0;
    switch (code) {
        case 0: return 0;
        case 2: return application_tag | kReferenceTag;
        case 4: return kGuard;
        default: return kGuard | application_tag | kReferenceTag;
    }
}

} // namespace

std::uint16_t ProtectedDisk::application_tag_to_make() const {
    // With ATO the tag is the initiator's, and the escape says that there is none; under type 2 nobody but the
    // initiator knows a reference tag either. Else a tag without escape lets the guard be checked.
    return application_tag_owner() || type() == ProtectionType::kType2 ? kApplicationTagEscape : std::uint16_t{0};
}

ProtectionTags ProtectedDisk::tags_at(std::uint64_t lba) const {
    ProtectionTags tags{.type = type()};
    if (tags.type == ProtectionType::kType1) tags.reference = static_cast<std::uint32_t>(lba);
    return tags;
}

/// (SBC-4 §4.21.2, and the tables of the protect fields)
std::optional<Sense> ProtectedDisk::parse(const Cdb& cdb, const BlockRange& range, Request& request) const {
    const bool long_cdb = cdb.operation_code() == operation::kVariableLength;
    request.code = static_cast<std::uint8_t>(block_flags(cdb) >> kProtectShift);
    request.tags = tags_at(range.lba);
    const bool type2 = type() == ProtectionType::kType2;
    if ((long_cdb && !type2) || (!long_cdb && type2 && request.code != 0)) {
        return Sense::illegal_request(SenseCode::kInvalidCommandOperationCode);
    }
    if (request.code > kLargestProtectCode || (request.code != 0 && type() == ProtectionType::kNone)) {
        return Sense::invalid_field_in_cdb(long_cdb ? 10 : 1, std::uint8_t{7});
    }
    if (!long_cdb) return std::nullopt;
    request.tags.reference = static_cast<std::uint32_t>(cdb.number(20, 4));
    if (application_tag_owner()) {
        request.tags.application = static_cast<std::uint16_t>(cdb.number(24, 2));
        request.tags.application_mask = static_cast<std::uint16_t>(cdb.number(26, 2));
    }
    return std::nullopt;
}

ProtectedDisk::Entry ProtectedDisk::enter(Task& task, const BlockRange& range, Request& request) {
    if (const auto sense = parse(task.cdb, range, request)) {
        core_.server.check(task, *sense);
        return Entry::kRefused;
    }
    return type() == ProtectionType::kNone ? Entry::kPlain : Entry::kTaken;
}

void ProtectedDisk::fill_with(const Blocks& one, bool counts, std::uint64_t skipped, std::uint64_t count,
                              Blocks& blocks) const {
    resize(blocks, count);
    for (std::size_t at = 0; at < blocks.data.size(); at += one.data.size()) {
        std::ranges::copy(one.data, blocks.data.begin() + static_cast<std::ptrdiff_t>(at));
    }
    repeat_protection(ProtectionInformation::load(one.information), counts, skipped, blocks.information);
}

ProtectedDisk::Verdict ProtectedDisk::failure_sense(const std::optional<ProtectionFailure>& failure,
                                                    std::uint64_t lba) const {
    if (!failure) return std::nullopt;
    Sense sense = Sense::of(SenseKey::kAbortedCommand, code_of(failure->fault));
    sense.information = lba + failure->block;
    return sense;
}

Step<ProtectedDisk::Verdict> ProtectedDisk::fetch(BlockRange range, ProtectionTags tags, ProtectionChecks checks,
                                                  Blocks& blocks) {
    Step<BlockStatus> reading = medium_.read(range, blocks);
    const BlockStatus status = co_await reading;
    if (status != BlockStatus::kOk) co_return medium_sense(status, BlockOperation::kRead);
    co_return failure_sense(
        check_protection(blocks.data, blocks.information, core_.block_bytes, tags, checks, ProtectionSource::kMedium),
        range.lba);
}

Step<ProtectedDisk::State> ProtectedDisk::open() {
    Step<BlockStatus> opening = medium_.open(core_.read_only);
    const BlockStatus status = co_await opening;
    state_ = status == BlockStatus::kOk ? State::kReady : State::kFailed;
    co_return state_;
}

Step<ProtectedDisk::Verdict> ProtectedDisk::store(BlockRange range, const Blocks& blocks, bool stable) {
    Step<BlockStatus> writing = medium_.write(range, blocks, stable);
    const BlockStatus status = co_await writing;
    co_return status == BlockStatus::kOk ? Verdict() : medium_sense(status, BlockOperation::kWrite);
}

Step<ProtectedDisk::Verdict> ProtectedDisk::store_unwritten(BlockRange range, bool stable, bool may_unmap) {
    Step<BlockStatus> writing = medium_.write_unwritten(range, stable, may_unmap);
    const BlockStatus status = co_await writing;
    co_return status == BlockStatus::kOk ? Verdict() : medium_sense(status, BlockOperation::kWriteZeroes);
}

ProtectedDisk::Verdict ProtectedDisk::receive(const Task& task, std::uint64_t first_block, const BlockRange& range,
                                              const Request& request, Blocks& blocks) const {
    resize(blocks, range.count);
    const std::uint64_t offset_bytes = first_block * unit_bytes(request);
    if (!request.exchanged()) {
        (void)copy_from(task.data_out, offset_bytes, blocks.data);
        make_protection(blocks.data, core_.block_bytes, tags_at(range.lba), application_tag_to_make(),
                        blocks.information);
        return std::nullopt;
    }
    std::vector<std::uint8_t> mixed(range.count * unit_bytes(request));
    (void)copy_from(task.data_out, offset_bytes, mixed);
    part_protection(mixed, core_.block_bytes, blocks.data, blocks.information);
    return failure_sense(check_protection(blocks.data, blocks.information, core_.block_bytes, request.tags,
                                          request.checks(), ProtectionSource::kInitiator),
                         range.lba);
}

std::optional<std::uint64_t> ProtectedDisk::difference(const Blocks& medium, const Blocks& sent,
                                                       const Request& request) const {
    const std::uint64_t mask = compared_bytes(request.code, application_tag_owner());
    for (std::size_t block = 0; core_.bytes(block) < sent.data.size(); ++block) {
        const auto data = std::span(sent.data).subspan(core_.bytes(block), core_.block_bytes);
        const auto at = std::ranges::mismatch(data, std::span(medium.data).subspan(core_.bytes(block))).in1;
        if (at != data.end()) {
            return block * unit_bytes(request) + static_cast<std::uint64_t>(at - data.begin());
        }
        for (std::size_t byte = 0; byte < kProtectionBytes && mask != 0; ++byte) {
            const std::size_t place = block * kProtectionBytes + byte;
            const auto bits = static_cast<std::uint8_t>(mask >> (56 - 8 * byte));
            if (((medium.information[place] ^ sent.information[place]) & bits) != 0) {
                return block * unit_bytes(request) + core_.block_bytes + byte;
            }
        }
    }
    return std::nullopt;
}

void ProtectedDisk::finish(Task& task, const Verdict& verdict) {
    if (verdict) return core_.server.check(task, *verdict);
    core_.server.good(task);
}

Step<ProtectedDisk::Verdict> ProtectedDisk::read_blocks(BlockRange range, std::vector<std::uint8_t>& data) {
    Blocks blocks;
    const ProtectionChecks checks = type() == ProtectionType::kNone ? ProtectionChecks{} : protection_checks(0);
    Step<Verdict> fetching = fetch(range, tags_at(range.lba), checks, blocks);
    Verdict verdict = co_await fetching;
    data = std::move(blocks.data);
    co_return verdict;
}

Step<ProtectedDisk::Verdict> ProtectedDisk::write_blocks(BlockRange range, std::span<const std::uint8_t> data,
                                                         bool stable) {
    Blocks blocks;
    blocks.data.assign(data.begin(), data.end());
    // Without protection: what blocks have that nobody has written since the format operation.
    blocks.information.assign(range.count * kProtectionBytes, 0xFF);
    if (type() != ProtectionType::kNone) {
        make_protection(blocks.data, core_.block_bytes, tags_at(range.lba), application_tag_to_make(),
                        blocks.information);
    }
    Step<Verdict> storing = store(range, blocks, stable);
    Verdict verdict = co_await storing;
    co_return verdict;
}

} // namespace touka::scsi
