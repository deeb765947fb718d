// What one virtual machine is made of: filled from flags or a TOML file, checked before anything is built.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "fabric/target_config.hpp"

namespace touka::machine {

enum class EngineChoice { kAuto, kKvm, kTranslator, kInterpreter };

struct DiskConfig {
    std::string path; ///< a raw file or a block device
    bool read_only = false;
    bool direct = false; ///< O_DIRECT
    std::string serial;  ///< shown by the guest as the disk's serial number; 20 characters at most
};

struct UserNetwork {
    std::vector<std::string> forwards; ///< "tcp:127.0.0.1:2222-:22": host address and port to guest port
    bool restricted = false;           ///< no way out to the host's networks
};
struct TapNetwork {
    std::string interface; ///< an existing or new tap device
};

struct NetworkConfig {
    std::variant<UserNetwork, TapNetwork> backend;
    std::string mac; ///< empty: a stable one derived from the machine's name and the card's place
};

/// A unit of Touka's own in this process.
struct LocalUnit {
    fabric::DiskUnitConfig disk;
    std::string serial; ///< empty: derived from the path
    std::string state;  ///< folder that keeps reservations; empty: they end with the machine
};
/// A device of the host, /dev/sgN, that every command is passed to.
struct SgUnit {
    std::string path;
};
/// A unit of an iSCSI target, reached under the guest's own name.
struct IscsiUnit {
    std::string portal; ///< "address:port"
    std::string target;
    std::uint32_t lun = 0;
    std::string user, secret; ///< CHAP; empty: none
};

/// One unit of the machine's SCSI adapter: target 0, 1, ... in order, LUN 0 of each.
struct ScsiUnitConfig {
    std::variant<LocalUnit, SgUnit, IscsiUnit> behind;
    /// Operation codes that pass; nothing: all. Others are answered INVALID COMMAND OPERATION CODE and counted.
    std::optional<std::vector<std::uint32_t>> allowed;
};

/// An NVMe controller in this process, with a raw file or block device as its namespace.
struct NvmeDevice {
    DiskConfig disk;
    std::uint32_t virtual_functions = 0; ///< that the guest can enable: SR-IOV
    bool address_translation = false;    ///< functions keep translations of the IOMMU's: ATS; nothing without one
    std::string metadata{};              ///< file of protection information; empty: no such formats
};
/// A device of another process, which serves it over vfio-user.
struct VfioUserDevice {
    std::string socket;
    bool address_translation = false; ///< it asks for translations of the IOMMU's if it can; nothing without one
    std::string rom{}; ///< what its expansion ROM holds: empty: the device's own; "off": it shows none; else a file
};
/// A function of the host, bound to vfio-pci.
struct VfioDevice {
    std::string address;           ///< "0000:03:00.1"
    std::optional<bool> iommufd{}; ///< nothing: where the host's kernel has it
    std::string rom{};             ///< as above
};
/// Of a passed-through function's `rom`: a file of that name is "./off".
inline constexpr const char* kNoRom = "off";
/// None: the slot takes one while the machine runs.
struct EmptySlot {};
/// What is in a slot behind a root port of its own.
using CardConfig = std::variant<NvmeDevice, VfioUserDevice, VfioDevice, EmptySlot>;
inline constexpr std::uint32_t kCardSlotLimit = 12;
/// Beside its cards, when it can be given more from outside and nothing else is said.
inline constexpr std::uint32_t kUsualFreeSlots = 4;

/// What is written down of the translator's code while it runs.
struct TranslationLogs {
    std::string blocks;    ///< a file that gets every block in guest and host form; empty: none
    bool perf_map = false; ///< /tmp/perf-PID.map, for Linux' perf
    [[nodiscard]] bool any() const { return perf_map || !blocks.empty(); }
};

struct MachineConfig {
    std::string name = "touka";
    EngineChoice engine = EngineChoice::kAuto;
    std::uint64_t memory_bytes = 1ull << 30;
    std::uint32_t cpu_count = 1;
    std::string kernel;
    std::string initrd; ///< empty: none
    std::string command_line;
    std::vector<DiskConfig> disks;
    std::vector<NetworkConfig> networks;
    std::vector<ScsiUnitConfig> scsi_units;   ///< not empty: there is a virtio SCSI adapter
    std::vector<std::string> vhost_user_scsi; ///< sockets, each an adapter of its own
    std::string wwpn;                         ///< of the adapter's port; empty: derived from the machine's name
    std::vector<CardConfig> cards;            ///< in the order of their slots
    /// Slots without a card after those; nothing: kUsualFreeSlots, or as many as there can be, with a control socket.
    std::optional<std::uint32_t> free_slots;
    std::string control_socket; ///< path of the socket that takes questions while the machine runs; empty: none
    bool iommu = false;         ///< VT-d remapping of DMA and interrupts
    bool entropy = true;        ///< virtio-rng
    bool balloon = false;       ///< virtio-balloon
    bool virtio_console = false;
    bool verify_translation = false; ///< each block also runs on the interpreter; with the translator only
    TranslationLogs translation_logs;
    /// When the machine moves to the other software engine and back, in ms of the host's time after its start,
    /// ascending; with the translator or the interpreter only.
    std::vector<std::uint64_t> engine_switches_ms;
    std::uint32_t shutdown_grace_s = 60; ///< from SIGTERM's power button to power off
};

} // namespace touka::machine
