#include "scsi/reservation/persistent_reserve_out_parameters.hpp"

#include <algorithm>

#include "spec/scsi/byte_order.hpp"
#include "spec/scsi/persistent_reservation.hpp"

namespace touka::scsi {

namespace {

namespace wire = spec::scsi::persistent_reserve_out;
using spec::scsi::load_number;

std::unexpected<Sense> wrong_length() {
    return std::unexpected(Sense::illegal_request(SenseCode::kParameterListLengthError));
}

std::unexpected<Sense> invalid(std::size_t offset, std::optional<std::uint8_t> bit = {}) {
    // Beyond what a field pointer can say, the list is wrong as a whole.
    const std::size_t byte = offset <= UINT16_MAX ? offset : 0;
    return std::unexpected(Sense::invalid_field_in_parameters(static_cast<std::uint16_t>(byte), bit));
}

} // namespace

std::expected<ReserveOutParameters, Sense> parse_reserve_out(std::span<const std::uint8_t> list,
                                                             std::uint16_t service_action) {
    if (list.size() < wire::kBasicBytes) return wrong_length();
    const std::uint8_t flags = list[wire::kFlagsOffset];
    ReserveOutParameters parameters{.key = load_number(list.subspan(wire::kReservationKeyOffset, 8)),
                                    .action_key = load_number(list.subspan(wire::kServiceActionKeyOffset, 8)),
                                    .persists = (flags & wire::kPersists) != 0,
                                    .all_target_ports = (flags & wire::kAllTargetPorts) != 0,
                                    .names_initiators = (flags & wire::kSpecifyInitiatorPorts) != 0};
    if (!parameters.names_initiators) {
        if (list.size() != wire::kBasicBytes) return wrong_length();
        return parameters;
    }
    if (service_action != wire::kRegister && service_action != wire::kRegisterAndIgnoreExistingKey) {
        return invalid(wire::kFlagsOffset, std::uint8_t{3});
    }
    if (list.size() < wire::kTransportIdsOffset) return wrong_length();
    const std::uint64_t ids_bytes = load_number(list.subspan(wire::kTransportIdsLengthOffset, 4));
    if (ids_bytes != list.size() - wire::kTransportIdsOffset) return wrong_length();
    for (std::size_t offset = wire::kTransportIdsOffset; offset < list.size();) {
        auto id = decode_transport_id(list.subspan(offset));
        if (!id) return invalid(offset);
        offset += id->length_bytes;
        parameters.initiators.push_back(*std::move(id));
    }
    return parameters;
}

std::expected<RegisterAndMoveParameters, Sense> parse_register_and_move(std::span<const std::uint8_t> list) {
    if (list.size() < wire::kMoveTransportIdOffset) return wrong_length();
    const std::uint64_t id_bytes = load_number(list.subspan(wire::kMoveTransportIdLengthOffset, 4));
    if (id_bytes != list.size() - wire::kMoveTransportIdOffset) return wrong_length();
    auto id = decode_transport_id(list.subspan(wire::kMoveTransportIdOffset));
    // A name without ISID would move the reservation to more than one port.
    if (!id || id->whole_device || id->length_bytes != id_bytes) return invalid(wire::kMoveTransportIdOffset);
    const std::uint8_t flags = list[wire::kMoveFlagsOffset];
    return RegisterAndMoveParameters{
        .key = load_number(list.subspan(wire::kReservationKeyOffset, 8)),
        .action_key = load_number(list.subspan(wire::kServiceActionKeyOffset, 8)),
        .unregister = (flags & wire::kUnregister) != 0,
        .persists = (flags & wire::kMovePersists) != 0,
        .target_port = static_cast<RelativeTargetPort>(load_number(list.subspan(wire::kMoveTargetPortOffset, 2))),
        .initiator = *std::move(id)};
}

} // namespace touka::scsi
