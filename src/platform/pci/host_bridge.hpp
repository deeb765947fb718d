// Device 00:00.0, as the Q35's DRAM controller looks to firmware and drivers.
// Absent: PAM, SMRAM and TSEG registers (no firmware shadowing, no SMM), TOLUD and the memory controller's BARs.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "platform/pci/pci_function.hpp"

namespace touka::platform {

class HostBridge final : public PciFunction {
public:
    /// @param on_window called when PCIEXBAR moves the configuration window, or takes it away.
    explicit HostBridge(std::function<void(std::optional<PciWindow>)> on_window);

    void write_config(std::uint32_t offset, unsigned width_bytes, std::uint32_t value) override;
    void reset() override;
    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

    /// The window that PCIEXBAR describes.
    [[nodiscard]] std::optional<PciWindow> window();

private:
    std::function<void(std::optional<PciWindow>)> on_window_;
};

} // namespace touka::platform
