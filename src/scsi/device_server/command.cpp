#include "scsi/device_server/command.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <tuple>

namespace touka::scsi {

namespace {

auto order(const Command& command) { return std::tuple(command.operation_code(), command.service_action.value_or(0)); }

} // namespace

ReservationClass always_allowed(const Cdb& cdb) {
    using namespace spec::scsi::operation;
    switch (cdb.operation_code()) {
        case kInquiry:
        case kRequestSense:
        case kReportLuns:
        case kRelease6:
        case kRelease10: return ReservationClass::kExempt;
        case kPreventAllowMediumRemoval: // to allow is
            return (cdb[4] & 0x03) == 0 ? ReservationClass::kExempt : ReservationClass::kAllowed;
        default: return ReservationClass::kAllowed;
    }
}

void CommandSet::add(Command command) {
    assert(!command.usage.empty());
    assert(find(command.operation_code(), command.service_action.value_or(0)) == nullptr);
    const auto place = std::ranges::upper_bound(commands_, order(command), {}, order);
    const std::size_t operation_code = command.operation_code();
    commands_.insert(place, std::move(command));
    for (std::size_t code = operation_code + 1; code < first_.size(); ++code) ++first_[code];
}

bool CommandSet::has(std::uint8_t operation_code) const {
    return first_[operation_code] != first_[operation_code + std::size_t{1}];
}

const Command* CommandSet::find(std::uint8_t operation_code, std::uint16_t service_action) const {
    for (std::size_t i = first_[operation_code]; i < first_[operation_code + std::size_t{1}]; ++i) {
        if (commands_[i].service_action.value_or(0) == service_action) return &commands_[i];
    }
    return nullptr;
}

std::optional<Sense> CommandSet::check(const Command& command, const Cdb& cdb) {
    // Transports pad short commands to 16 or 32 bytes, so that more is no error.
    if (cdb.bytes().size() < command.usage.size()) return Sense::invalid_field_in_cdb(0);
    for (std::size_t i = 1; i < command.usage.size(); ++i) {
        const auto foreign = static_cast<std::uint8_t>(cdb[i] & ~command.usage[i]);
        if (foreign == 0) continue;
        const auto leftmost = static_cast<std::uint8_t>(std::bit_width(foreign) - 1);
        return Sense::invalid_field_in_cdb(static_cast<std::uint16_t>(i), leftmost);
    }
    return std::nullopt;
}

} // namespace touka::scsi
