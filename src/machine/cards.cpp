#include "machine/cards.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace touka::machine {

using namespace devices;

namespace {

constexpr std::uint8_t kFirstPortDevice = 0x10;

platform::PciAddress place_of_port(std::size_t number) {
    return {.device = static_cast<std::uint8_t>(kFirstPortDevice + number)};
}

} // namespace

std::expected<std::unique_ptr<Cards>, MachineError> Cards::create(const MachineConfig& config,
                                                                  const CardContext& context) {
    std::unique_ptr<Cards> all(new Cards(context));
    for (const CardConfig& card : config.cards) {
        auto added = std::visit([&](const auto& kind) { return all->add(kind, config.name); }, card);
        if (!added) return std::unexpected(added.error());
    }
    return all;
}

bool Cards::has_passed_through(const MachineConfig& config) {
    return std::ranges::any_of(config.cards, [](const CardConfig& card) {
        return std::holds_alternative<VfioUserDevice>(card) || std::holds_alternative<VfioDevice>(card);
    });
}

Cards::~Cards() {
    for (platform::Device* device : devices()) {
        device->reset();
        device->pause(); // nothing in flight when the volumes go
    }
    for (std::size_t i = 0; i < ports_.size(); ++i) {
        context_.root.unplug(*ports_[i], 0);
        context_.root.unplug_port(place_of_port(i), *ports_[i]);
    }
}

std::vector<platform::Device*> Cards::devices() {
    std::vector<platform::Device*> all;
    for (const auto& port : ports_) all.push_back(port.get());
    for (const auto& card : nvme_cards_) {
        for (platform::Device* device : card->devices()) all.push_back(device);
    }
    for (const auto& function : passthrough_) all.push_back(function.get());
    return all;
}

std::expected<platform::RootPort*, MachineError> Cards::add_port() {
    const std::size_t number = ports_.size();
    const platform::PciAddress place = place_of_port(number);
    // Nobody waits for a card that the guest lets go: it stays in its slot, without power.
    auto port = std::make_unique<platform::RootPort>(fmt::format("root-port@{}", place.text()),
                                                     static_cast<std::uint16_t>(number + 1), [] {});
    if (number >= kSlotLimit || !context_.root.plug_port(place, *port)) {
        return std::unexpected(MachineError{
            MachineErrorKind::kConfiguration,
            fmt::format("there is no slot for card {}; {} are the most that a machine has", number + 1, kSlotLimit)});
    }
    ports_.push_back(std::move(port));
    return ports_.back().get();
}

std::expected<void, MachineError> Cards::plug(platform::PciFunction& function) {
    const auto port = add_port();
    if (!port) return std::unexpected(port.error());
    if (context_.root.plug(**port, 0, function)) return {};
    return std::unexpected(
        MachineError{MachineErrorKind::kConfiguration,
                     fmt::format("{}: its BARs are larger than its slot's windows", function.name())});
}

std::expected<void, MachineError> Cards::add(const NvmeDevice& config, const std::string& machine_name) {
    storage::RawFile::Options options;
    options.read_only = config.disk.read_only;
    options.direct = config.disk.direct;
    auto file = storage::RawFile::open(config.disk.path, options);
    if (!file) return unusable(file.error().text);
    storage::RawFile& volume = *files_.emplace_back(std::move(*file));

    const std::size_t slot = ports_.size() + 1;
    nvme::NvmeCardConfiguration card;
    card.name = fmt::format("nvme@{}", slot);
    card.subsystem.nqn = fmt::format("nqn.2014-08.org.nvmexpress:touka:{}:{}", machine_name, slot);
    card.subsystem.serial = config.disk.serial.empty() ? fmt::format("TOUKA{:04}", slot) : config.disk.serial;
    card.subsystem.namespace_limit = 1;
    card.virtual_functions = static_cast<std::uint16_t>(config.virtual_functions);
    card.namespaces.push_back({.geometry = volume.geometry(),
                               .open = [&volume](runtime::Reactor& reactor) { return volume.open_queue(reactor); }});
    std::vector<FunctionPaths::Path*> paths;
    for (std::uint32_t i = 0; i <= config.virtual_functions; ++i) {
        paths.push_back(config.address_translation ? &context_.paths.open_with_translation() : &context_.paths.open());
    }
    nvme_cards_.push_back(std::make_unique<nvme::NvmeCard>(card, [&](std::uint16_t function) {
        FunctionPaths::Path& path = *paths[function];
        return nvme::NvmePciContext{context_.reactor, path.dma(), path.msi(), path.translation()};
    }));
    nvme::NvmeCard& made = *nvme_cards_.back();
    paths[0]->belongs_to(made.physical());
    for (std::uint16_t i = 0; i < card.virtual_functions; ++i) paths[i + 1u]->belongs_to(made.virtual_function(i));
    return plug(made.physical());
}

