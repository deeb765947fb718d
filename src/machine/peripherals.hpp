// The devices that a configuration asks for, and what is behind them on the host.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "cpu/doorbell.hpp"
#include "devices/virtio/virtio_pci_function.hpp"
#include "machine/balloon_memory.hpp"
#include "machine/config.hpp"
#include "machine/function_paths.hpp"
#include "machine/machine_error.hpp"
#include "machine/scsi_adapter.hpp"
#include "memory/guest_memory.hpp"
#include "network/frame_port.hpp"
#include "platform/pci/pci_root.hpp"
#include "runtime/byte_stream.hpp"
#include "runtime/reactor.hpp"
#include "storage/raw_file.hpp"

namespace touka::machine {

/// What peripherals are built with; everything outlives them.
struct PeripheralContext {
    memory::GuestMemory& memory;
    platform::PciRoot& root;
    FunctionPaths& paths;
    cpu::DoorbellRegistry& doorbells;
    runtime::Reactor& reactor; ///< does their work
    runtime::ByteStream& console;
    /// What other processes write into guest memory must be told to GuestMemory::written: the engine is a software one.
    bool logs_foreign_writes = true;
};

/// Owns disks, networks and the functions in front of them, on bus 0 from device 1 on in the order of the
/// configuration: disks, adapters of other processes, the SCSI adapter, networks, then the rest. @thread control.
class Peripherals {
public:
    [[nodiscard]] static std::expected<std::unique_ptr<Peripherals>, MachineError>
    create(const MachineConfig& config, const PeripheralContext& context);
    ~Peripherals();

    [[nodiscard]] std::vector<platform::Device*> devices();

private:
    explicit Peripherals(const PeripheralContext& context) : context_(context) {}
    [[nodiscard]] std::expected<void, MachineError> add_disk(const DiskConfig& config, std::uint32_t queue_count);
    [[nodiscard]] std::expected<void, MachineError> add_vhost_user(const std::string& socket);
    [[nodiscard]] std::expected<void, MachineError> add_scsi(const MachineConfig& config);
    [[nodiscard]] std::expected<void, MachineError> add_network(const NetworkConfig& config, std::uint32_t index,
                                                                const std::string& machine_name);
    [[nodiscard]] std::expected<void, MachineError> add_others(const MachineConfig& config);
    [[nodiscard]] std::expected<void, MachineError> plug(std::string_view type,
                                                         std::unique_ptr<devices::virtio::VirtioDevice> device);

    PeripheralContext context_;
    HostBalloonMemory balloon_memory_;
    // Destroyed from the end: functions before what is behind them.
    std::vector<std::unique_ptr<storage::RawFile>> files_;
    std::vector<std::unique_ptr<storage::BlockDevice>> volumes_;
    std::unique_ptr<ScsiAdapter> scsi_;
    std::vector<std::unique_ptr<network::FramePort>> ports_;
    std::vector<std::unique_ptr<devices::virtio::VirtioPciFunction>> functions_;
};

} // namespace touka::machine
