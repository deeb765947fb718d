#include "machine/peripherals.hpp"

#include <fmt/format.h>

#include <utility>

#include "devices/virtio/balloon.hpp"
#include "devices/virtio/block.hpp"
#include "devices/virtio/console.hpp"
#include "devices/virtio/entropy.hpp"
#include "devices/virtio/net.hpp"
#include "devices/virtio/vhost_user/front_end.hpp"
#include "network/mac_address.hpp"
#include "network/port_forward.hpp"
#include "network/tap_port.hpp"
#include "network/user_port.hpp"

namespace touka::machine {

using namespace devices;

namespace {

using PortOrError = std::expected<std::unique_ptr<network::FramePort>, MachineError>;

PortOrError open_port(const TapNetwork& config, runtime::Reactor& reactor) {
    auto port = network::TapPort::open(reactor, config.interface);
    if (!port) return unusable(port.error().text);
    return std::move(*port);
}

PortOrError open_port(const UserNetwork& config, runtime::Reactor& reactor) {
    network::UserPort::Options options;
    options.restricted = config.restricted;
    for (const std::string& text : config.forwards) {
        const auto forward = network::parse_port_forward(text);
        if (!forward) return std::unexpected(MachineError{MachineErrorKind::kConfiguration, forward.error()});
        options.forwards.push_back(*forward);
    }
    auto port = network::UserPort::create(reactor, std::move(options));
    if (!port) return unusable(port.error());
    return std::move(*port);
}

platform::PciAddress place_of(std::size_t index) {
    return {.device = static_cast<std::uint8_t>(index + 1)}; // 0 is the host bridge
}

} // namespace

std::expected<std::unique_ptr<Peripherals>, MachineError> Peripherals::create(const MachineConfig& config,
                                                                              const PeripheralContext& context) {
    std::unique_ptr<Peripherals> all(new Peripherals(context));
    for (const DiskConfig& disk : config.disks) {
        if (auto added = all->add_disk(disk, config.cpu_count); !added) return std::unexpected(added.error());
    }
    for (const std::string& socket : config.vhost_user_scsi) {
        if (auto added = all->add_vhost_user(socket); !added) return std::unexpected(added.error());
    }
    if (!config.scsi_units.empty()) {
        if (auto added = all->add_scsi(config); !added) return std::unexpected(added.error());
    }
    for (std::uint32_t index = 0; index < config.networks.size(); ++index) {
        if (auto added = all->add_network(config.networks[index], index, config.name); !added) {
            return std::unexpected(added.error());
        }
    }
    if (auto added = all->add_others(config); !added) return std::unexpected(added.error());
    return all;
}

Peripherals::~Peripherals() {
    for (const auto& function : functions_) {
        function->reset(); // what waits for another process or an array is aborted
        function->pause(); // nothing in flight when the volumes go
    }
    for (std::size_t index = 0; index < functions_.size(); ++index) context_.root.unplug(place_of(index));
}

std::vector<platform::Device*> Peripherals::devices() {
    std::vector<platform::Device*> all;
    all.reserve(functions_.size());
    for (const auto& function : functions_) all.push_back(function.get());
    return all;
}

std::expected<void, MachineError> Peripherals::add_disk(const DiskConfig& config, std::uint32_t queue_count) {
    storage::RawFile::Options options;
    options.read_only = config.read_only;
    options.direct = config.direct;
    auto file = storage::RawFile::open(config.path, options);
    if (!file) return unusable(file.error().text);
    files_.push_back(std::move(*file));
    volumes_.push_back(files_.back()->open_queue(context_.reactor));
    return plug("blk",
                std::make_unique<virtio::Block>(
                    *volumes_.back(), virtio::BlockConfiguration{.queue_count = static_cast<std::uint16_t>(queue_count),
                                                                 .serial = config.serial}));
}

std::expected<void, MachineError> Peripherals::add_scsi(const MachineConfig& config) {
    auto adapter = ScsiAdapter::create(config, context_.reactor);
    if (!adapter) return std::unexpected(adapter.error());
    scsi_ = std::move(*adapter);
    return plug("scsi", scsi_->take_device());
}

std::expected<void, MachineError> Peripherals::add_vhost_user(const std::string& socket) {
    auto device = virtio::VhostUserScsi::create({.socket_path = socket, .log_writes = context_.logs_foreign_writes},
                                                context_.memory);
    if (!device) return unusable(device.error());
    return plug("vhost-user-scsi", std::move(*device));
}

std::expected<void, MachineError> Peripherals::add_network(const NetworkConfig& config, std::uint32_t index,
                                                           const std::string& machine_name) {
    network::MacAddress mac = network::derive_mac(machine_name, index);
    if (!config.mac.empty()) {
        const auto given = network::parse_mac(config.mac);
        if (!given) return std::unexpected(MachineError{MachineErrorKind::kConfiguration, given.error()});
        mac = *given;
    }
    auto port =
        std::visit([this](const auto& backend) { return open_port(backend, context_.reactor); }, config.backend);
    if (!port) return std::unexpected(port.error());
    ports_.push_back(std::move(*port));
    return plug("net", std::make_unique<virtio::Net>(*ports_.back(), mac));
}

std::expected<void, MachineError> Peripherals::add_others(const MachineConfig& config) {
    std::expected<void, MachineError> added;
    if (config.entropy) added = plug("rng", std::make_unique<virtio::Entropy>());
    if (added && config.balloon) added = plug("balloon", std::make_unique<virtio::Balloon>(balloon_memory_));
    if (added && config.virtio_console) {
        added = plug("console", std::make_unique<virtio::Console>(context_.console));
    }
    return added;
}

std::expected<void, MachineError> Peripherals::plug(std::string_view type,
                                                    std::unique_ptr<virtio::VirtioDevice> device) {
    const platform::PciAddress place = place_of(functions_.size());
    // Queues of another process see all RAM as it is, and the balloon's pages are the guest's physical ones.
    const bool remapped = context_.paths.remapped() && device->foreign_queues() == nullptr && type != "balloon";
    FunctionPaths::Path& path = remapped ? context_.paths.open() : context_.paths.open_direct();
    auto function = std::make_unique<virtio::VirtioPciFunction>(
        fmt::format("virtio-{}@00:{:02x}.0", type, place.device), std::move(device),
        virtio::VirtioPciContext{context_.reactor, path.dma(), path.msi(), context_.doorbells, remapped});
    path.belongs_to(*function);
    if (!context_.root.plug(place, *function)) {
        return std::unexpected(
            MachineError{MachineErrorKind::kConfiguration,
                         fmt::format("there is no room for device {} on the PCI bus; configure fewer devices",
                                     functions_.size() + 1)});
    }
    functions_.push_back(std::move(function));
    return {};
}

} // namespace touka::machine
