// Messages of Touka's own, between a client and a server that both announced the capability "touka":
// {"address_translation": true}: a device that asks for translations and keeps them. They follow Address Translation
// Services (PCI Express Base 5.0 chapter 10); docs/passthrough.md, "Translations on request", has them in words. Their
// numbers are far beyond those of the vfio-user Protocol Specification.
#pragma once

#include <cstddef>
#include <cstdint>

namespace touka::spec::vfio_user {

/// Command::kTranslate, server to client: pages that it is going to access. (PCIe Base 5.0 §10.2.2)
struct TranslationRequest {
    std::uint64_t address; ///< untranslated, 4 KiB aligned
    std::uint64_t length;  ///< a multiple of 4 KiB, kTranslationRequestBytes at most
};
static_assert(sizeof(TranslationRequest) == 16);
inline constexpr std::uint64_t kTranslationRequestBytes = std::uint64_t{2} << 20;

/// Its reply: as many of these as there is payload for, in any order, overlapping none. What of the request is in none
/// of them is not translated. There may be more than was asked for. (§10.2.3, whose S bit is a length here)
struct TranslationEntry {
    std::uint64_t address;    ///< untranslated, 4 KiB aligned
    std::uint64_t translated; ///< 4 KiB aligned: an address of what was granted with DMA_MAP
    std::uint32_t pages;      ///< of 4 KiB, 1 at least
    std::uint32_t permissions;
};
static_assert(sizeof(TranslationEntry) == 24);
inline constexpr std::uint32_t kTranslatedRead = 1 << 0, kTranslatedWrite = 1 << 1;
inline constexpr std::size_t kTranslationEntryLimit = 1024; ///< in one reply
inline constexpr unsigned kTranslatedAddressBits = 48;      ///< both addresses have so many at most

/// Command::kInvalidateTranslations, client to server, before `count` extents. Replied to when no access by what they
/// name is under way any more, without payload. (§10.3)
struct InvalidateTranslations {
    std::uint32_t flags;
    std::uint32_t count; ///< kInvalidationExtentLimit at most
};
static_assert(sizeof(InvalidateTranslations) == 8);
/// From now on addresses are those that were granted, and nobody asks; without it, the other way round, as it is in the
/// beginning. Whoever changes it names all addresses.
inline constexpr std::uint32_t kAddressesAreTranslated = 1 << 0;
struct InvalidationExtent {
    std::uint64_t first, last; ///< addresses, both included
};
static_assert(sizeof(InvalidationExtent) == 16);
inline constexpr std::size_t kInvalidationExtentLimit = 256;

} // namespace touka::spec::vfio_user
