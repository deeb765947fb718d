// Translations that a remote device asks for.
#include <algorithm>
#include <cerrno>

#include "devices/passthrough/vfio_user/remote_device.hpp"
#include "spec/address.hpp"
#include "spec/vfio_user/address_translation.hpp"

namespace touka::devices::passthrough {

using namespace spec::vfio_user;

void RemoteDevice::set_agent(TranslationAgent* agent) {
    const std::scoped_lock lock(agent_mutex_);
    agent_ = agent;
}

std::expected<std::vector<std::byte>, int> RemoteDevice::serve_translation(const Message& command) {
    const auto request = command.at<TranslationRequest>();
    if (!translates_ || !request || command.payload.size() != sizeof *request || request->length == 0 ||
        (request->address | request->length) % spec::kPageSize != 0 || request->length > kTranslationRequestBytes ||
        request->address >> kTranslatedAddressBits != 0) {
        return std::unexpected(EINVAL);
    }
    const std::scoped_lock lock(agent_mutex_);
    // One that is not in use yet could not be told to forget it.
    if (agent_ == nullptr || !link().connection) return std::unexpected(EAGAIN);
    const auto found = agent_->translate(memory::Iova{request->address}, request->length);
    std::vector<std::byte> answer;
    answer.reserve(found.size() * sizeof(TranslationEntry));
    for (const AddressTranslation& each : found) {
        append(answer,
               TranslationEntry{each.address.value, each.translated.value,
                                static_cast<std::uint32_t>(each.length_bytes / spec::kPageSize),
                                (each.readable ? kTranslatedRead : 0u) | (each.writable ? kTranslatedWrite : 0u)});
    }
    return answer;
}

DeviceTransport::Result RemoteDevice::send_invalidation(ClientConnection& connection,
                                                        std::span<const AddressExtent> extents,
                                                        bool addresses_are_translated) const {
    std::vector<std::byte> payload;
    append(payload, InvalidateTranslations{addresses_are_translated ? kAddressesAreTranslated : 0u,
                                           static_cast<std::uint32_t>(extents.size())});
    for (const AddressExtent& each : extents) append(payload, InvalidationExtent{each.first, each.last});
    const auto reply = connection.call(Command::kInvalidateTranslations, payload, settings_.answer_limit);
    if (!reply) return std::unexpected(reply.error());
    return {};
}

void RemoteDevice::invalidate(std::span<const AddressExtent> extents, bool addresses_are_translated) {
    std::shared_ptr<ClientConnection> connection;
    {
        const std::scoped_lock lock(grants_mutex_);
        if (addresses_are_translated_ != addresses_are_translated) ++grant_changes_;
        addresses_are_translated_ = addresses_are_translated;
        connection = link().connection;
    }
    while (connection) {
        const auto some = extents.first(std::min(extents.size(), kInvalidationExtentLimit));
        extents = extents.subspan(some.size());
        // A device that is gone reaches nothing; one that refuses has lost its right to go on.
        if (!send_invalidation(*connection, some, addresses_are_translated)) return connection->fail();
        if (extents.empty()) return;
    }
}

} // namespace touka::devices::passthrough
