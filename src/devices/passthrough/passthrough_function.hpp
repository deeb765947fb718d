// A PCI function that is somewhere else, on the guest's bus: one front for every transport.
// Absent: the expansion ROM (nothing here decodes one), BARs mapped straight into the guest (all accesses are
// forwarded), AER, power management beyond what the device does itself.
#pragma once

#include <array>
#include <atomic>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "devices/passthrough/config_filter.hpp"
#include "devices/passthrough/device_transport.hpp"
#include "devices/passthrough/interrupt_wires.hpp"
#include "memory/guest_memory.hpp"
#include "platform/pci/pci_function.hpp"
#include "runtime/guarded.hpp"

namespace touka::devices::passthrough {

/// What a passed-through function's state is: the machine's part and the device's own, which only it can read.
struct PassthroughState {
    static constexpr std::uint16_t kVersion = 1;
    platform::PciFunctionState function;
    platform::MsixState msix;
    std::vector<std::byte> device;
    void describe(auto& archive) { archive(function, msix, device); }
};

/// The configuration space is the device's, with the exceptions of ConfigFilter; BARs are forwarded, but for the MSI-X
/// table. Interrupts come by eventfd. A device that is gone reads all ones, as one pulled out of its slot does; when it
/// is back, it is as after power-on, and so is the function here.
/// Locks as PciFunction says; BAR accesses on any thread, each within the transport's bounded time.
class PassthroughFunction final : public platform::PciFunction, private TransportListener {
public:
    /// @param reactor where interrupts are taken.  @param sink takes the messages; all outlive the function.
    /// @return what is wrong with the device.
    [[nodiscard]] static std::expected<std::unique_ptr<PassthroughFunction>, std::string>
    create(std::string name, DeviceTransport& transport, platform::MsiSink& sink, runtime::Reactor& reactor);
    ~PassthroughFunction() override;

    [[nodiscard]] std::uint32_t read_config(std::uint32_t offset, unsigned width_bytes) override;
    void write_config(std::uint32_t offset, unsigned width_bytes, std::uint32_t value) override;

    void pause() override;
    void resume() override;
    void reset() override;
    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

    /// @param on_presence called on the transport's thread when the device is lost (false) and back (true), for the
    ///   slot that it is in.
    void set_presence_handler(std::function<void(bool)> on_presence) { *on_presence_.lock() = std::move(on_presence); }
    /// @param on_notice called on a vCPU's thread when, for the first time since the device was lost, a register of it
    ///   is read in vain: the guest's driver knows now.
    void set_notice_handler(std::function<void()> on_notice) { *on_notice_.lock() = std::move(on_notice); }
    [[nodiscard]] bool present() const { return presence_.load() == Presence::kThere; }
    /// Lost, and not back.
    [[nodiscard]] bool gone() const { return presence_.load() == Presence::kGone; }
    /// How long an INTx stays up when no BAR is accessed; longer each time until one is.
    void set_intx_wait(std::uint64_t first_ns) {
        intx_first_wait_ns_ = first_ns;
        intx_wait_ns_ = first_ns;
    }
    /// Accesses that the device refused.
    [[nodiscard]] std::uint64_t refused_accesses() const { return refused_.load(); }

private:
    enum class Presence {
        kThere,
        kGone,
        kBack, ///< and the configuration here is still that of before
    };
    enum class Signalling { kNone, kIntx, kMsi, kMsix };
    /// Which bytes of a BAR are the MSI-X table or its pending bits.
    struct Window {
        std::uint32_t bar = 0;
        std::uint64_t offset = 0, length_bytes = 0;
        [[nodiscard]] bool holds(std::uint32_t index, std::uint64_t at, unsigned width_bytes) const {
            return length_bytes != 0 && index == bar && at + width_bytes > offset && at < offset + length_bytes;
        }
    };
    class BarHandler final : public platform::IoHandler {
    public:
        PassthroughFunction* function = nullptr;
        std::uint32_t index = 0;
        [[nodiscard]] std::uint64_t read(std::uint64_t offset, unsigned width_bytes) override {
            return function->read_bar(index, offset, width_bytes);
        }
        void write(std::uint64_t offset, unsigned width_bytes, std::uint64_t value) override {
            function->write_bar(index, offset, width_bytes, value);
        }
    };

    PassthroughFunction(std::string name, DeviceTransport& transport, platform::MsiSink& sink,
                        runtime::Reactor& reactor, std::span<const std::uint8_t> device);
    [[nodiscard]] std::expected<void, std::string> define_bars(std::span<const std::uint8_t> device);
    [[nodiscard]] std::expected<void, std::string> define_msix(std::span<const std::uint8_t> device);

    void device_lost() override;
    void device_returned() override;
    void take_back();
    void notice_absence();
    void function_level_reset() override;

    [[nodiscard]] std::uint64_t read_bar(std::uint32_t index, std::uint64_t offset, unsigned width_bytes);
    void write_bar(std::uint32_t index, std::uint64_t offset, unsigned width_bytes, std::uint64_t value);
    void write_msix_table(std::uint64_t offset, unsigned width_bytes, std::uint64_t value);
    [[nodiscard]] bool resets_function(std::uint32_t offset, unsigned width_bytes, std::uint32_t value) const;
    void forward(std::uint32_t offset, unsigned width_bytes, std::uint32_t value);
    void reset_device();
    void reset_machine_part();
    void update_interrupts();
    void choose_signalling(Signalling wanted);
    void on_intx();
    void end_intx();
    void intx_waited();
    void send_msi(std::uint32_t number);
    void deliver_msi(std::uint32_t number);
    void note(const DeviceTransport::Result& result) {
        if (!result && result.error() == TransportError::kRefused) ++refused_;
    }

    DeviceTransport& transport_;
    platform::MsiSink& sink_;
    CapabilityPlaces places_;
    ConfigFilter filter_;
    std::array<BarHandler, spec::pci::kBarCount> handlers_;
    std::unique_ptr<platform::MsixTable> table_;
    Window table_window_, pending_window_;
    InterruptWires intx_wire_, msi_wires_, msix_wires_;
    Signalling signalling_ = Signalling::kNone; // under the configuration lock
    std::atomic<bool> intx_raised_{false};      // and masked in the device until a BAR is accessed
    std::atomic<std::uint64_t> intx_first_wait_ns_{250'000}, intx_wait_ns_{250'000}; // or so long
    runtime::Reactor& reactor_;
    std::unique_ptr<runtime::Timer> intx_timer_;
    /// Copies of the MSI registers, for the reactor; written under the configuration lock. Taken alone.
    struct Msi {
        bool enabled = false;
        std::uint64_t address = 0;
        std::uint32_t data = 0, count = 0, mask = 0, pending = 0;
    };
    runtime::Guarded<Msi> msi_;
    std::atomic<Presence> presence_{Presence::kThere};
    std::atomic<std::uint64_t> refused_{0};
    std::atomic<bool> absence_noticed_{false};
    runtime::Guarded<std::function<void(bool)>> on_presence_; // taken alone
    runtime::Guarded<std::function<void()>> on_notice_;       // taken alone
};

/// Lets the device reach all of the guest's RAM at its guest addresses, as without an IOMMU.
[[nodiscard]] DeviceTransport::Result grant_all_memory(DeviceTransport& transport, const memory::GuestMemory& memory);
/// The opposite: when it returns, the device reaches none of it, or does not answer any more.
void take_back_all_memory(DeviceTransport& transport, const memory::GuestMemory& memory);

} // namespace touka::devices::passthrough
