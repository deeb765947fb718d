// Which eventfd each interrupt of a served function signals. (vfio-user Protocol, "VFIO_USER_DEVICE_SET_IRQS")
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <vector>

#include "devices/passthrough/vfio_user/message_channel.hpp"
#include "platform/pci/msix_table.hpp"
#include "runtime/foreign_eventfd.hpp"
#include "runtime/reactor.hpp"
#include "spec/vfio/device.hpp"

namespace touka::devices::passthrough {

/// All interrupt indexes of one function. INTx is a level that masks itself when it has signalled; the vectors of MSI
/// and MSI-X are edges, remembered while masked; the error and the request interrupt cannot be masked.
/// Any thread, its messages on the reactor.
class InterruptTable final : public platform::MsixOutlet, public platform::InterruptLine {
public:
    /// PciFunction::when_settled of the function.
    using WhenSettled = std::function<void(std::function<void()>)>;
    /// @param counts of each index.
    InterruptTable(runtime::Reactor& reactor, const std::array<std::uint32_t, spec::vfio::VFIO_PCI_NUM_IRQS>& counts,
                   WhenSettled when_settled);
    ~InterruptTable() override;
    InterruptTable(const InterruptTable&) = delete;
    InterruptTable& operator=(const InterruptTable&) = delete;

    /// @param index < VFIO_PCI_NUM_IRQS.
    [[nodiscard]] std::uint32_t count(std::uint32_t index) const;
    [[nodiscard]] static std::uint32_t info_flags(std::uint32_t index);

    /// VFIO_USER_DEVICE_SET_IRQS. @return an errno.
    [[nodiscard]] std::expected<void, int> set(Message& message);
    /// Forgets the client's descriptors and masks.
    void clear();

    // What the function does.
    void raise(unsigned vector) override { fire(spec::vfio::VFIO_PCI_MSIX_IRQ_INDEX, vector); }
    void set(bool asserted) override;
    void raise_error() { fire(spec::vfio::VFIO_PCI_ERR_IRQ_INDEX, 0); }
    /// Asks the client to let go of the device.
    void request_release() { fire(spec::vfio::VFIO_PCI_REQ_IRQ_INDEX, 0); }

private:
    /// An eventfd of the client's that masks or unmasks when it is signalled.
    struct Switch {
        runtime::ForeignEventfd event;
        std::unique_ptr<runtime::Reactor::Watch> watch;
    };
    struct Interrupt {
        runtime::ForeignEventfd trigger;
        bool masked = false;
        bool pending = false;   // raised while masked
        bool unmasking = false; // INTx: when the function has settled
        std::unique_ptr<Switch> mask, unmask;
    };
    [[nodiscard]] std::expected<void, int> validate(const spec::vfio::IrqSet& set, const Message& message) const;
    void assign(const spec::vfio::IrqSet& set, std::vector<runtime::UniqueFd> descriptors);
    void disable(std::uint32_t index);
    [[nodiscard]] std::unique_ptr<Switch> make_switch(std::uint32_t index, std::uint32_t number, bool masks,
                                                      runtime::ForeignEventfd event);
    void fire(std::uint32_t index, std::uint32_t number);
    void fire_locked(std::uint32_t index, Interrupt& interrupt);
    void mask(std::uint32_t index, std::uint32_t number, bool masked);
    /// INTx comes again if it stands.
    void look_at_level();

    runtime::Reactor& reactor_;
    std::mutex mutex_;
    std::array<std::vector<Interrupt>, spec::vfio::VFIO_PCI_NUM_IRQS> interrupts_;
    bool asserted_ = false; // INTx
    WhenSettled when_settled_;
    /// For what the function calls when it has settled, which may be after this object's time. Taken before mutex_.
    struct Self {
        std::mutex mutex;
        InterruptTable* table = nullptr;
    };
    std::shared_ptr<Self> self_ = std::make_shared<Self>();
};

} // namespace touka::devices::passthrough
