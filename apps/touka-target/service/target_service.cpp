#include "target_service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <utility>

#include "devices/virtio/scsi.hpp"
#include "fabric/port_name.hpp"

namespace touka::target {

using namespace scsi::iscsi;

namespace {

constexpr std::uint16_t kLogoutSeconds = 3;
constexpr std::chrono::seconds kCloseLimit{15}; // for the logout, and for aborting what is left (scsi::kAbortLimitNs)
constexpr std::uint64_t kRetirementNs = 100'000'000, kDisconnectionNs = 10'000'000;
constexpr scsi::RelativeTargetPort kFirstVhostUserPort = 0x1000;
constexpr std::uint16_t kVhostUserQueues = 8;

/// One target port for each portal group, numbered in the order of the file. (RFC 7143 §4.4.1)
std::map<std::uint16_t, scsi::RelativeTargetPort> number_ports(const fabric::ServiceConfig& config) {
    std::map<std::uint16_t, scsi::RelativeTargetPort> ports;
    for (const fabric::PortalConfig& portal : config.portals) {
        ports.emplace(portal.group, static_cast<scsi::RelativeTargetPort>(ports.size() + 1));
    }
    return ports;
}

std::vector<scsi::TargetPort> describe_ports(const fabric::ServiceConfig& config) {
    std::vector<scsi::TargetPort> ports;
    for (const auto& [group, relative] : number_ports(config)) {
        // A unit that several targets have tells the first one's name.
        const std::string name =
            config.targets.empty() ? std::string() : fmt::format("{},t,0x{:04x}", config.targets.front().name, group);
        ports.push_back(
            {.relative = relative, .group = group, .protocol = spec::scsi::ProtocolIdentifier::kIscsi, .name = name});
    }
    // Virtual machines come through ports of their own.
    for (std::size_t i = 0; i < config.vhost_user.size(); ++i) {
        ports.push_back({.relative = static_cast<scsi::RelativeTargetPort>(kFirstVhostUserPort + i),
                         .group = 0,
                         .protocol = spec::scsi::ProtocolIdentifier::kFibreChannel,
                         .name = {}});
    }
    return ports;
}

std::string_view describe(PortalError error) {
    switch (error) {
        case PortalError::kBadAddress:
            return "is not an address to listen on; write it like 192.0.2.1:3260 or [2001:db8::1]:3260";
        case PortalError::kInUse: return "is in use, or not an address of this host";
        case PortalError::kNoSocket: break;
    }
    return "cannot be opened: the process has no sockets left";
}

std::optional<ChapSecret> secret_of(const std::optional<fabric::ChapConfig>& chap) {
    if (!chap) return std::nullopt;
    return ChapSecret{.name = chap->user, .secret = chap->secret};
}

} // namespace

TargetService::TargetService(const fabric::ServiceConfig& config, std::function<void(std::string)> notice)
    : notice_(std::move(notice)), port_of_group_(number_ports(config)),
      units_(std::make_unique<fabric::Units>(reactor_, config.state_folder, describe_ports(config), notice_)) {}

std::expected<std::unique_ptr<TargetService>, std::string>
TargetService::start(const fabric::ServiceConfig& config, std::function<void(std::string)> notice) {
    std::unique_ptr<TargetService> service(new TargetService(config, std::move(notice)));
    std::expected<void, std::string> applied;
    service->reactor_.run_and_wait([&] {
        service->entity_ = std::make_unique<NetworkEntity>(service->reactor_, *service);
        service->retirement_ = service->reactor_.make_timer([raw = service.get()] { raw->close_idle_units(); });
        applied = service->apply(config);
    });
    if (!applied) return std::unexpected(applied.error());
    return service;
}

TargetService::~TargetService() {
    if (!closed_) (void)close();
    reactor_.run_and_wait([&] {
        retirement_.reset();
        disconnection_.reset();
        vhost_user_.clear();
        portals_.clear();
        entity_.reset();
        leaving_.clear();
        targets_.clear();
        units_.reset();
    });
}

bool TargetService::close() {
    closed_ = true;
    const auto done = std::make_shared<std::promise<void>>(); // shared: it may be done when nobody waits any more
    auto ended = done->get_future();
    reactor_.post([this, done] {
        for (const VhostUserPort& port : vhost_user_) port.listener->close_connection();
        entity_->shut_down(kLogoutSeconds, [this, done] {
            wait_for_vhost_user([this, done] { units_->stop([done] { done->set_value(); }); });
        });
    });
    const bool in_time = ended.wait_for(kCloseLimit) == std::future_status::ready;
    std::vector<std::string> stuck;
    reactor_.run_and_wait([&] { stuck = units_->stuck(); });
    for (const std::string& name : stuck)
        notice_(fmt::format("unit \"{}\": the host does not let go of its file", name));
    return in_time && stuck.empty();
}

std::expected<void, std::string> TargetService::reload(const fabric::ServiceConfig& config) {
    std::expected<void, std::string> applied;
    reactor_.run_and_wait([&] { applied = apply(config); });
    return applied;
}

std::expected<void, std::string> TargetService::apply(const fabric::ServiceConfig& config) {
    for (const auto& [group, relative] : number_ports(config)) {
        if (port_of_group_.contains(group)) continue;
        return std::unexpected(
            fmt::format("portal group {} is new: units tell initiators of groups; restart the program for it", group));
    }
    if (auto opened = open_units(config); !opened) return opened;
    if (auto opened = open_portals(config); !opened) return opened;
    serve_targets(config);
    if (auto opened = open_vhost_user(config); !opened) return opened;
    remap_vhost_user();
    retire_units(config);
    return {};
}

std::expected<void, std::string> TargetService::open_units(const fabric::ServiceConfig& config) {
    std::vector<std::string> opened;
    const auto undo = [&](std::string text) {
        for (const std::string& name : opened) units_->close(name, [] {});
        return std::unexpected(std::move(text));
    };
    for (const fabric::UnitConfig& unit : config.units) {
        const fabric::UnitConfig* const open = units_->config(unit.name);
        if (open != nullptr && *open == unit) {
            std::erase(retired_units_, unit.name);
            continue;
        }
        if (open != nullptr) {
            return undo(
                fmt::format("unit \"{}\" is open and cannot change; take it out, reload, and put it back", unit.name));
        }
        if (auto result = units_->open(unit); !result) return undo(result.error());
        opened.push_back(unit.name);
    }
    return {};
}

std::expected<void, std::string> TargetService::open_portals(const fabric::ServiceConfig& config) {
    std::vector<OpenPortal> fresh;
    for (const fabric::PortalConfig& wanted : config.portals) {
        if (std::ranges::find(portals_, wanted, &OpenPortal::config) != portals_.end()) continue;
        auto portal = Portal::open(reactor_, *entity_, next_portal_, wanted.address);
        if (!portal) return std::unexpected(fmt::format("portal {} {}", wanted.address, describe(portal.error())));
        entity_->set_portal_address(next_portal_, (*portal)->address());
        fresh.push_back({wanted, next_portal_++, std::move(*portal)});
    }
    std::erase_if(portals_, [&](const OpenPortal& open) {
        const bool gone = std::ranges::find(config.portals, open.config) == config.portals.end();
        if (gone) entity_->forget_portal(open.id);
        return gone;
    });
    std::ranges::move(fresh, std::back_inserter(portals_));
    return {};
}

void TargetService::serve_targets(const fabric::ServiceConfig& config) {
    auto before = std::exchange(targets_, {});
    std::vector<TargetNode> nodes;
    std::vector<TargetPortal> places;
    for (const OpenPortal& open : portals_) {
        places.push_back(
            {.portal = open.id, .group_tag = open.config.group, .relative_port = port_of_group_.at(open.config.group)});
    }
    for (const fabric::TargetConfig& wanted : config.targets) {
        const auto known = std::ranges::find_if(
            before, [&](const auto& served) { return served && served->config.name == wanted.name; });
        auto served = known != before.end() ? std::move(*known) : std::make_unique<ServedTarget>();
        served->config = wanted;
        served->luns =
            std::make_unique<fabric::LunMap>(wanted, [this](const std::string& name) { return units_->find(name); });
        nodes.push_back({.name = wanted.name, .target = &served->target, .portals = places});
        targets_.push_back(std::move(served));
    }
    for (auto& served : before) {
        if (served) leaving_.push_back(std::move(served));
    }
    entity_->set_targets(std::move(nodes), [this] { leaving_.clear(); });
    entity_->access_changed();
}

std::expected<void, std::string> TargetService::open_vhost_user(const fabric::ServiceConfig& config) {
    for (std::size_t i = 0; i < config.vhost_user.size(); ++i) {
        const fabric::VhostUserConfig& wanted = config.vhost_user[i];
        if (std::ranges::find(vhost_user_, wanted, &VhostUserPort::config) != vhost_user_.end()) continue;
        const auto relative = static_cast<scsi::RelativeTargetPort>(kFirstVhostUserPort + i);
        auto listener = devices::virtio::VhostUserListener::listen(
            reactor_, wanted.socket, [this, wanted, relative] { return make_adapter(wanted, relative); });
        if (!listener) return std::unexpected(listener.error());
        vhost_user_.push_back({wanted, relative, std::move(*listener)});
    }
    return {};
}

std::unique_ptr<devices::virtio::VirtioDevice> TargetService::make_adapter(const fabric::VhostUserConfig& config,
                                                                           scsi::RelativeTargetPort relative) {
    const fabric::Wwpn wwpn = fabric::parse_wwpn(config.wwpn).value_or(fabric::Wwpn{});
    auto adapter = std::make_unique<devices::virtio::Scsi>(
        devices::virtio::ScsiConfiguration{.initiator = {.protocol = spec::scsi::ProtocolIdentifier::kFibreChannel,
                                                         .name = fmt::format("{:016x}", wwpn.value)},
                                           .queue_count = kVhostUserQueues});
    if (ServedTarget* const served = find(config.target)) {
        adapter->attach(0, served->target, relative, served->luns->units(config.wwpn));
    }
    return adapter;
}

void TargetService::remap_vhost_user() {
    for (const VhostUserPort& port : vhost_user_) {
        ServedTarget* const served = find(port.config.target);
        devices::virtio::VhostUserBackEnd* const connection = port.listener->connection();
        if (served == nullptr || connection == nullptr) continue;
        // make_adapter makes no other devices.
        static_cast<devices::virtio::Scsi&>(connection->device()).remap(0, served->luns->units(port.config.wwpn));
    }
}

void TargetService::wait_for_vhost_user(std::function<void()> done) {
    if (std::ranges::none_of(vhost_user_, [](const VhostUserPort& port) { return port.listener->connected(); })) {
        return done();
    }
    disconnection_ = reactor_.make_timer([this, done] { reactor_.post([this, done] { wait_for_vhost_user(done); }); });
    disconnection_->arm(reactor_.now_ns() + kDisconnectionNs);
}

void TargetService::retire_units(const fabric::ServiceConfig& config) {
    for (const std::string& name : units_->names()) {
        if (std::ranges::find(config.units, name, &fabric::UnitConfig::name) != config.units.end()) continue;
        if (std::ranges::find(retired_units_, name) == retired_units_.end()) retired_units_.push_back(name);
    }
    close_idle_units();
}

void TargetService::close_idle_units() {
    std::erase_if(retired_units_, [this](const std::string& name) {
        if (!units_->idle(name)) return false;
        units_->close(name, [] {});
        return true;
    });
    if (!retired_units_.empty()) retirement_->arm(reactor_.now_ns() + kRetirementNs);
}

TargetService::ServedTarget* TargetService::find(std::string_view name) {
    const auto found = std::ranges::find_if(targets_, [&](const auto& served) { return served->config.name == name; });
    return found == targets_.end() ? nullptr : found->get();
}

std::optional<Authentication> TargetService::authentication(std::string_view initiator, std::string_view target) {
    if (target.empty()) return Authentication{}; // discovery tells each initiator only of what it may log in to
    ServedTarget* const served = find(target);
    const fabric::AccessConfig* const entry = served != nullptr ? served->luns->entry(initiator) : nullptr;
    if (entry == nullptr) return std::nullopt;
    return Authentication{.initiator = secret_of(entry->chap), .target = secret_of(entry->mutual_chap)};
}

std::vector<scsi::MappedUnit> TargetService::units(std::string_view initiator, std::string_view target) {
    ServedTarget* const served = find(target);
    return served != nullptr ? served->luns->units(initiator) : std::vector<scsi::MappedUnit>();
}

TargetService::Report TargetService::report() {
    Report report;
    reactor_.run_and_wait([&] {
        for (const OpenPortal& open : portals_) report.portals.push_back(open.portal->address());
        for (const auto& served : targets_) report.targets.push_back(served->config);
        for (const std::string& name : units_->names()) report.units.push_back({name, units_->counters(name)});
        report.sessions = entity_->sessions();
    });
    return report;
}

} // namespace touka::target
