#include "machine/cards.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "devices/nvme/metadata_file.hpp"
#include "devices/passthrough/rom_image.hpp"
#include "machine/config_validation.hpp"

namespace touka::machine {

using namespace devices;

namespace {

constexpr std::uint8_t kFirstPortDevice = 0x10;

platform::PciAddress place_of_port(std::size_t slot) {
    return {.device = static_cast<std::uint8_t>(kFirstPortDevice + slot - 1)};
}

} // namespace

std::expected<std::unique_ptr<Cards>, MachineError> Cards::create(const MachineConfig& config,
                                                                  const CardContext& context) {
    std::unique_ptr<Cards> all(new Cards(context, config.name));
    for (const CardConfig& card : config.cards) {
        const auto slot = all->add_slot();
        if (!slot) return std::unexpected(slot.error());
        if (std::holds_alternative<EmptySlot>(card)) continue;
        if (auto inserted = all->insert(**slot, card, false); !inserted) return std::unexpected(inserted.error());
    }
    for (std::uint32_t i = 0; i < free_slots_of(config); ++i) {
        if (const auto slot = all->add_slot(); !slot) return std::unexpected(slot.error());
    }
    return all;
}

bool Cards::may_pass_through(const MachineConfig& config) {
    return free_slots_of(config) > 0 || std::ranges::any_of(config.cards, [](const CardConfig& card) {
               return !std::holds_alternative<NvmeDevice>(card); // an empty slot, too
           });
}

bool Cards::needs_caching_mode() const {
    return std::ranges::any_of(slots_, [](const auto& slot) {
        return !slot->card || (slot->card->memory && slot->card->memory->is_shadowed());
    });
}

Cards::~Cards() {
    for (const auto& slot : slots_) {
        if (slot->leaving.joinable()) slot->leaving.join();
    }
    for (platform::Device* device : devices()) {
        device->reset();
        device->pause(); // nothing in flight when the volumes go
    }
    for (const auto& slot : slots_) {
        context_.root.unplug(*slot->port, 0);
        context_.root.unplug_port(place_of_port(slot->number), *slot->port);
    }
}

std::vector<platform::Device*> Cards::devices() {
    std::vector<platform::Device*> all;
    for (const auto& slot : slots_) all.push_back(slot->port.get());
    for (const auto& slot : slots_) {
        if (!slot->card) continue;
        for (platform::Device* device : slot->card->devices()) all.push_back(device);
    }
    return all;
}

std::expected<Cards::Slot*, MachineError> Cards::add_slot() {
    auto slot = std::make_unique<Slot>();
    slot->number = static_cast<std::uint16_t>(slots_.size() + 1);
    const platform::PciAddress place = place_of_port(slot->number);
    FunctionPaths::Path& path = context_.paths.open_direct(); // for interrupts: a port itself reaches no memory
    slot->port = std::make_unique<platform::RootPort>(fmt::format("root-port@{}", place.text()), slot->number,
                                                      path.msi(), [this, it = slot.get()] {
                                                          if (it->power_off_posted.exchange(true)) return;
                                                          context_.post([this, it] { power_switched_off(*it); });
                                                      });
    path.belongs_to(*slot->port);
    if (slots_.size() >= kSlotLimit || !context_.root.plug_port(place, *slot->port)) {
        return std::unexpected(MachineError{
            MachineErrorKind::kConfiguration,
            fmt::format("there is no slot {}; {} are the most that a machine has", slot->number, kSlotLimit)});
    }
    return slots_.emplace_back(std::move(slot)).get();
}

std::expected<void, MachineError> Cards::insert(Slot& slot, const CardConfig& config, bool starts) {
    auto card = std::make_unique<Card>(config, context_.paths);
    auto added = std::visit([&](const auto& kind) { return add(kind, *card, slot.number); }, config);
    if (!added) return added;
    for (platform::Device* device : card->devices()) {
        if (starts) device->start();
    }
    if (!context_.root.plug(*slot.port, 0, card->function())) {
        return std::unexpected(
            MachineError{MachineErrorKind::kConfiguration,
                         fmt::format("{}: its BARs are larger than its slot's windows", card->function().name())});
    }
    slot.card = std::move(card);
    ++slot.insertion;
    slot.removal_asked = false;
    slot.shown = true;
    if (slot.card->passthrough) follow_presence(slot);
    return {};
}

std::expected<void, MachineError> Cards::add(const NvmeDevice& config, Card& card, std::size_t slot) {
    storage::RawFile::Options options;
    options.read_only = config.disk.read_only;
    options.direct = config.disk.direct;
    auto file = storage::RawFile::open(config.disk.path, options);
    if (!file) return unusable(file.error().text);
    storage::RawFile& volume = *(card.file = std::move(*file));

    nvme::NvmeCardConfiguration built;
    built.name = fmt::format("nvme@{}", slot);
    built.subsystem.nqn = fmt::format("nqn.2014-08.org.nvmexpress:touka:{}:{}", machine_name_, slot);
    built.subsystem.serial = config.disk.serial.empty() ? fmt::format("TOUKA{:04}", slot) : config.disk.serial;
    built.subsystem.namespace_limit = 1;
    built.virtual_functions = static_cast<std::uint16_t>(config.virtual_functions);
    built.namespaces.push_back({.geometry = volume.geometry(),
                                .open = [&volume](runtime::Reactor& reactor) { return volume.open_queue(reactor); }});
    if (!config.metadata.empty()) {
        auto metadata = nvme::open_metadata(config.metadata, built.namespaces.back(), context_.reactor);
        if (!metadata) return unusable(metadata.error());
        card.metadata = std::move(*metadata);
    }
    std::vector<FunctionPaths::Path*> paths;
    for (std::uint32_t i = 0; i <= config.virtual_functions; ++i) {
        paths.push_back(config.address_translation ? &card.paths.open_with_translation() : &card.paths.open());
    }
    card.nvme = std::make_unique<nvme::NvmeCard>(built, [&](std::uint16_t function) {
        FunctionPaths::Path& path = *paths[function];
        return nvme::NvmePciContext{context_.reactor, path.dma(), path.msi(), path.translation()};
    });
    nvme::NvmeCard& made = *card.nvme;
    paths[0]->belongs_to(made.physical());
    for (std::uint16_t i = 0; i < built.virtual_functions; ++i) paths[i + 1u]->belongs_to(made.virtual_function(i));
    return {};
}

std::expected<void, MachineError> Cards::add(const VfioUserDevice& config, Card& card, std::size_t slot) {
    FunctionPaths::Path& path = card.paths.open();
    const std::string name = fmt::format("vfio-user@{}", slot);
    passthrough::RemoteDevice::Settings settings;
    settings.name = name;
    settings.dial = passthrough::RemoteDevice::dialer(config.socket);
    settings.address_translation = config.address_translation && path.is_remapped();
    auto device = passthrough::RemoteDevice::connect(std::move(settings), path.dma());
    if (!device) {
        return unusable(fmt::format("{}: {}; is touka-device, or another vfio-user server, running?", config.socket,
                                    device.error()));
    }
    passthrough::RemoteDevice& remote = *(card.remote = std::move(*device));
    const auto given = give_memory(name, remote, path, card,
                                   fmt::format("{}: the server refused the machine's memory", config.socket));
    if (!given) return given;
    return front(name, remote, config.rom, path, card);
}

std::expected<void, MachineError> Cards::give_memory(const std::string& name, passthrough::DeviceTransport& transport,
                                                     FunctionPaths::Path& path, Card& card,
                                                     const std::string& refused) {
    if (!context_.paths.can_shadow() && transport.translating() == nullptr) {
        return unusable(fmt::format("{}: the machine's IOMMU tells of changes only in a machine that has free slots, "
                                    "or a card of others, from its start on",
                                    name));
    }
    card.memory = PassedMemory::grant(name, transport, context_.memory, path);
    if (!card.memory) return unusable(refused);
    return {};
}

std::expected<void, MachineError> Cards::front(const std::string& name, passthrough::DeviceTransport& transport,
                                               const std::string& rom, FunctionPaths::Path& path, Card& card) {
    passthrough::PassthroughOptions options;
    options.processors = &context_.device_memory;
    if (rom != kNoRom) {
        auto image = rom.empty() ? passthrough::read_device_rom(transport) : passthrough::read_rom_file(rom);
        if (!image && !rom.empty()) return unusable(fmt::format("{}: {}", name, image.error()));
        // Nothing else of a device depends on it.
        if (!image) fmt::print(stderr, "touka: {}: it shows no expansion ROM: {}\n", name, image.error());
        if (image) options.rom = std::move(*image);
    }
    auto function =
        passthrough::PassthroughFunction::create(name, transport, path.msi(), context_.reactor, std::move(options));
    if (!function) return unusable(fmt::format("{}: {}", name, function.error()));
    card.passthrough = std::move(*function);
    path.belongs_to(*card.passthrough);
    return {};
}

std::expected<void, MachineError> Cards::add(const VfioDevice& config, Card& card, std::size_t) {
    auto device = vfio::KernelDevice::open(host_iommu_, config.address, config.iommufd);
    if (!device) return unusable(device.error());
    vfio::KernelDevice& host = *(card.host = std::move(*device));
    FunctionPaths::Path& path = card.paths.open();
    const std::string name = fmt::format("vfio@{}", config.address);
    const auto given = give_memory(
        name, host, path, card,
        fmt::format("{}: the machine's memory cannot be pinned for it; raise the limit on locked memory (ulimit -l){}",
                    config.address, host.place().space().limit_is_shared()));
    if (!given) return given;
    return front(name, host, config.rom, path, card);
}

} // namespace touka::machine
