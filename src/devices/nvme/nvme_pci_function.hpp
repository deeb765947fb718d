// An NVMe controller as a PCI Express function. (NVMe over PCIe Transport 1.0)
// Absent: controller memory buffer, MSI (functions have MSI-X and a pin).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "devices/nvme/controller.hpp"
#include "devices/nvme/doorbell_page.hpp"
#include "platform/pci/pci_function.hpp"

namespace touka::devices::nvme {

/// What a function works with; everything outlives it.
struct NvmePciContext {
    runtime::Reactor& reactor; ///< whose thread does all the work of the controller
    memory::DmaSpace& dma;     ///< of this function alone
    platform::MsiSink& msi;
    /// Of `dma`; null: the function translates nothing itself.
    platform::TranslationServices* translation = nullptr;
    /// Doorbells are a page that can be shared, and the reactor looks at it all the time.
    bool polled = false;
};

/// There is no vendor identifier of this project's own. This pair is from those that emulators have in use without an
/// assignment; drivers bind by the class code.
inline constexpr std::uint16_t kVendorId = 0x1234, kDeviceId = 0x7E01, kVirtualDeviceId = 0x7E02;

struct NvmePciConfiguration {
    ControllerConfiguration controller;
    platform::PciIdentity identity{.vendor_id = kVendorId,
                                   .device_id = kDeviceId,
                                   .revision_id = 1,
                                   .class_code = spec::pci::class_code::kNvmExpress,
                                   .subsystem_vendor_id = kVendorId,
                                   .subsystem_id = kDeviceId};
};

/// Threads: vCPUs read and write registers; what they start goes on on the reactor. A function level reset begins the
/// controller's reset before it returns; the function is ready again when the last request is over.
class NvmePciFunction : public platform::PciFunction, private ControllerPort {
public:
    /// @param name "nvme@00:04.0".  @param subsystem outlives the function.
    NvmePciFunction(std::string name, Subsystem& subsystem, const NvmePciConfiguration& configuration,
                    const NvmePciContext& context);
    ~NvmePciFunction() override;

    void start() override { resume(); }
    void pause() override { controller_->pause(); }
    void resume() override { controller_->resume(); }
    void reset() override;
    void when_settled(std::function<void()> then) override { controller_->when_settled(std::move(then)); }
    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

    [[nodiscard]] bool ready() const override { return controller_->function_ready(); }
    [[nodiscard]] Controller& controller() { return *controller_; }

    /// The doorbells, for a driver in another process to map; empty if it shares none. Stays the function's.
    [[nodiscard]] const runtime::UniqueFd& doorbell_file() const { return doorbells_.file(); }
    /// Another page, since who has mapped this one is not to ring any more.
    /// @pre after a reset, and nobody writes registers meanwhile.
    void renew_doorbells();

    /// BAR 0 has the registers and, from spec::nvme::kDoorbells on, the doorbells; BAR 4 the MSI-X table.
    static constexpr unsigned kRegisterBar = 0, kMsixBar = 4;

protected:
    void function_level_reset() override { controller_->function_reset(); }
    void bus_master_granted() override { controller_->wake(); }

private:
    class Registers final : public platform::IoHandler {
    public:
        explicit Registers(NvmePciFunction& function) : function_(function) {}
        [[nodiscard]] std::uint64_t read(std::uint64_t offset, unsigned width_bytes) override;
        void write(std::uint64_t offset, unsigned width_bytes, std::uint64_t value) override;

    private:
        NvmePciFunction& function_;
    };

    // ControllerPort
    [[nodiscard]] bool bus_master() const override { return bus_master_enabled(); }
    [[nodiscard]] bool message_signalled() const override { return msix_table_.enabled(); }
    void raise(std::uint16_t vector) override { msix_table_.raise(vector); }
    void set_pin(bool asserted) override { pin().set(asserted); }

    Registers registers_{*this};
    DoorbellPage doorbells_;
    platform::MsixTable& msix_table_;
    std::unique_ptr<Controller> controller_;
};

} // namespace touka::devices::nvme
