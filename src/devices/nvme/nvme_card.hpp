// An NVMe controller as a card for a slot: the physical function, and virtual ones that software can enable.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "devices/nvme/nvme_pci_function.hpp"
#include "devices/nvme/subsystem.hpp"
#include "platform/pci/sriov_capability.hpp"

namespace touka::devices::nvme {

struct NvmeCardConfiguration {
    std::string name; ///< of the card; functions are "NAME.0", "NAME.1", ...
    SubsystemConfiguration subsystem;
    std::vector<NamespaceConfiguration> namespaces; ///< attached to all controllers
    std::uint16_t virtual_functions = 0;
    /// Functions are on buses of their own, perhaps of several servers: the physical one shows no SR-IOV capability,
    /// and the others' controllers are online from the start.
    bool separate = false;
};

/// The physical function has pairs of queues and vectors of its own; the same number again for each virtual function
/// lies in a pool that nvme virt-mgmt deals out. A virtual function's controller is offline until it has got some and
/// is brought online, and is offline again when its function is no longer enabled.
class NvmeCard final : private platform::VirtualFunctions {
public:
    static constexpr std::uint16_t kPrimaryController = 0;
    static constexpr std::uint16_t kQueuesPerFunction = 17, kVectorsPerFunction = 17; ///< 16 for I/O, and the admin one

    /// @param context of the function with this number, 0 the physical one; what it names outlives the card.
    NvmeCard(const NvmeCardConfiguration& configuration,
             const std::function<NvmePciContext(std::uint16_t function)>& context);

    [[nodiscard]] Subsystem& subsystem() { return subsystem_; }
    /// For the slot.
    [[nodiscard]] NvmePciFunction& physical() { return *physical_; }
    [[nodiscard]] NvmePciFunction& virtual_function(std::uint16_t index) { return *virtual_.at(index); }
    /// In the order of restoring: the subsystem, the physical function, the virtual ones.
    [[nodiscard]] std::vector<platform::Device*> devices();

private:
    [[nodiscard]] std::uint16_t total() const override { return static_cast<std::uint16_t>(virtual_.size()); }
    [[nodiscard]] platform::PciFunction& function(std::uint16_t index) override { return virtual_function(index); }
    void enabled(std::uint16_t count) override;

    Subsystem subsystem_;
    std::vector<std::unique_ptr<NvmePciFunction>> virtual_;
    std::unique_ptr<NvmePciFunction> physical_;
};

} // namespace touka::devices::nvme
