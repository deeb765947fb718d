#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "devices/nvme/nvme_card.hpp"
#include "devices/passthrough/passthrough_function.hpp"
#include "devices/passthrough/vfio/kernel_device.hpp"
#include "devices/passthrough/vfio_user/remote_device.hpp"
#include "machine/config.hpp"
#include "machine/function_paths.hpp"
#include "machine/machine_error.hpp"
#include "machine/passed_memory.hpp"
#include "platform/pci/pci_root.hpp"
#include "platform/pci/root_port.hpp"
#include "runtime/reactor.hpp"
#include "storage/raw_file.hpp"

namespace touka::machine {

/// What cards are built with; everything outlives them.
struct CardContext {
    memory::GuestMemory& memory;
    platform::PciRoot& root;
    FunctionPaths& paths;
    runtime::Reactor& reactor;
};

/// PCI Express cards, each in the slot behind a root port of its own, from 00:10.0 on. @thread control.
class Cards {
public:
    static constexpr std::size_t kSlotLimit = 12;

    [[nodiscard]] static std::expected<std::unique_ptr<Cards>, MachineError> create(const MachineConfig& config,
                                                                                    const CardContext& context);
    /// Whether functions of others are among them, which keep what they may reach: an IOMMU needs its caching mode
    /// then, from the start, since a guest looks once. The only place where that is decided.
    [[nodiscard]] static bool has_passed_through(const MachineConfig& config);
    ~Cards();
    Cards(const Cards&) = delete;
    Cards& operator=(const Cards&) = delete;

    /// Ports before what is behind them, physical functions before virtual ones.
    [[nodiscard]] std::vector<platform::Device*> devices();

private:
    explicit Cards(const CardContext& context) : context_(context) {}
    [[nodiscard]] std::expected<void, MachineError> add(const NvmeDevice& config, const std::string& machine_name);
    [[nodiscard]] std::expected<void, MachineError> add(const VfioUserDevice& config, const std::string& machine_name);
    [[nodiscard]] std::expected<void, MachineError> add(const VfioDevice& config, const std::string& machine_name);
    [[nodiscard]] std::expected<platform::RootPort*, MachineError> add_port();
    [[nodiscard]] std::expected<void, MachineError> plug(platform::PciFunction& function);
    [[nodiscard]] std::expected<std::shared_ptr<devices::vfio::VfioContainer>, MachineError>
    container_for(const std::string& address);
    /// @param refused the text when the device does not take the memory.
    [[nodiscard]] std::expected<void, MachineError> give_memory(const std::string& name,
                                                                devices::passthrough::DeviceTransport& transport,
                                                                FunctionPaths::Path& path, const std::string& refused);
    [[nodiscard]] std::expected<void, MachineError>
    plug(const std::string& name, devices::passthrough::DeviceTransport& transport, FunctionPaths::Path& path);

    CardContext context_;
    // Destroyed from the end: cards before the ports that they are behind, and before their volumes.
    std::vector<std::unique_ptr<storage::RawFile>> files_;
    std::vector<std::unique_ptr<platform::RootPort>> ports_;
    std::vector<std::unique_ptr<devices::nvme::NvmeCard>> nvme_cards_;
    std::vector<std::unique_ptr<devices::passthrough::RemoteDevice>> remote_devices_;
    std::shared_ptr<devices::vfio::VfioContainer> container_; // of all host functions, which reach the same memory
    std::vector<std::unique_ptr<devices::vfio::KernelDevice>> host_devices_;
    std::vector<std::unique_ptr<PassedMemory>> passed_memory_;
    std::vector<std::unique_ptr<devices::passthrough::PassthroughFunction>> passthrough_;
};

} // namespace touka::machine
