#include "devices/passthrough/vfio_user/client_translations.hpp"

#include "memory/translation_cache.hpp"
#include "spec/address.hpp"
#include "spec/vfio_user/address_translation.hpp"

namespace touka::devices::passthrough {

using namespace spec::vfio_user;

namespace {

constexpr std::uint64_t kAddressLimit = std::uint64_t{1} << kTranslatedAddressBits;
static_assert(kTranslatedAddressBits == memory::TranslationCache::kAddressBits);

bool is_proper(const TranslationEntry& entry) {
    const std::uint64_t bytes = entry.pages * spec::kPageSize;
    return (entry.address | entry.translated) % spec::kPageSize == 0 && bytes != 0 && bytes <= kAddressLimit &&
           entry.address <= kAddressLimit - bytes && entry.translated <= kAddressLimit - bytes;
}

} // namespace

std::optional<std::vector<TranslatedRun>> read_translations(const Message& reply) {
    const std::size_t count = reply.payload.size() / sizeof(TranslationEntry);
    if (!reply.is_reply() || (reply.header.flags & kError) != 0 || count > kTranslationEntryLimit ||
        reply.payload.size() % sizeof(TranslationEntry) != 0) {
        return std::nullopt;
    }
    std::vector<TranslatedRun> runs;
    runs.reserve(count);
    std::uint64_t pages = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const auto entry = reply.at<TranslationEntry>(i * sizeof(TranslationEntry));
        // What is kept is bounded, and so is the time to keep it.
        if (!is_proper(*entry) || (pages += entry->pages) > kTranslationEntryLimit) return std::nullopt;
        runs.push_back(
            {memory::Iova{entry->address}, memory::Iova{entry->translated}, entry->pages * spec::kPageSize,
             DmaRights{(entry->permissions & kTranslatedRead) != 0, (entry->permissions & kTranslatedWrite) != 0}});
    }
    return runs;
}

std::optional<std::vector<TranslatedRun>> ClientTranslations::translate(memory::Iova first,
                                                                        std::uint64_t length_bytes) {
    const auto reply =
        commands_->call(Command::kTranslate, bytes_of(TranslationRequest{first.value, length_bytes}), limit_);
    return reply ? read_translations(*reply) : std::nullopt;
}

} // namespace touka::devices::passthrough
