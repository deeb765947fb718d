#include "machine/scsi_adapter.hpp"

#include <fmt/format.h>

#include "fabric/port_name.hpp"
#include "scsi/device_server/inquiry.hpp"

namespace touka::machine {

namespace {

constexpr scsi::RelativeTargetPort kPort = 1;

std::unexpected<MachineError> unusable(std::string text) {
    return std::unexpected(MachineError{MachineErrorKind::kUnusable, std::move(text)});
}

/// The port's own name, which stays with the machine wherever it runs. (T4)
fabric::Wwpn wwpn_of(const MachineConfig& config) {
    const auto given = fabric::parse_wwpn(config.wwpn);
    return given ? *given : fabric::Wwpn{scsi::derive_naa(config.name + "/scsi0")};
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
        const auto unit = adapter->open(config.scsi_units[index], index);
        if (!unit) return std::unexpected(unit.error());
        adapter->targets_.push_back(std::make_unique<scsi::Target>());
        adapter->device_->attach(static_cast<std::uint8_t>(index), *adapter->targets_.back(), kPort,
                                 {{spec::scsi::Lun::from_number(0), *unit}});
    }
    return adapter;
}

std::expected<scsi::LogicalUnit*, MachineError> ScsiAdapter::open(const ScsiUnitConfig& config, std::size_t index) {
    const auto* local = std::get_if<LocalUnit>(&config.behind);
    if (local == nullptr) return unusable("a unit that is passed through is not possible yet");
    const std::vector<scsi::TargetPort> ports{
        {.relative = kPort, .group = 1, .protocol = spec::scsi::ProtocolIdentifier::kFibreChannel, .name = {}}};
    fabric::UnitConfig unit{.name = fmt::format("{}-{}", index, local->disk.path),
                            .serial = local->serial,
                            .vendor = {},
                            .product = {},
                            .revision = {},
                            .kind = local->disk};
    local_units_.push_back(std::make_unique<fabric::Units>(reactor_, local->state, ports, [](const std::string&) {}));
    if (auto opened = local_units_.back()->open(unit); !opened) return unusable(opened.error());
    return local_units_.back()->find(unit.name);
}

} // namespace touka::machine
