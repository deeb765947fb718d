#include "scsi/reservation/persistent_reserve_in_data.hpp"

#include "scsi/reservation/transport_id.hpp"
#include "spec/scsi/byte_order.hpp"
#include "spec/scsi/persistent_reservation.hpp"

namespace touka::scsi {

namespace {

using spec::scsi::store_number;

constexpr std::size_t kHeaderBytes = 8;

/// PRGENERATION and room for ADDITIONAL LENGTH.
std::vector<std::uint8_t> header(const PersistentReservations& reservations) {
    std::vector<std::uint8_t> data(kHeaderBytes);
    store_number(std::span(data).first(4), reservations.generation());
    return data;
}

std::vector<std::uint8_t> with_length(std::vector<std::uint8_t> data) {
    store_number(std::span(data).subspan(4, 4), data.size() - kHeaderBytes);
    return data;
}

std::uint8_t scope_and_type(const PersistentReservation& reservation) {
    return static_cast<std::uint8_t>(spec::scsi::kLogicalUnitScope << 4 | static_cast<std::uint8_t>(reservation.type));
}

} // namespace

std::vector<std::uint8_t> read_keys_data(const PersistentReservations& reservations) {
    std::vector<std::uint8_t> data = header(reservations);
    for (const auto& [nexus, key] : reservations.state().registrations) {
        data.resize(data.size() + 8);
        store_number(std::span(data).last(8), key);
    }
    return with_length(std::move(data));
}

std::vector<std::uint8_t> read_reservation_data(const PersistentReservations& reservations) {
    std::vector<std::uint8_t> data = header(reservations);
    const auto& state = reservations.state();
    if (state.reservation) {
        data.resize(kHeaderBytes + 16);
        const auto holder = state.registrations.find(state.reservation->holder);
        const bool single = !is_all_registrants(state.reservation->type) && holder != state.registrations.end();
        store_number(std::span(data).subspan(kHeaderBytes, 8), single ? holder->second : 0);
        data[kHeaderBytes + 13] = scope_and_type(*state.reservation);
    }
    return with_length(std::move(data));
}

std::vector<std::uint8_t> report_capabilities_data(const PersistentReservations& reservations, bool persist_capable) {
    namespace capability = spec::scsi::reservation_capability;
    std::vector<std::uint8_t> data(capability::kBytes);
    store_number(std::span(data).first(2), capability::kBytes);
    data[2] = capability::kCompatibleHandling | capability::kSpecifyInitiatorPorts | capability::kAllTargetPorts;
    if (persist_capable) data[2] |= capability::kPersistCapable;
    data[3] = capability::kTypeMaskValid | capability::kTestUnitReadyAllowed;
    if (reservations.state().persists) data[3] |= capability::kPersistActivated;
    store_number(std::span(data).subspan(4, 2), capability::kAllTypes);
    return data;
}

std::vector<std::uint8_t> read_full_status_data(const PersistentReservations& reservations) {
    namespace status = spec::scsi::full_status;
    std::vector<std::uint8_t> data = header(reservations);
    const auto& state = reservations.state();
    for (const auto& [nexus, key] : state.registrations) {
        const std::vector<std::uint8_t> id = encode_transport_id(nexus.initiator);
        const std::size_t offset = data.size();
        data.resize(offset + status::kBytes);
        const auto descriptor = std::span(data).subspan(offset);
        store_number(descriptor.first(8), key);
        if (state.holds(nexus)) {
            descriptor[status::kFlagsOffset] = status::kHolder;
            descriptor[status::kScopeAndTypeOffset] = scope_and_type(*state.reservation);
        }
        store_number(descriptor.subspan(status::kTargetPortOffset, 2), nexus.target_port);
        store_number(descriptor.subspan(status::kTransportIdLengthOffset, 4), id.size());
        data.insert(data.end(), id.begin(), id.end());
    }
    return with_length(std::move(data));
}

} // namespace touka::scsi
