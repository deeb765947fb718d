#include "scsi/iscsi/network_entity.hpp"

#include <algorithm>
#include <cassert>
#include <ranges>
#include <utility>

namespace touka::scsi::iscsi {

namespace {

constexpr std::uint64_t kTickNs = 1'000'000'000;

} // namespace

NetworkEntity::NetworkEntity(runtime::Timers& timers, AccessPolicy& policy, EntityOptions options)
    : timers_(timers), policy_(policy), options_(options), store_(std::make_shared<TaskStore>(options.memory_bytes)),
      timer_(timers.make_timer([this] { tick(); })) {}

NetworkEntity::~NetworkEntity() = default;

Connection* NetworkEntity::accept(Wire& wire, PortalId portal) {
    const auto logins = std::ranges::count_if(
        connections_, [](const auto& entry) { return entry.second->logging_in() && !entry.second->gone(); });
    if (shutting_down_ || connections_.size() >= options_.connections || logins >= options_.logins) return nullptr;
    if (connections_.empty()) timer_->arm(now_ns() + kTickNs);
    const std::uint64_t id = next_id_++;
    auto& connection = connections_[id];
    connection = std::make_unique<Connection>(*this, wire, portal, id);
    return connection.get();
}

Connection* NetworkEntity::find(std::uint64_t id) {
    const auto found = connections_.find(id);
    return found == connections_.end() ? nullptr : found->second.get();
}

void NetworkEntity::tick() {
    const std::uint64_t now = now_ns();
    for (const auto& [id, connection] : connections_) connection->tick(now);
    collect();
    if (!connections_.empty()) timer_->arm(now + kTickNs);
}

void NetworkEntity::collect() {
    std::erase_if(connections_, [](const auto& entry) { return entry.second->gone(); });
    call_who_waits();
}

/// Same initiator port and same target port, by either of the ways in which a target port is told.
bool NetworkEntity::stands_in_the_way(const Connection& old, const Connection& fresh) const {
    if (&old == &fresh || !old.has_nexus() || old.node()->target != fresh.node()->target) return false;
    const SessionInfo& a = old.info();
    const SessionInfo& b = fresh.info();
    return a.parameters.initiator_name == b.parameters.initiator_name && a.isid == b.isid &&
           (a.group_tag == b.group_tag || a.relative_port == b.relative_port);
}

void NetworkEntity::reinstate(Connection& connection) {
    const bool resuming = std::exchange(resuming_, true); // what ends here and now is looked at here
    bool free = true;
    for (const auto& [id, old] : connections_) {
        if (!stands_in_the_way(*old, connection)) continue;
        old->drop();
        free &= !old->has_nexus();
    }
    resuming_ = resuming;
    // Of two logins that wait for the same, the first one gets it, and is dropped for the second.
    if (free) connection.open_session();
}

void NetworkEntity::ended(Connection&) { resume_waiting(); }

void NetworkEntity::resume_waiting() {
    if (std::exchange(resuming_, true)) return; // the outer call looks at them all again
    bool again = true;
    while (again) {
        again = false;
        for (const auto& [id, connection] : connections_) {
            if (!connection->waiting()) continue;
            reinstate(*connection);
            if (connection->waiting()) continue;
            connection->resume();
            again = true;
        }
    }
    resuming_ = false;
}

void NetworkEntity::reset_target(const Target& target, const Connection* except) {
    for (const auto& [id, connection] : connections_) {
        if (connection.get() != except && connection->has_nexus() && connection->node()->target == &target) {
            connection->drop();
        }
    }
}

void NetworkEntity::set_targets(std::vector<TargetNode> targets, std::function<void()> done) {
    std::vector<const Target*> old;
    old.reserve(targets_.size());
    for (const TargetNodeRef& node : targets_) old.push_back(node->target);
    targets_.clear();
    targets_.reserve(targets.size());
    for (TargetNode& node : targets) targets_.push_back(std::make_shared<const TargetNode>(std::move(node)));
    for (const auto& [id, connection] : connections_) {
        if (!connection->has_nexus()) continue; // logins look again when they are done
        const TargetNodeRef node = find_target(connection->node()->name);
        if (node != nullptr && node->target == connection->node()->target) {
            connection->replace_node(node);
        } else {
            connection->drop();
        }
    }
    std::erase_if(old, [&](const Target* target) {
        return std::ranges::any_of(targets_, [&](const TargetNodeRef& node) { return node->target == target; });
    });
    waiters_.push_back({.targets = std::move(old), .all = false, .done = std::move(done)});
    call_who_waits();
}

void NetworkEntity::access_changed() {
    for (const auto& [id, connection] : connections_) {
        if (!connection->has_nexus()) continue;
        const std::string& initiator = connection->info().parameters.initiator_name;
        const std::string& target = connection->node()->name;
        if (policy_.authentication(initiator, target)) {
            connection->remap(policy_.units(initiator, target));
        } else {
            connection->drop();
        }
    }
}

void NetworkEntity::shut_down(std::uint16_t seconds, std::function<void()> done) {
    shutting_down_ = true;
    for (const auto& [id, connection] : connections_) connection->request_logout(seconds);
    waiters_.push_back({.targets = {}, .all = true, .done = std::move(done)});
    call_who_waits();
}

void NetworkEntity::call_who_waits() {
    const auto fulfilled = [&](const Waiter& waiter) {
        if (waiter.all) return connections_.empty();
        return std::ranges::none_of(connections_, [&](const auto& entry) {
            const Connection& connection = *entry.second;
            return connection.has_nexus() &&
                   std::ranges::find(waiter.targets, connection.node()->target) != waiter.targets.end();
        });
    };
    std::vector<std::function<void()>> calls;
    for (Waiter& waiter : waiters_) {
        if (fulfilled(waiter)) calls.push_back(std::move(waiter.done));
    }
    std::erase_if(waiters_, [](const Waiter& waiter) { return !waiter.done; });
    for (const auto& call : calls) call();
}

std::vector<SessionInfo> NetworkEntity::sessions() const {
    std::vector<SessionInfo> sessions;
    for (const auto& [id, connection] : connections_) {
        if (connection->info().tsih != 0 && !connection->gone()) sessions.push_back(connection->info());
    }
    return sessions;
}

TargetNodeRef NetworkEntity::find_target(std::string_view name) const {
    const auto found = std::ranges::find_if(targets_, [&](const TargetNodeRef& node) { return node->name == name; });
    return found == targets_.end() ? nullptr : *found;
}

Connection* NetworkEntity::find_session(std::uint16_t tsih) const {
    const auto found =
        std::ranges::find_if(connections_, [&](const auto& entry) { return entry.second->info().tsih == tsih; });
    return found == connections_.end() ? nullptr : found->second.get();
}

bool NetworkEntity::session_exists(std::uint16_t tsih) const { return find_session(tsih) != nullptr; }

bool NetworkEntity::drop_session(std::uint16_t tsih) {
    Connection* const connection = tsih == 0 ? nullptr : find_session(tsih);
    if (connection != nullptr) connection->drop();
    return connection != nullptr;
}

bool NetworkEntity::report_sense(std::uint16_t tsih, Lun lun, const SenseData& sense) {
    Connection* const connection = tsih == 0 ? nullptr : find_session(tsih);
    if (connection != nullptr) connection->report_sense(lun, sense);
    return connection != nullptr;
}

std::uint16_t NetworkEntity::new_tsih() {
    do {
        ++last_tsih_;
    } while (last_tsih_ == 0 || session_exists(last_tsih_));
    return last_tsih_;
}

std::string NetworkEntity::portal_address(PortalId portal, const std::string& local_address) const {
    const auto found = portals_.find(portal);
    if (found == portals_.end()) return {};
    const std::string& address = found->second;
    const std::size_t colon = address.rfind(':');
    const std::string_view host = std::string_view(address).substr(0, colon);
    if (host != "0.0.0.0" && host != "[::]") return address;
    return local_address.substr(0, local_address.rfind(':')) + address.substr(colon);
}

} // namespace touka::scsi::iscsi
