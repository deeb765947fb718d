// Protection information without I/O: made and checked for runs of blocks in memory. (SBC-4 §4.21, §4.22)
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "spec/scsi/protection.hpp"

namespace touka::scsi {

using spec::scsi::ProtectionType;

/// The eight bytes of one block. As made here they are what a block has that nobody has written.
struct ProtectionInformation {
    std::uint16_t guard = 0xFFFF;
    std::uint16_t application_tag = spec::scsi::kApplicationTagEscape;
    std::uint32_t reference_tag = spec::scsi::kReferenceTagEscape;

    [[nodiscard]] static ProtectionInformation load(std::span<const std::uint8_t> bytes);
    void store(std::span<std::uint8_t> bytes) const;
    bool operator==(const ProtectionInformation&) const = default;
};

/// What is known of the tags of a run of blocks; what is not known is not checked.
struct ProtectionTags {
    ProtectionType type = ProtectionType::kNone;
    std::optional<std::uint32_t> reference{}; ///< of the first block; each further block has one more, modulo 2^32
    std::uint16_t application = 0, application_mask = 0;

    /// Those of the run that begins `blocks` later.
    [[nodiscard]] ProtectionTags after(std::uint64_t blocks) const {
        ProtectionTags later = *this;
        if (reference) later.reference = *reference + static_cast<std::uint32_t>(blocks);
        return later;
    }
};

struct ProtectionChecks {
    bool guard = false, application_tag = false, reference_tag = false;
};
/// What a RDPROTECT or VRPROTECT field lets check on the medium, and what a WRPROTECT, VRPROTECT or ORPROTECT field
/// lets check of what the initiator sends (there 0 means that it sends nothing). (SBC-4 tables 56, 101, 127 ff)
/// @param code 0 to kLargestProtectCode.
[[nodiscard]] ProtectionChecks protection_checks(std::uint8_t code);

enum class ProtectionFault : std::uint8_t { kGuard, kApplicationTag, kReferenceTag };
struct ProtectionFailure {
    std::size_t block; ///< counted from the run's first
    ProtectionFault fault;
};

/// Where information comes from: tags that are escapes count on the medium only. (SBC-4 §4.21.3)
enum class ProtectionSource : std::uint8_t { kMedium, kInitiator };

/// @param data whole blocks.  @param information eight bytes for each.  @return the first block that is wrong.
[[nodiscard]] std::optional<ProtectionFailure> check_protection(std::span<const std::uint8_t> data,
                                                                std::span<const std::uint8_t> information,
                                                                std::size_t block_bytes, const ProtectionTags& tags,
                                                                ProtectionChecks checks, ProtectionSource source);

/// What a block written without information gets: the right guard; in type 1 the block's reference tag, in others all
/// ones. (SBC-4 table 127, WRPROTECT 000b)
/// @param tags type, and in type 1 the first block's reference tag.
void make_protection(std::span<const std::uint8_t> data, std::size_t block_bytes, const ProtectionTags& tags,
                     std::uint16_t application_tag, std::span<std::uint8_t> information);

/// One block's information again and again: the reference tag counts on in types 1 and 2, unless it was not given.
/// @param skipped blocks before the first one of `information`. (SBC-4 §5.50)
void repeat_protection(const ProtectionInformation& first, bool counts, std::uint64_t skipped,
                       std::span<std::uint8_t> information);

/// Blocks with their information after each, as initiators send and get them.
/// @pre mixed has room for data and information.
void mix_protection(std::span<const std::uint8_t> data, std::span<const std::uint8_t> information,
                    std::size_t block_bytes, std::span<std::uint8_t> mixed);
void part_protection(std::span<const std::uint8_t> mixed, std::size_t block_bytes, std::span<std::uint8_t> data,
                     std::span<std::uint8_t> information);

} // namespace touka::scsi
