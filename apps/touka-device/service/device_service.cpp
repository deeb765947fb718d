#include "device_service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <future>

#include "devices/nvme/metadata_file.hpp"
#include "storage/open_when_free.hpp"

namespace touka::device {

using namespace devices;

namespace {

constexpr std::chrono::milliseconds kReportLimit{300}; // for each function

} // namespace

std::expected<std::unique_ptr<DeviceService>, std::string> DeviceService::start(const ServiceConfig& config) {
    std::unique_ptr<DeviceService> service(new DeviceService(config.poll));
    for (const DeviceConfig& device : config.devices) {
        if (auto added = service->add(device); !added) return std::unexpected(added.error());
    }
    return service;
}

DeviceService::~DeviceService() {
    for (const auto& device : devices_) {
        for (const auto& function : device->functions) stop_serving(*function);
        if (!device->card) continue;
        for (platform::Device* each : device->card->devices()) each->pause(); // nothing in flight when the volumes go
    }
}

std::expected<void, std::string> DeviceService::add(const DeviceConfig& config) {
    Device& device = *devices_.emplace_back(std::make_unique<Device>());
    device.name = config.name;
    nvme::NvmeCardConfiguration card;
    card.name = config.name;
    card.subsystem.nqn = fmt::format("nqn.2014-08.org.nvmexpress:touka-device:{}:{}", config.name, config.serial);
    card.subsystem.serial = config.serial;
    card.subsystem.namespace_limit = static_cast<std::uint32_t>(config.namespaces.size());
    card.virtual_functions = static_cast<std::uint16_t>(config.functions.size() - 1);
    card.separate = true;
    for (const NamespaceConfig& each : config.namespaces) {
        storage::RawFile::Options options;
        options.read_only = each.read_only;
        options.direct = each.direct;
        auto file = storage::open_when_free([&] { return storage::RawFile::open(each.path, options); });
        if (!file) return std::unexpected(file.error().text);
        storage::RawFile& volume = *device.files.emplace_back(std::move(*file));
        card.namespaces.push_back({.geometry = volume.geometry(), .open = [&volume](runtime::Reactor& reactor) {
                                       return volume.open_queue(reactor);
                                   }});
        if (each.metadata.empty()) continue;
        auto metadata = nvme::open_metadata(each.metadata, card.namespaces.back(), work_);
        if (!metadata) return std::unexpected(metadata.error());
        device.files.push_back(std::move(*metadata));
    }
    for (std::size_t number = 0; number < config.functions.size(); ++number) {
        device.functions.push_back(std::make_unique<Function>(fmt::format("{}.{}", config.name, number)));
    }
    device.card = std::make_unique<nvme::NvmeCard>(card, [&](std::uint16_t number) {
        Function& function = *device.functions[number];
        return nvme::NvmePciContext{
            .reactor = work_, .dma = function.translated, .msi = function.msi, .polled = polls_};
    });
    for (std::uint16_t number = 0; number < config.functions.size(); ++number) {
        const FunctionConfig& function = config.functions[number];
        nvme::NvmePciFunction& served = pci_function(device, number);
        work_.run_and_wait([&] {
            served.controller().pacer().set_limits({.commands_per_second = function.commands_per_second,
                                                    .bytes_per_second = std::uint64_t{function.mib_per_second} << 20,
                                                    .weight = function.weight});
        });
        served.start();
        if (function.socket.empty()) continue;
        if (auto served_at = serve(device, number, function.socket); !served_at) return served_at;
    }
    return {};
}

nvme::NvmePciFunction& DeviceService::pci_function(Device& device, std::uint16_t number) {
    return number == 0 ? device.card->physical()
                       : device.card->virtual_function(static_cast<std::uint16_t>(number - 1));
}

DeviceService::Device* DeviceService::find(const std::string& name) {
    const auto found = std::ranges::find(devices_, name, [](const auto& device) { return device->name; });
    return found == devices_.end() ? nullptr : found->get();
}

std::expected<void, std::string> DeviceService::serve(Device& device, std::uint16_t number, const std::string& socket) {
    Function& function = *device.functions[number];
    std::expected<void, std::string> listening;
    function.serving.run_and_wait([&] {
        nvme::NvmePciFunction& served = pci_function(device, number);
        if (!function.sharing) function.sharing = std::make_unique<SharedDoorbells>(served);
        auto server = std::make_unique<passthrough::VfioUserServer>(
            function.serving,
            passthrough::ServedDevice{served, function.space, function.sharing.get(), &function.translated},
            passthrough::VfioUserServer::Settings{});
        listening = server->listen(socket);
        if (listening) function.server = std::move(server);
    });
    if (listening) function.socket = socket;
    return listening;
}

void DeviceService::stop_serving(Function& function) {
    if (!function.server) return;
    std::promise<void> closed;
    function.serving.run_and_wait([&] { function.server->close([&] { closed.set_value(); }); });
    closed.get_future().wait();
    function.serving.run_and_wait([&] { function.server.reset(); });
    function.socket.clear();
}

void DeviceService::look_at(Function& function, FunctionReport& line) {
    struct Seen {
        bool connected;
        std::uint64_t grants;
    };
    const auto seen = std::make_shared<std::promise<Seen>>(); // of whoever is later, this or the function's thread
    auto answer = seen->get_future();
    function.serving.post([&function, seen] {
        seen->set_value({function.server && function.server->connected(), function.space.grant_count()});
    });
    line.busy = answer.wait_for(kReportLimit) != std::future_status::ready;
    if (line.busy) return;
    const auto [connected, grants] = answer.get();
    line.connected = connected;
    line.grants = grants;
}

std::vector<FunctionReport> DeviceService::report() {
    std::vector<FunctionReport> all;
    for (const auto& device : devices_) {
        for (std::uint16_t number = 0; number < device->functions.size(); ++number) {
            Function& function = *device->functions[number];
            FunctionReport& line = all.emplace_back();
            line.device = device->name;
            line.number = number;
            line.socket = function.socket;
            look_at(function, line);
            line.faults = function.space.faults().count();
            if (const auto last = function.space.faults().last(); !last.empty()) line.last_fault = last.back();
        }
    }
    return all;
}

std::expected<DeviceService::Function*, std::string> DeviceService::locate(const std::string& name,
                                                                           std::uint16_t number, Device*& owner) {
    owner = find(name);
    if (owner == nullptr) return std::unexpected(fmt::format("there is no device \"{}\"", name));
    if (number >= owner->functions.size()) {
        return std::unexpected(fmt::format("{} has functions 0 to {}", name, owner->functions.size() - 1));
    }
    return owner->functions[number].get();
}

std::expected<void, std::string> DeviceService::take_away(const std::string& name, std::uint16_t number) {
    Device* device = nullptr;
    const auto function = locate(name, number, device);
    if (!function) return std::unexpected(function.error());
    stop_serving(**function);
    return {};
}

std::expected<void, std::string> DeviceService::hand_over(const std::string& name, std::uint16_t number,
                                                          const std::string& socket) {
    Device* device = nullptr;
    const auto function = locate(name, number, device);
    if (!function) return std::unexpected(function.error());
    stop_serving(**function);
    return serve(*device, number, socket);
}

} // namespace touka::device
