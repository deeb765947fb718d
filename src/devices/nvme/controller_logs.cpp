#include "devices/nvme/controller_logs.hpp"

#include <algorithm>
#include <utility>

namespace touka::devices::nvme {

using namespace spec::nvme;

void ControllerLogs::namespace_changed(std::uint32_t nsid) {
    const auto place = std::ranges::lower_bound(changed_, nsid);
    if (place == changed_.end() || *place != nsid) changed_.insert(place, nsid);
}

std::vector<std::uint32_t> ControllerLogs::changed_namespaces(bool clear) {
    std::vector<std::uint32_t> result = clear ? std::exchange(changed_, {}) : changed_;
    if (result.size() > kChangedNamespaceLimit) result = {0xFFFF'FFFF};
    return result;
}

void ControllerLogs::add_reservation_notice(std::uint8_t type, std::uint32_t nsid) {
    if (reservations_.size() >= kReservationEntries) reservations_.erase(reservations_.begin());
    reservations_.push_back({++reservation_count_, type, nsid});
}

ReservationLog ControllerLogs::take_reservation_notice(bool keep) {
    ReservationLog page{};
    if (reservations_.empty()) return page;
    const ReservationEntry& oldest = reservations_.front();
    page.count = oldest.count;
    page.type = oldest.type;
    page.nsid = oldest.nsid;
    page.available_pages = static_cast<std::uint8_t>(std::min<std::size_t>(reservations_.size() - 1, 255));
    if (!keep) reservations_.erase(reservations_.begin());
    return page;
}

} // namespace touka::devices::nvme
