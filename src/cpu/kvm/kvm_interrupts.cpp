#include "cpu/kvm/kvm_interrupts.hpp"

#include <algorithm>

#include "cpu/kvm/kvm_chip_state.hpp"

namespace touka::cpu::kvm {

namespace {

constexpr std::uint32_t kIsaLineCount = 16, kIoApicPinCount = 24, kCascade = 2;

kvm_irq_routing_entry pin_entry(std::uint32_t gsi, std::uint32_t chip, std::uint32_t pin) {
    kvm_irq_routing_entry entry{};
    entry.gsi = gsi;
    entry.type = KVM_IRQ_ROUTING_IRQCHIP;
    entry.u.irqchip.irqchip = chip;
    entry.u.irqchip.pin = pin;
    return entry;
}

std::vector<kvm_irq_routing_entry> pin_entries() {
    std::vector<kvm_irq_routing_entry> entries;
    for (std::uint32_t gsi = 0; gsi < kIoApicPinCount; ++gsi) {
        if (gsi == kCascade) continue;
        if (gsi < kIsaLineCount) {
            entries.push_back(pin_entry(gsi, gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, gsi % 8));
        }
        entries.push_back(pin_entry(gsi, KVM_IRQCHIP_IOAPIC, gsi == 0 ? 2 : gsi));
    }
    return entries;
}

} // namespace

std::expected<std::unique_ptr<KvmInterrupts>, KvmFailure> KvmInterrupts::create(int vm_fd, std::uint32_t gsi_limit) {
    if (::ioctl(vm_fd, KVM_CREATE_IRQCHIP, 0) < 0) return std::unexpected(system_failure("KVM_CREATE_IRQCHIP"));
    kvm_pit_config pit{};
    pit.flags = KVM_PIT_SPEAKER_DUMMY; // port 61h belongs to the kernel too: it has channel 2's gate
    if (::ioctl(vm_fd, KVM_CREATE_PIT2, &pit) < 0) return std::unexpected(system_failure("KVM_CREATE_PIT2"));
    std::unique_ptr<KvmInterrupts> chips(new KvmInterrupts(vm_fd, gsi_limit));
    if (auto installed = chips->install({}); !installed) return std::unexpected(installed.error());
    chips->try_irqfd();
    return chips;
}

void KvmInterrupts::set_irq_line(std::uint32_t gsi, bool asserted) {
    kvm_irq_level level{};
    level.irq = gsi;
    level.level = asserted ? 1 : 0;
    // Fails only for a GSI that there is not: then nobody listens, as on a wire that is not connected.
    (void)::ioctl(vm_fd_, KVM_IRQ_LINE, &level);
}

void KvmInterrupts::signal_msi(std::uint64_t address, std::uint32_t data) {
    kvm_msi message{};
    message.address_lo = static_cast<std::uint32_t>(address);
    message.address_hi = static_cast<std::uint32_t>(address >> 32);
    message.data = data;
    // The address and data are the guest's: a message that reaches nobody is lost, as on the bus.
    (void)::ioctl(vm_fd_, KVM_SIGNAL_MSI, &message);
}

std::expected<void, KvmFailure> KvmInterrupts::install(const Routes& routes) {
    std::vector<kvm_irq_routing_entry> entries = pin_entries();
    for (std::size_t i = 0; i < routes.size(); ++i) {
        if (!routes[i]) continue;
        kvm_irq_routing_entry entry{};
        entry.gsi = kFirstMessageGsi + static_cast<std::uint32_t>(i);
        entry.type = KVM_IRQ_ROUTING_MSI;
        entry.u.msi.address_lo = static_cast<std::uint32_t>(routes[i]->address);
        entry.u.msi.address_hi = static_cast<std::uint32_t>(routes[i]->address >> 32);
        entry.u.msi.data = routes[i]->data;
        entries.push_back(entry);
    }
    const KvmList<kvm_irq_routing_entry> list(entries.size());
    std::ranges::copy(entries, list.entries().begin());
    if (::ioctl(vm_fd_, kSetGsiRouting, list.argument()) < 0) {
        return std::unexpected(system_failure("KVM_SET_GSI_ROUTING"));
    }
    return {};
}

std::expected<std::uint32_t, KvmFailure> KvmInterrupts::add_msi_route(std::uint64_t address, std::uint32_t data) {
    auto routes = routes_.lock();
    auto place = std::ranges::find_if(*routes, [](const auto& route) { return !route.has_value(); });
    const auto gsi = kFirstMessageGsi + static_cast<std::uint32_t>(place - routes->begin());
    if (gsi >= gsi_limit_) return std::unexpected(KvmFailure{CpuError::kUnsupported, "no GSI is left for a message"});
    if (place == routes->end()) place = routes->insert(place, std::nullopt);
    *place = MsiRoute{address, data};
    if (auto installed = install(*routes); !installed) {
        place->reset();
        return std::unexpected(installed.error());
    }
    return gsi;
}

std::expected<void, KvmFailure> KvmInterrupts::change_msi_route(std::uint32_t gsi, std::uint64_t address,
                                                                std::uint32_t data) {
    auto routes = routes_.lock();
    routes->at(gsi - kFirstMessageGsi) = MsiRoute{address, data};
    return install(*routes);
}

void KvmInterrupts::remove_msi_route(std::uint32_t gsi) {
    auto routes = routes_.lock();
    routes->at(gsi - kFirstMessageGsi).reset();
    (void)install(*routes); // a smaller table than the one that stands: the old one does no harm if it stays
}

std::expected<void, KvmFailure> KvmInterrupts::attach_irqfd(std::uint32_t gsi, int trigger,
                                                            const runtime::Notification* resample) {
    kvm_irqfd attachment{};
    attachment.fd = static_cast<std::uint32_t>(trigger);
    attachment.gsi = gsi;
    if (resample != nullptr) {
        attachment.flags = KVM_IRQFD_FLAG_RESAMPLE;
        attachment.resamplefd = static_cast<std::uint32_t>(resample->fd());
    }
    if (::ioctl(vm_fd_, KVM_IRQFD, &attachment) < 0) return std::unexpected(system_failure("KVM_IRQFD"));
    return {};
}

void KvmInterrupts::detach_irqfd(std::uint32_t gsi, int trigger) {
    kvm_irqfd attachment{};
    attachment.fd = static_cast<std::uint32_t>(trigger);
    attachment.gsi = gsi;
    attachment.flags = KVM_IRQFD_FLAG_DEASSIGN;
    (void)::ioctl(vm_fd_, KVM_IRQFD, &attachment);
}

void KvmInterrupts::try_irqfd() {
    const runtime::Notification trigger;
    if (!attach_irqfd(kFirstMessageGsi, trigger.fd())) return; // that has no route: the signal goes nowhere
    trigger.signal();
    irqfd_takes_count_ = !trigger.consume();
    detach_irqfd(kFirstMessageGsi, trigger.fd());
}

std::expected<IoApicState, KvmFailure> KvmInterrupts::io_apic_state() const {
    kvm_irqchip chip{};
    chip.chip_id = KVM_IRQCHIP_IOAPIC;
    if (::ioctl(vm_fd_, KVM_GET_IRQCHIP, &chip) < 0) return std::unexpected(system_failure("KVM_GET_IRQCHIP"));
    return from_kvm(chip.chip.ioapic);
}

std::expected<void, KvmFailure> KvmInterrupts::set_io_apic_state(const IoApicState& state) {
    kvm_irqchip chip{};
    chip.chip_id = KVM_IRQCHIP_IOAPIC;
    chip.chip.ioapic = to_kvm(state);
    if (::ioctl(vm_fd_, KVM_SET_IRQCHIP, &chip) < 0) return std::unexpected(system_failure("KVM_SET_IRQCHIP"));
    return {};
}

std::expected<PicPairState, KvmFailure> KvmInterrupts::pic_state() const {
    PicPairState pair;
    for (const bool master : {true, false}) {
        kvm_irqchip chip{};
        chip.chip_id = master ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;
        if (::ioctl(vm_fd_, KVM_GET_IRQCHIP, &chip) < 0) return std::unexpected(system_failure("KVM_GET_IRQCHIP"));
        (master ? pair.master : pair.slave) = from_kvm(chip.chip.pic, master);
    }
    return pair;
}

std::expected<void, KvmFailure> KvmInterrupts::set_pic_state(const PicPairState& pair) {
    for (const bool master : {true, false}) {
        kvm_irqchip chip{};
        chip.chip_id = master ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;
        chip.chip.pic = to_kvm(master ? pair.master : pair.slave, master);
        if (::ioctl(vm_fd_, KVM_SET_IRQCHIP, &chip) < 0) return std::unexpected(system_failure("KVM_SET_IRQCHIP"));
    }
    return {};
}

std::expected<PitState, KvmFailure> KvmInterrupts::pit_state() const {
    kvm_pit_state2 pit{};
    if (::ioctl(vm_fd_, KVM_GET_PIT2, &pit) < 0) return std::unexpected(system_failure("KVM_GET_PIT2"));
    return from_kvm(pit, monotonic_ns());
}

std::expected<void, KvmFailure> KvmInterrupts::set_pit_state(const PitState& state) {
    kvm_pit_state2 pit = to_kvm(state, monotonic_ns());
    if (::ioctl(vm_fd_, KVM_SET_PIT2, &pit) < 0) return std::unexpected(system_failure("KVM_SET_PIT2"));
    return {};
}

} // namespace touka::cpu::kvm
