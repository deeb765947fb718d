#include "run_options.hpp"

#include <fmt/format.h>

#include "configuration/config_error.hpp"
#include "machine/card_flags.hpp"
#include "machine/config_flags.hpp"
#include "machine/config_validation.hpp"
#include "machine/config_values.hpp"
#include "machine/scsi_flags.hpp"
#include "machine/toml_config.hpp"

namespace touka::cli {
namespace {

constexpr std::string_view kExamples =
    "Examples:\n"
    "  A kernel with its initial RAM disk, on the console of this terminal:\n"
    "    touka run --kernel vmlinuz --initrd initrd.img --append \"console=ttyS0\"\n"
    "  A server with two CPUs, a raw disk, and the guest's ssh on port 2222 of this host:\n"
    "    touka run --kernel vmlinuz --append \"console=ttyS0 root=/dev/vda\" --disk disk.raw \\\n"
    "        --net user,forward=tcp:127.0.0.1:2222-:22 --memory 2G --cpus 2\n"
    "  The same things from a file (docs/configuration.md), with more memory:\n"
    "    touka run vm.toml --memory 4G\n"
    "\n"
    "Ctrl-] leaves the console and stops the machine. SIGTERM presses the power button.\n";

std::unexpected<CommandLineError> usage(std::string text, std::string hint = {}) {
    return std::unexpected(CommandLineError{ExitStatus::kUsage, std::move(text), std::move(hint)});
}

/// Parses one flag's value into its place. @return what is wrong; empty: nothing.
template <class T, class Parse>
std::string take(std::string_view flag, const std::optional<std::string>& written, T& place, Parse parse) {
    if (!written) return {};
    auto value = parse(*written);
    if (!value) return fmt::format("{}: {}", flag, value.error());
    place = static_cast<T>(*std::move(value));
    return {};
}

/// A whole number in [least, most].
auto number_in(std::uint64_t least, std::uint64_t most) {
    return [least, most](std::string_view text) -> machine::ValueOr<std::uint64_t> {
        const auto value = machine::parse_number(text);
        if (value && (*value < least || *value > most)) {
            return std::unexpected(fmt::format("{} is not in {} to {}", *value, least, most));
        }
        return value;
    };
}

machine::ValueOr<std::string> as_written(std::string_view text) { return std::string(text); }

machine::ValueOr<bool> parse_console(std::string_view text) {
    if (text == "virtio") return true;
    if (text == "serial") return false;
    return std::unexpected(fmt::format("\"{}\" is not a console: serial or virtio", text));
}

std::string apply_machine_flags(const RunOptions& options, machine::MachineConfig& config) {
    std::uint32_t free_slots = 0;
    for (const auto& problem : {
             take("--kernel", options.kernel, config.kernel, as_written),
             take("--initrd", options.initrd, config.initrd, as_written),
             take("--append", options.append, config.command_line, as_written),
             take("--memory", options.memory, config.memory_bytes, machine::parse_memory_size),
             take("--cpus", options.cpus, config.cpu_count, number_in(1, machine::kCpuCountLimit)),
             take("--engine", options.engine, config.engine, machine::parse_engine),
             take("--wwpn", options.wwpn, config.wwpn, as_written),
             take("--control", options.control, config.control_socket, as_written),
             take("--slots", options.slots, free_slots, number_in(0, machine::kCardSlotLimit)),
             take("--name", options.name, config.name, as_written),
             take("--console", options.console, config.virtio_console, parse_console),
             take("--shutdown-grace", options.shutdown_grace, config.shutdown_grace_s,
                  number_in(0, machine::kLongestGrace_s)),
             take("--switch-engine-at", options.switch_engine_at, config.engine_switches_ms, machine::parse_moments_ms),
             take("--dump-blocks", options.dump_blocks, config.translation_logs.blocks, as_written),
         }) {
        if (!problem.empty()) return problem;
    }
    if (options.slots) config.free_slots = free_slots;
    if (options.no_rng) config.entropy = false;
    if (options.balloon) config.balloon = true;
    config.verify_translation = options.verify_translation;
    config.translation_logs.perf_map = options.perf_map;
    return {};
}

std::string apply_device_flags(const RunOptions& options, machine::MachineConfig& config) {
    for (const auto& written : options.disks) {
        auto disk = machine::parse_disk_flag(written);
        if (!disk) return disk.error();
        config.disks.push_back(*std::move(disk));
    }
    for (const auto& written : options.networks) {
        auto network = machine::parse_network_flag(written);
        if (!network) return network.error();
        if (*network)
            config.networks.push_back(**std::move(network));
        else
            config.networks.clear();
    }
    for (const auto& written : options.scsi_units) {
        auto scsi = machine::parse_scsi_flag(written);
        if (!scsi) return scsi.error();
        if (auto* socket = std::get_if<machine::VhostUserSocket>(&*scsi)) {
            config.vhost_user_scsi.push_back(std::move(socket->path));
        } else {
            config.scsi_units.push_back(std::get<machine::ScsiUnitConfig>(*std::move(scsi)));
        }
    }
    for (const auto& written : options.cards) {
        auto card = machine::parse_card_flag(written);
        if (!card) return card.error();
        config.cards.push_back(*std::move(card));
    }
    if (options.iommu) config.iommu = true;
    return {};
}

} // namespace

void declare_run_options(CLI::App& run, RunOptions& options) {
    const auto text = [&](const std::string& flag, std::optional<std::string>& to, const std::string& type,
                          const std::string& help, const std::string& group) {
        run.add_option(flag, to, help)->type_name(type)->group(group)->take_last();
    };
    const auto list = [&](const std::string& flag, std::vector<std::string>& to, const std::string& type,
                          const std::string& help) {
        run.add_option(flag, to, help)->type_name(type)->group("Devices")->allow_extra_args(false)->take_all();
    };
    run.add_option("file", options.file, "configuration (TOML); flags win over what it says")->type_name("VM.TOML");
    text("--kernel", options.kernel, "PATH", "kernel: bzImage (vmlinuz) or x86-64 ELF", "Boot");
    text("--initrd", options.initrd, "PATH", "initial RAM disk", "Boot");
    text("--append", options.append, "TEXT", "kernel command line", "Boot");
    text("-m,--memory", options.memory, "SIZE", "RAM: 512M, 2G, 1.5G (default 1G)", "Machine");
    text("-c,--cpus", options.cpus, "N", "processors (default 1)", "Machine");
    text("--engine", options.engine, "ENGINE", "auto, kvm, translator or interpreter (default auto)", "Machine");
    text("--name", options.name, "NAME", "of the machine (default touka)", "Machine");
    list("--disk", options.disks, "PATH[,ro][,direct][,serial=S]",
         "raw file or block device as virtio disk; may be repeated");
    list("--scsi", options.scsi_units, "lu:|sg:|iscsi:|vhost-user:...",
         "unit of a virtio SCSI adapter, as a physical server would have it; may be repeated:\n"
         "lu:PATH[,block=4096][,physical=4096][,ro][,direct][,removable][,serial=S][,state=FOLDER] a disk of Touka's "
         "own,\n"
         "sg:/dev/sgN a device of the host, iscsi:ADDRESS:PORT,TARGET,LUN[,user=U,secret=S] an array's unit\n"
         "(each also with allow=CODE+CODE...), vhost-user:SOCKET an adapter of touka-target");
    text("--wwpn", options.wwpn, "WWPN", "of the SCSI adapter's port (default: derived from the name)", "Devices");
    list("--net", options.networks, "user|tap=NAME|none[,OPTION]...",
         "network card; may be repeated; none drops the file's. Options:\n"
         "mac=MAC, for user also restricted (no way to the host's networks)\n"
         "and forward=tcp|udp:ADDRESS:PORT-ADDRESS:PORT");
    list("--device", options.cards, "nvme:|vfio-user:|vfio:...",
         "PCI Express card in a slot of its own; may be repeated:\n"
         "nvme:PATH[,vfs=N][,serial=S][,ro][,direct][,ats=on|off] an NVMe controller, with virtual\n"
         "functions if wanted,\n"
         "vfio-user:SOCKET[,ats=on|off][,rom=FILE|off] a device of touka-device or another server,\n"
         "vfio:0000:03:00.1[,iommufd=on|off|auto][,rom=FILE|off] a function of the host\n"
         "(touka devices lists them)");
    text("--slots", options.slots, "N", "free slots beside those of cards (default 4 with --control, else none)",
         "Devices");
    run.add_flag("--iommu", options.iommu, "an IOMMU (VT-d): the guest remaps DMA and interrupts")->group("Devices");
    run.add_flag("--no-rng", options.no_rng, "no virtio entropy device")->group("Devices");
    run.add_flag("--balloon", options.balloon, "a virtio memory balloon")->group("Devices");
    text("--console", options.console, "KIND", "serial (ttyS0) or virtio (hvc0) (default serial)", "Devices");
    text("--shutdown-grace", options.shutdown_grace, "SECONDS",
         "from the power button that SIGTERM presses to the plug (default 60)", "Behaviour");
    text("--control", options.control, "PATH",
         "socket on which touka slot asks the running machine: cards are plugged in and taken out", "Behaviour");
    run.add_flag("--no-reboot", options.no_reboot, "end when the guest asks for a reset")->group("Behaviour");
    run.add_flag("-q,--quiet", options.quiet, "only errors on stderr")->group("Behaviour");
    run.add_flag("--stats", options.stats, "counters on stderr at the end")->group("Behaviour");
    run.add_flag("--verify-translation", options.verify_translation,
                 "with --engine translator: each block also runs on the\n"
                 "interpreter; the first difference is shown and ends the run")
        ->group("Behaviour");
    text("--switch-engine-at", options.switch_engine_at, "TIME[,TIME]...",
         "with --engine translator or interpreter: the running machine moves to the\n"
         "other of them and back, at these times after its start: 500ms, 2s, 1m",
         "Behaviour");
    text("--dump-blocks", options.dump_blocks, "FILE",
         "write each block that the translator makes, guest and host form, when it is made: slow, and big",
         "Translator's code");
    run.add_flag("--perf-map", options.perf_map,
                 "write /tmp/perf-PID.map, so that Linux' perf shows the guest's code as guest:ADDRESS;\n"
                 "it cannot forget code that was dropped because code memory was full (--stats says how often)")
        ->group("Translator's code");
    run.footer(fmt::format("{}\n{}", kExamples, kExitStatusHelp));
}

std::expected<RunCommand, CommandLineError> make_run_command(const RunOptions& options) {
    RunCommand command{.config = {}, .no_reboot = options.no_reboot, .quiet = options.quiet, .stats = options.stats};
    if (options.file) {
        auto loaded = machine::load_toml(*options.file);
        if (!loaded) {
            return std::unexpected(CommandLineError{ExitStatus::kConfiguration, describe(loaded.error()), {}});
        }
        command.config = *std::move(loaded);
    }
    if (auto problem = apply_machine_flags(options, command.config); !problem.empty()) return usage(problem);
    if (auto problem = apply_device_flags(options, command.config); !problem.empty()) return usage(problem);
    if (const auto valid = machine::validate(command.config); !valid) {
        return std::unexpected(CommandLineError{options.file ? ExitStatus::kConfiguration : ExitStatus::kUsage,
                                                valid.error().text, valid.error().hint});
    }
    return command;
}

} // namespace touka::cli
