#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "devices/virtio/scsi.hpp"
#include "fabric/port_name.hpp"
#include "fabric/units.hpp"
#include "machine/config.hpp"
#include "machine/machine_error.hpp"
#include "runtime/reactor.hpp"
#include "scsi/target.hpp"

namespace touka::machine {

/// The machine's SCSI host bus adapter and what is behind it: one target for each unit of the configuration, LUN 0.
/// Built and destroyed while the machine does not run.
class ScsiAdapter {
public:
    /// @param reactor does the units' work and is the device's.
    [[nodiscard]] static std::expected<std::unique_ptr<ScsiAdapter>, MachineError> create(const MachineConfig& config,
                                                                                          runtime::Reactor& reactor);

    /// The device, once, for its PCI function, which is destroyed before this.
    [[nodiscard]] std::unique_ptr<devices::virtio::VirtioDevice> take_device() { return std::move(device_); }

private:
    explicit ScsiAdapter(runtime::Reactor& reactor) : reactor_(reactor) {}
    using OpenResult = std::expected<scsi::LogicalUnit*, MachineError>;
    [[nodiscard]] OpenResult open(const LocalUnit& local, std::size_t index);
    [[nodiscard]] OpenResult open_passed_through(const ScsiUnitConfig& config, fabric::Wwpn wwpn);

    runtime::Reactor& reactor_;
    // Destroyed from the end: the device's nexuses before targets before units.
    std::vector<std::unique_ptr<fabric::Units>> local_units_;
    std::vector<std::unique_ptr<scsi::LogicalUnit>> passed_through_;
    std::vector<std::unique_ptr<scsi::Target>> targets_;
    std::unique_ptr<devices::virtio::Scsi> device_;
};

} // namespace touka::machine
