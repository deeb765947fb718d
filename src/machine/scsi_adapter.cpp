#include "machine/scsi_adapter.hpp"

#include <fmt/format.h>

#include "fabric/port_name.hpp"
#include "scsi/device_server/inquiry.hpp"
#include "scsi/passthrough/iscsi_unit.hpp"
#include "scsi/passthrough/sg_unit.hpp"

namespace touka::machine {

namespace {

constexpr scsi::RelativeTargetPort kPort = 1;

/// The port's own name, which stays with the machine wherever it runs. (T4)
fabric::Wwpn wwpn_of(const MachineConfig& config) {
    const auto given = fabric::parse_wwpn(config.wwpn);
    return given ? *given : fabric::Wwpn{scsi::derive_naa(config.name + "/scsi0")};
}

scsi::CommandPolicy policy_of(const ScsiUnitConfig& config) {
    if (!config.allowed) return {};
    std::vector<scsi::CommandPolicy::Rule> rules;
    for (const std::uint32_t code : *config.allowed) {
        rules.push_back({.operation_code = static_cast<std::uint8_t>(code), .service_action = {}});
    }
    return scsi::CommandPolicy::only(std::move(rules));
}

} // namespace

std::expected<std::unique_ptr<ScsiAdapter>, MachineError> ScsiAdapter::create(const MachineConfig& config,
                                                                              runtime::Reactor& reactor) {
    std::unique_ptr<ScsiAdapter> adapter(new ScsiAdapter(reactor));
    const fabric::Wwpn wwpn = wwpn_of(config);
    adapter->device_ = std::make_unique<devices::virtio::Scsi>(
        devices::virtio::ScsiConfiguration{.initiator = {.protocol = spec::scsi::ProtocolIdentifier::kFibreChannel,
                                                         .name = fmt::format("{:016x}", wwpn.value)},
                                           .queue_count = static_cast<std::uint16_t>(config.cpu_count)});
    for (std::size_t index = 0; index < config.scsi_units.size(); ++index) {
        const auto* local = std::get_if<LocalUnit>(&config.scsi_units[index].behind);
        const auto unit = local != nullptr ? adapter->open(*local, index)
                                           : adapter->open_passed_through(config.scsi_units[index], wwpn);
        if (!unit) return std::unexpected(unit.error());
        adapter->targets_.push_back(std::make_unique<scsi::Target>());
        adapter->device_->attach(static_cast<std::uint8_t>(index), *adapter->targets_.back(), kPort,
                                 {{spec::scsi::Lun::from_number(0), *unit}});
    }
    return adapter;
}

ScsiAdapter::OpenResult ScsiAdapter::open(const LocalUnit& local, std::size_t index) {
    const std::vector<scsi::TargetPort> ports{
        {.relative = kPort, .group = 0, .protocol = spec::scsi::ProtocolIdentifier::kFibreChannel, .name = {}}};
    fabric::UnitConfig unit{.name = fmt::format("{}-{}", index, local.disk.path),
                            .serial = local.serial,
                            .vendor = {},
                            .product = {},
                            .revision = {},
                            .kind = local.disk};
    local_units_.push_back(std::make_unique<fabric::Units>(reactor_, local.state, ports, [](const std::string&) {}));
    if (auto opened = local_units_.back()->open(unit); !opened) return unusable(opened.error());
    return local_units_.back()->find(unit.name);
}

ScsiAdapter::OpenResult ScsiAdapter::open_passed_through(const ScsiUnitConfig& config, fabric::Wwpn wwpn) {
    if (const auto* sg = std::get_if<SgUnit>(&config.behind)) {
        auto device = scsi::open_sg_device(sg->path);
        if (!device) return unusable(device.error());
        passed_through_.push_back(std::make_unique<scsi::SgUnit>(
            reactor_, std::move(*device), scsi::SgUnitConfiguration{.policy = policy_of(config)}));
        return passed_through_.back().get();
    }
    const auto& array = std::get<IscsiUnit>(config.behind);
    auto unit = scsi::IscsiUnit::create(reactor_,
                                        {.url = fmt::format("iscsi://{}/{}/{}", array.portal, array.target, array.lun),
                                         .initiator_wwpn = fmt::format("{:016x}", wwpn.value),
                                         .user = array.user,
                                         .password = array.secret,
                                         .policy = policy_of(config)});
    if (!unit) return unusable(unit.error());
    passed_through_.push_back(std::move(*unit));
    return passed_through_.back().get();
}

} // namespace touka::machine
