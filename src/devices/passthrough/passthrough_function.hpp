// A PCI function that is somewhere else, on the guest's bus: one front for every transport.
// Absent: INTx past this process, AER, power management beyond what the device does itself.
#pragma once

#include <array>
#include <atomic>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "devices/passthrough/bar_mappings.hpp"
#include "devices/passthrough/config_filter.hpp"
#include "devices/passthrough/device_transport.hpp"
#include "devices/passthrough/interrupt_wires.hpp"
#include "memory/guest_memory.hpp"
#include "platform/pci/expansion_rom.hpp"
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

/// What went through a passed function's front, and what past it.
struct PassthroughCounts {
    std::uint64_t forwarded = 0;            ///< accesses to BARs that were calls of the transport
    std::uint64_t direct = 0;               ///< that were loads and stores of this process
    std::uint64_t most_mapped_bytes = 0;    ///< of BARs, that processors reached by themselves
    std::uint64_t raised_interrupts = 0;    ///< that went through this process
    std::uint32_t most_carried_vectors = 0; ///< that went past it at the same time; how often is nobody's to count
};

struct PassthroughOptions {
    memory::DeviceMemoryMap* processors = nullptr; ///< what they reach by themselves; null: they reach no BAR so
    std::vector<std::byte> rom{};                  ///< what its expansion ROM holds; empty: it has none
};

/// The configuration space is the device's, with the exceptions of ConfigFilter. Pages of BARs that are memory of this
/// process are reached by the processors themselves, where the engine can and while INTx is not in use; accesses to
/// others are forwarded, but for the MSI-X table. Messages go from the device's eventfd to the processors by
/// themselves, too, where the sink has wires. A device that is gone reads all ones, as one pulled out of its slot does;
/// when it is back, it is as after power-on, and so is the function here.
/// Locks as PciFunction says; BAR accesses on any thread, each within the transport's bounded time.
class PassthroughFunction final : public platform::PciFunction,
                                  private TransportListener,
                                  private platform::MsixRoutes {
public:
    /// @param reactor where interrupts are taken.  @param sink takes the messages; all outlive the function.
    /// @return what is wrong with the device.
    [[nodiscard]] static std::expected<std::unique_ptr<PassthroughFunction>, std::string>
    create(std::string name, DeviceTransport& transport, platform::MsiSink& sink, runtime::Reactor& reactor,
           PassthroughOptions options = {});
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
    /// Any thread.
    [[nodiscard]] PassthroughCounts counts() const;
    /// Of BARs, that processors reach by themselves now. Any thread.
    [[nodiscard]] std::uint64_t mapped_bytes() const { return mappings_.mapped_bytes(); }

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
                        runtime::Reactor& reactor, PassthroughOptions options, std::span<const std::uint8_t> device);
    [[nodiscard]] std::expected<void, std::string> define_bars(std::span<const std::uint8_t> device);
    [[nodiscard]] std::expected<void, std::string> define_msix(std::span<const std::uint8_t> device);

    void device_lost() override;
    void device_returned() override;
    void take_back();
    void notice_absence();
    void function_level_reset() override;
    void bar_mapped(unsigned index, std::uint64_t) override { moved_bars_ |= 1u << index; }
    void bar_unmapped(unsigned index, std::uint64_t) override { mappings_.place(index, std::nullopt); }
    void route(unsigned vector, const std::optional<platform::MsiMessage>& message) override {
        msix_wires_.route(vector, message);
    }
    /// After the device has heard of a change: maps what may be mapped now.
    void update_mappings();
    [[nodiscard]] bool intx_disabled() const;
    [[nodiscard]] bool is_awake();

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
    void route_msi();
    void send_msi(std::uint32_t number);
    void deliver_msi(std::uint32_t number);
    void note(const DeviceTransport::Result& result) {
        if (!result && result.error() == TransportError::kRefused) ++refused_;
    }

    DeviceTransport& transport_;
    BarMappings mappings_;
    std::uint32_t moved_bars_ = 0; // whose new places mappings_ does not know yet; under the configuration lock
    bool awake_ = true;            // in D0; under the configuration lock
    platform::MsiSink& sink_;
    CapabilityPlaces places_;
    ConfigFilter filter_;
    std::array<BarHandler, spec::pci::kBarCount> handlers_;
    std::optional<platform::ExpansionRom> rom_;
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
        /// PCI Local Bus 3.0 §6.8.1.6: the low bits of the data say which. @pre number < count.
        [[nodiscard]] platform::MsiMessage message(std::uint32_t number) const {
            return {address, (data & ~(count - 1)) | number};
        }
    };
    runtime::Guarded<Msi> msi_;
    std::atomic<Presence> presence_{Presence::kThere};
    std::atomic<std::uint64_t> refused_{0}, forwarded_{0}, direct_{0};
    std::atomic<bool> absence_noticed_{false};
    runtime::Guarded<std::function<void(bool)>> on_presence_; // taken alone
    runtime::Guarded<std::function<void()>> on_notice_;       // taken alone
};

/// Lets the device reach all of the guest's RAM at its guest addresses, as without an IOMMU.
[[nodiscard]] DeviceTransport::Result grant_all_memory(DeviceTransport& transport, const memory::GuestMemory& memory);
/// The opposite: when it returns, the device reaches none of it, or does not answer any more.
void take_back_all_memory(DeviceTransport& transport, const memory::GuestMemory& memory);

} // namespace touka::devices::passthrough
