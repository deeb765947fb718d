// How a passed-through function's interrupts reach the guest: which kind it uses, and each of them.
#include <algorithm>
#include <bit>
#include <utility>

#include "devices/passthrough/passthrough_function.hpp"
#include "spec/pci/capability.hpp"

namespace touka::devices::passthrough {

using namespace spec::pci;
using namespace spec::vfio;

namespace {

/// So many vectors are connected when MSI-X is enabled, so that the device's pending bits are true for them; others
/// when they are first unmasked, because each costs a descriptor.
constexpr std::uint32_t kVectorsConnectedAtOnce = 64;

/// Of an INTx whose cause the guest does not see to.
constexpr std::uint64_t kIntxLongestWaitNs = 32'000'000;

} // namespace

void PassthroughFunction::update_interrupts() {
    auto wanted = Signalling::kNone;
    if (config().read(offset::kInterruptPin, 1) != 0) wanted = Signalling::kIntx;
    if (places_.msi != 0) {
        const MsiControl control{static_cast<std::uint16_t>(config().read(places_.msi + kMsiControlOffset, 2))};
        const bool wide = control.get(msi_control::ADDRESS_64);
        const std::uint32_t rest = places_.msi + (wide ? 4 : 0);
        auto msi = msi_.lock();
        msi->enabled = control.get(msi_control::MSI_ENABLE) && bus_master_enabled();
        msi->address = config().read(places_.msi + kMsiAddressOffset, wide ? 8 : 4);
        msi->data = static_cast<std::uint32_t>(config().read(rest + kMsiDataOffset, 2));
        msi->count = std::bit_floor(std::min({1u << control.get(msi_control::MULTIPLE_MESSAGE_ENABLE), kMsiVectorLimit,
                                              transport_.interrupts(VFIO_PCI_MSI_IRQ_INDEX).count}));
        msi->mask = control.get(msi_control::PER_VECTOR_MASKING)
                        ? static_cast<std::uint32_t>(config().read(rest + kMsiMaskOffset, 4))
                        : 0;
        if (control.get(msi_control::MSI_ENABLE) && msi->count != 0) wanted = Signalling::kMsi;
    }
    if (table_) {
        const MsixControl control{static_cast<std::uint16_t>(config().read(places_.msix + kMsixControlOffset, 2))};
        const bool enabled = control.get(msix_control::MSIX_ENABLE);
        table_->set_control(enabled, control.get(msix_control::FUNCTION_MASK), bus_master_enabled());
        if (enabled) wanted = Signalling::kMsix;
    }
    if (wanted == Signalling::kIntx && !intx_disabled()) mappings_.allow(false);
    route_msi();
    choose_signalling(wanted);
    for (std::uint32_t i = 0; i < kMsiVectorLimit && wanted == Signalling::kMsi; ++i) deliver_msi(i);
}

void PassthroughFunction::route_msi() {
    if (places_.msi == 0) return;
    const Msi msi = *msi_.lock();
    for (std::uint32_t i = 0; i < msi.count; ++i) {
        std::optional<platform::MsiMessage> message;
        if (msi.enabled && (msi.mask & 1u << i) == 0) message = msi.message(i);
        msi_wires_.route(i, message);
    }
    for (std::uint32_t i = msi.count; i < kMsiVectorLimit; ++i) msi_wires_.route(i, std::nullopt);
}

void PassthroughFunction::choose_signalling(Signalling wanted) {
    if (wanted == signalling_) return;
    // A function uses one kind at a time. (PCI Local Bus 3.0 §6.8)
    switch (signalling_) {
        case Signalling::kNone: break;
        case Signalling::kIntx:
            intx_wire_.disconnect();
            intx_raised_ = false;
            pin().set(false);
            break;
        case Signalling::kMsi: msi_wires_.disconnect(); break;
        case Signalling::kMsix: msix_wires_.disconnect(); break;
    }
    signalling_ = wanted;
    switch (wanted) {
        case Signalling::kNone: break;
        case Signalling::kIntx: intx_wire_.connect(0, 1); break;
        case Signalling::kMsi: msi_wires_.connect(0, msi_.lock()->count); break;
        case Signalling::kMsix: {
            const std::uint32_t at_once = std::min(table_->vector_count(), kVectorsConnectedAtOnce);
            msix_wires_.connect(0, at_once);
            break;
        }
    }
}

void PassthroughFunction::write_msix_table(std::uint64_t at, unsigned width_bytes, std::uint64_t value) {
    table_->write(at, width_bytes, value);
    const auto vector = static_cast<std::uint32_t>(at / kMsixEntryBytes);
    if (vector < kVectorsConnectedAtOnce || vector >= table_->vector_count() || !table_->enabled()) return;
    const std::uint64_t control = table_->read(std::uint64_t{vector} * kMsixEntryBytes + kMsixEntryControl, 4);
    if ((control & kMsixEntryMasked) == 0) msix_wires_.connect(vector, 1);
}

// A level: the device masks it when it has signalled. Nothing tells here when the guest has seen to it, but it does
// that through the device's registers: after each access the level is taken down and unmasked, and comes again if it
// stands. One that was on its way while the guest saw to its cause is nobody's, and no access follows: it goes down
// after a time, too.

void PassthroughFunction::on_intx() {
    intx_raised_ = true;
    pin().set(true);
    intx_timer_->arm(reactor_.now_ns() + intx_wait_ns_.load());
}

void PassthroughFunction::intx_waited() {
    if (!intx_raised_.exchange(false)) return;
    intx_wait_ns_ = std::max(intx_wait_ns_.load(), std::min(2 * intx_wait_ns_.load(), kIntxLongestWaitNs));
    pin().set(false);
    note(transport_.unmask(VFIO_PCI_INTX_IRQ_INDEX, 0));
}

void PassthroughFunction::end_intx() {
    if (!intx_raised_.load(std::memory_order_relaxed) || !intx_raised_.exchange(false)) return;
    intx_wait_ns_ = intx_first_wait_ns_.load();
    pin().set(false);
    note(transport_.unmask(VFIO_PCI_INTX_IRQ_INDEX, 0));
}

void PassthroughFunction::send_msi(std::uint32_t number) {
    {
        auto msi = msi_.lock();
        if (number >= kMsiVectorLimit) return;
        msi->pending |= 1u << number;
    }
    deliver_msi(number);
}

void PassthroughFunction::deliver_msi(std::uint32_t number) {
    auto msi = msi_.lock();
    const std::uint32_t bit = 1u << number;
    if ((msi->pending & bit) == 0 || !msi->enabled || (msi->mask & bit) != 0 || number >= msi->count) return;
    msi->pending &= ~bit;
    sink_.send(msi->message(number));
}

} // namespace touka::devices::passthrough
