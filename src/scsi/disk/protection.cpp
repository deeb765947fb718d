#include "scsi/disk/protection.hpp"

#include <cstring>

#include "scsi/disk/crc.hpp"

namespace touka::scsi {

using namespace spec::scsi;

namespace {

bool is_escape(const ProtectionInformation& information, ProtectionType type) {
    if (information.application_tag != kApplicationTagEscape) return false;
    return type != ProtectionType::kType3 || information.reference_tag == kReferenceTagEscape;
}

} // namespace

ProtectionInformation ProtectionInformation::load(std::span<const std::uint8_t> bytes) {
    return {.guard = static_cast<std::uint16_t>(load_number(bytes.first(2))),
            .application_tag = static_cast<std::uint16_t>(load_number(bytes.subspan(2, 2))),
            .reference_tag = static_cast<std::uint32_t>(load_number(bytes.subspan(4, 4)))};
}

void ProtectionInformation::store(std::span<std::uint8_t> bytes) const {
    store_number(bytes.first(2), guard);
    store_number(bytes.subspan(2, 2), application_tag);
    store_number(bytes.subspan(4, 4), reference_tag);
}

ProtectionChecks protection_checks(std::uint8_t code) {
    switch (code) {
        case 2: return {.guard = false, .application_tag = true, .reference_tag = true};
        case 3: return {};
        case 4: return {.guard = true, .application_tag = false, .reference_tag = false};
        default: return {.guard = true, .application_tag = true, .reference_tag = true};
    }
}

std::optional<ProtectionFailure> check_protection(std::span<const std::uint8_t> data,
                                                  std::span<const std::uint8_t> information, std::size_t block_bytes,
                                                  const ProtectionTags& tags, ProtectionChecks checks,
                                                  ProtectionSource source) {
    if (!checks.guard && !checks.application_tag && !checks.reference_tag) return std::nullopt;
    for (std::size_t block = 0; block * block_bytes < data.size(); ++block) {
        const auto found = ProtectionInformation::load(information.subspan(block * kProtectionBytes, kProtectionBytes));
        if (source == ProtectionSource::kMedium && is_escape(found, tags.type)) continue;
        if (checks.guard && GuardCrc::of(data.subspan(block * block_bytes, block_bytes)) != found.guard) {
            return ProtectionFailure{block, ProtectionFault::kGuard};
        }
        if (checks.application_tag && ((found.application_tag ^ tags.application) & tags.application_mask) != 0) {
            return ProtectionFailure{block, ProtectionFault::kApplicationTag};
        }
        if (checks.reference_tag && tags.reference &&
            found.reference_tag != *tags.reference + static_cast<std::uint32_t>(block)) {
            return ProtectionFailure{block, ProtectionFault::kReferenceTag};
        }
    }
    return std::nullopt;
}

void make_protection(std::span<const std::uint8_t> data, std::size_t block_bytes, const ProtectionTags& tags,
                     std::uint16_t application_tag, std::span<std::uint8_t> information) {
    const bool has_reference = tags.type == ProtectionType::kType1 && tags.reference;
    for (std::size_t block = 0; block * block_bytes < data.size(); ++block) {
        ProtectionInformation made;
        made.guard = GuardCrc::of(data.subspan(block * block_bytes, block_bytes));
        made.application_tag = application_tag;
        if (has_reference) made.reference_tag = *tags.reference + static_cast<std::uint32_t>(block);
        made.store(information.subspan(block * kProtectionBytes, kProtectionBytes));
    }
}

void repeat_protection(const ProtectionInformation& first, bool counts, std::uint64_t skipped,
                       std::span<std::uint8_t> information) {
    ProtectionInformation next = first;
    if (counts) next.reference_tag += static_cast<std::uint32_t>(skipped);
    for (std::size_t at = 0; at < information.size(); at += kProtectionBytes) {
        next.store(information.subspan(at, kProtectionBytes));
        if (counts) ++next.reference_tag;
    }
}

void mix_protection(std::span<const std::uint8_t> data, std::span<const std::uint8_t> information,
                    std::size_t block_bytes, std::span<std::uint8_t> mixed) {
    std::uint8_t* to = mixed.data();
    for (std::size_t block = 0; block * block_bytes < data.size(); ++block) {
        std::memcpy(to, data.data() + block * block_bytes, block_bytes);
        std::memcpy(to + block_bytes, information.data() + block * kProtectionBytes, kProtectionBytes);
        to += block_bytes + kProtectionBytes;
    }
}

void part_protection(std::span<const std::uint8_t> mixed, std::size_t block_bytes, std::span<std::uint8_t> data,
                     std::span<std::uint8_t> information) {
    const std::uint8_t* from = mixed.data();
    for (std::size_t block = 0; block * block_bytes < data.size(); ++block) {
        std::memcpy(data.data() + block * block_bytes, from, block_bytes);
        std::memcpy(information.data() + block * kProtectionBytes, from + block_bytes, kProtectionBytes);
        from += block_bytes + kProtectionBytes;
    }
}

} // namespace touka::scsi
