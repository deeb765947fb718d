#include "machine/config_validation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "fabric/port_name.hpp"
#include "machine/config_values.hpp"

namespace touka::machine {
namespace {

using Result = std::expected<void, ConfigError>;

std::unexpected<ConfigError> failure(std::string text, std::string hint = {}) {
    return std::unexpected(ConfigError{.text = std::move(text), .hint = std::move(hint)});
}

Result check_machine(const MachineConfig& config) {
    const auto plain = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
    };
    if (config.name.empty() || config.name.size() > kNameLimit || !std::ranges::all_of(config.name, plain)) {
        return failure(fmt::format("the name \"{}\" is not one of 1 to {} letters, digits, '-', '_' and '.'",
                                   config.name, kNameLimit));
    }
    if (config.kernel.empty()) return failure("no kernel to boot", "give --kernel PATH, or kernel = \"PATH\"");
    if (config.cpu_count == 0 || config.cpu_count > kCpuCountLimit) {
        return failure(fmt::format("{} CPUs are not possible: 1 to {}", config.cpu_count, kCpuCountLimit));
    }
    if (config.memory_bytes < kSmallestMemoryBytes || config.memory_bytes > kLargestMemoryBytes) {
        return failure(fmt::format("{} MiB of memory are not possible: 16M to 1T", config.memory_bytes >> 20));
    }
    if (config.verify_translation && config.engine != EngineChoice::kTranslator)
        return failure("only the translator can be verified", "give --engine translator with --verify-translation");
    if (!config.engine_switches_ms.empty() && config.engine != EngineChoice::kTranslator &&
        config.engine != EngineChoice::kInterpreter)
        return failure("only the software engines can be switched while a machine runs",
                       "give --engine translator or --engine interpreter to start with; KVM keeps processors and "
                       "interrupt chips in the kernel");
    if (config.memory_bytes % 4096 != 0) return failure("the memory is not whole pages of 4 KiB");
    if (config.shutdown_grace_s > kLongestGrace_s) {
        return failure(fmt::format("a shutdown grace of {} s is too long: {} s at most", config.shutdown_grace_s,
                                   kLongestGrace_s));
    }
    if (config.translation_logs.any() && config.engine != EngineChoice::kTranslator)
        return failure("only the translator has code to write down", "add --engine translator");
    return {};
}

Result check_disk(const DiskConfig& disk) {
    if (disk.path.empty()) return failure("a disk has no path");
    const auto printable = [](char c) { return c >= ' ' && c <= '~'; };
    if (disk.serial.size() > kSerialLimit || !std::ranges::all_of(disk.serial, printable)) {
        return failure(fmt::format("{}: the serial number \"{}\" is not up to {} ASCII characters", disk.path,
                                   disk.serial, kSerialLimit));
    }
    return {};
}

Result check_scsi(const MachineConfig& config) {
    if (!config.wwpn.empty() && !fabric::parse_wwpn(config.wwpn)) {
        return failure(fmt::format("\"{}\" is not a WWPN", config.wwpn), "write 16 hexadecimal digits");
    }
    if (config.iommu && !config.vhost_user_scsi.empty()) {
        return failure("an adapter of another process sees all of the machine's memory, past its IOMMU",
                       "use iscsi: or lu: units, or leave the IOMMU out");
    }
    if (config.scsi_units.size() > kScsiUnitLimit) {
        return failure(fmt::format("{} SCSI units are too many", config.scsi_units.size()),
                       fmt::format("an adapter has {} targets", kScsiUnitLimit));
    }
    return {};
}

Result check_cards(const MachineConfig& config) {
    const std::size_t slots = config.cards.size() + config.free_slots.value_or(0);
    if (slots <= kCardSlotLimit) return {};
    return failure(fmt::format("{} slots are too many: a machine has {} at most", slots, kCardSlotLimit));
}

Result check_network(const NetworkConfig& network) {
    if (!network.mac.empty()) {
        if (const auto mac = parse_mac(network.mac); !mac) return failure(mac.error());
    }
    if (const auto* tap = std::get_if<TapNetwork>(&network.backend)) {
        const auto& name = tap->interface;
        if (name.empty() || name.size() > kInterfaceNameLimit || name == "." || name == ".." ||
            std::ranges::any_of(name, [](char c) { return c <= ' ' || c == '/' || c == ':' || c > '~'; })) {
            return failure(fmt::format("\"{}\" is not a name for a network interface", name),
                           fmt::format("1 to {} characters without '/' and ':'", kInterfaceNameLimit));
        }
    }
    return {};
}

} // namespace

std::uint32_t free_slots_of(const MachineConfig& config) {
    if (config.free_slots) return *config.free_slots;
    const std::size_t taken = std::min<std::size_t>(config.cards.size(), kCardSlotLimit);
    if (config.control_socket.empty()) return 0;
    return std::min(kUsualFreeSlots, kCardSlotLimit - static_cast<std::uint32_t>(taken));
}

Result validate(const MachineConfig& config) {
    if (auto result = check_machine(config); !result) return result;
    if (auto result = check_scsi(config); !result) return result;
    if (auto result = check_cards(config); !result) return result;
    std::set<std::string> writable_paths, serials, macs, taps;
    std::vector<DiskConfig> disks = config.disks;
    for (const auto& card : config.cards) {
        if (const auto* nvme = std::get_if<NvmeDevice>(&card)) disks.push_back(nvme->disk);
    }
    for (const auto& disk : disks) {
        if (auto result = check_disk(disk); !result) return result;
        if (!disk.read_only && !writable_paths.insert(disk.path).second) {
            return failure(fmt::format("{}: the disk is there twice", disk.path), "two writers would destroy it");
        }
        if (!disk.serial.empty() && !serials.insert(disk.serial).second) {
            return failure(fmt::format("two disks have the serial number \"{}\"", disk.serial));
        }
    }
    for (const auto& unit : config.scsi_units) {
        const auto* local = std::get_if<LocalUnit>(&unit.behind);
        if (local == nullptr || local->disk.read_only || writable_paths.insert(local->disk.path).second) continue;
        return failure(fmt::format("{}: the disk is there twice", local->disk.path), "two writers would destroy it");
    }
    for (const auto& network : config.networks) {
        if (auto result = check_network(network); !result) return result;
        if (!network.mac.empty() && !macs.insert(*parse_mac(network.mac)).second) {
            return failure(fmt::format("two network cards have the MAC address {}", network.mac));
        }
        const auto* tap = std::get_if<TapNetwork>(&network.backend);
        if (tap != nullptr && !taps.insert(tap->interface).second) {
            return failure(fmt::format("two network cards use the tap \"{}\"", tap->interface));
        }
    }
    return {};
}

} // namespace touka::machine