std::expected<void, MachineError> Cards::add(const VfioUserDevice& config, const std::string&) {
    FunctionPaths::Path& path = context_.paths.open();
    const std::string name = fmt::format("vfio-user@{}", ports_.size() + 1);
    passthrough::RemoteDevice::Settings settings;
    settings.name = name;
    settings.dial = passthrough::RemoteDevice::dialer(config.socket);
    auto device = passthrough::RemoteDevice::connect(std::move(settings), path.dma());
    if (!device) {
        return unusable(fmt::format("{}: {}; is touka-device, or another vfio-user server, running?", config.socket,
                                    device.error()));
    }
    passthrough::RemoteDevice& remote = *remote_devices_.emplace_back(std::move(*device));
    const auto given =
        give_memory(name, remote, path, fmt::format("{}: the server refused the machine's memory", config.socket));
    if (!given) return given;
    return plug(name, remote, path);
}

std::expected<void, MachineError> Cards::give_memory(const std::string& name, passthrough::DeviceTransport& transport,
                                                     FunctionPaths::Path& path, const std::string& refused) {
    if (!context_.paths.can_shadow()) {
        return unusable(fmt::format("{}: the machine's IOMMU tells of changes only in a machine that has a card of "
                                    "others from its start on",
                                    name));
    }
    auto memory = PassedMemory::grant(name, transport, context_.memory, path);
    if (!memory) return unusable(refused);
    passed_memory_.push_back(std::move(memory));
    return {};
}

std::expected<void, MachineError> Cards::plug(const std::string& name, passthrough::DeviceTransport& transport,
                                              FunctionPaths::Path& path) {
    auto function = passthrough::PassthroughFunction::create(name, transport, path.msi(), context_.reactor);
    if (!function) return unusable(fmt::format("{}: {}", name, function.error()));
    passthrough_.push_back(std::move(*function));
    path.belongs_to(*passthrough_.back());
    return plug(*passthrough_.back());
}

std::expected<std::shared_ptr<vfio::VfioContainer>, MachineError> Cards::container_for(const std::string& address) {
    if (container_) return container_;
    auto container = vfio::VfioContainer::open();
    if (!container) return unusable(fmt::format("{}: {}", address, container.error()));
    // Behind the machine's IOMMU each reaches other memory.
    if (!context_.paths.remapped()) container_ = *container;
    return std::move(*container);
}

std::expected<void, MachineError> Cards::add(const VfioDevice& config, const std::string&) {
    if (context_.paths.remapped()) {
        const auto other =
            std::ranges::find_if(host_devices_, [group = vfio::group_of(config.address)](const auto& each) {
                return group.has_value() && each->group() == *group;
            });
        if (other != host_devices_.end()) {
            return unusable(fmt::format("{}: it is in one IOMMU group with {}, and what one reaches the other reaches, "
                                        "too; with --iommu give one of them, or leave out --iommu",
                                        config.address, (*other)->address()));
        }
    }
    const auto container = container_for(config.address);
    if (!container) return std::unexpected(container.error());
    auto device = vfio::KernelDevice::open(*container, config.address);
    if (!device) return unusable(device.error());
    vfio::KernelDevice& host = *host_devices_.emplace_back(std::move(*device));
    FunctionPaths::Path& path = context_.paths.open();
    const std::string name = fmt::format("vfio@{}", config.address);
    const auto given = give_memory(
        name, host, path,
        fmt::format("{}: the machine's memory cannot be pinned for it; raise the limit on locked memory (ulimit -l)",
                    config.address));
    if (!given) return given;
    return plug(name, host, path);
}

} // namespace touka::machine
