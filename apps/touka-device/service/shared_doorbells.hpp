#pragma once

#include "devices/nvme/nvme_pci_function.hpp"
#include "devices/passthrough/vfio_user/served_device.hpp"

namespace touka::device {

/// The page of doorbells of a function that polls them: a client that maps it rings by a store. @thread serving.
class SharedDoorbells final : public devices::passthrough::RegionSharing {
public:
    /// @param function outlives it.
    explicit SharedDoorbells(devices::nvme::NvmePciFunction& function) : function_(function) {}

    [[nodiscard]] std::optional<devices::passthrough::MappableRegion> mappable(unsigned bar) override {
        if (bar != devices::nvme::NvmePciFunction::kRegisterBar || !function_.doorbell_file()) return std::nullopt;
        return devices::passthrough::MappableRegion{
            .file = function_.doorbell_file().get(),
            .areas = {{.offset = spec::nvme::kDoorbells, .length_bytes = devices::nvme::DoorbellPage::kPageBytes}}};
    }
    void client_left() override {
        if (function_.doorbell_file()) function_.renew_doorbells();
    }

private:
    devices::nvme::NvmePciFunction& function_;
};

} // namespace touka::device
