#include "devices/passthrough/vfio_user/interrupt_table.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

namespace touka::devices::passthrough {

using namespace spec::vfio;

namespace {

bool maskable(std::uint32_t index) { return index <= VFIO_PCI_MSIX_IRQ_INDEX; }

} // namespace

InterruptTable::InterruptTable(runtime::Reactor& reactor, const std::array<std::uint32_t, VFIO_PCI_NUM_IRQS>& counts,
                               WhenSettled when_settled)
    : reactor_(reactor), when_settled_(std::move(when_settled)) {
    self_->table = this;
    for (std::size_t i = 0; i < counts.size(); ++i) interrupts_[i] = std::vector<Interrupt>(counts[i]);
}

InterruptTable::~InterruptTable() {
    const std::scoped_lock lock(self_->mutex);
    self_->table = nullptr;
}

std::uint32_t InterruptTable::count(std::uint32_t index) const {
    return static_cast<std::uint32_t>(interrupts_.at(index).size());
}

std::uint32_t InterruptTable::info_flags(std::uint32_t index) {
    switch (index) {
        case VFIO_PCI_INTX_IRQ_INDEX: return VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
        case VFIO_PCI_MSI_IRQ_INDEX:
        case VFIO_PCI_MSIX_IRQ_INDEX: return VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE;
        default: return VFIO_IRQ_INFO_EVENTFD;
    }
}

// --- messages ---

std::expected<void, int> InterruptTable::validate(const IrqSet& set, const Message& message) const {
    const std::uint32_t data = set.flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
    const std::uint32_t action = set.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
    if (set.argsz < sizeof set || set.flags != (data | action) || !std::has_single_bit(data) ||
        !std::has_single_bit(action) || set.index >= VFIO_PCI_NUM_IRQS) {
        return std::unexpected(EINVAL);
    }
    if (std::uint64_t{set.start} + set.count > count(set.index)) return std::unexpected(EINVAL);
    const bool trigger = action == VFIO_IRQ_SET_ACTION_TRIGGER;
    if (!trigger && !maskable(set.index)) return std::unexpected(EINVAL);
    if (set.count == 0 && (set.start != 0 || data != VFIO_IRQ_SET_DATA_NONE || !trigger)) {
        return std::unexpected(EINVAL);
    }
    const std::size_t bytes = message.payload.size() - sizeof set;
    if (data == VFIO_IRQ_SET_DATA_BOOL && bytes != set.count) return std::unexpected(EINVAL);
    if (data != VFIO_IRQ_SET_DATA_EVENTFD && !message.descriptors.empty()) return std::unexpected(EINVAL);
    if (!message.descriptors.empty() && message.descriptors.size() != set.count) return std::unexpected(EINVAL);
    const bool eventfds = std::ranges::all_of(message.descriptors,
                                              [](const auto& fd) { return runtime::ForeignEventfd::is_one(fd.get()); });
    if (!eventfds) return std::unexpected(EINVAL);
    return {};
}

std::expected<void, int> InterruptTable::set(Message& message) {
    const auto set = message.at<IrqSet>();
    if (!set) return std::unexpected(EINVAL);
    if (const auto valid = validate(*set, message); !valid) return valid;
    if ((set->flags & VFIO_IRQ_SET_DATA_EVENTFD) != 0) {
        assign(*set, std::move(message.descriptors));
        return {};
    }
    if (set->count == 0) {
        disable(set->index);
        return {};
    }
    const auto chosen = message.after(sizeof *set);
    for (std::uint32_t i = 0; i < set->count; ++i) {
        if ((set->flags & VFIO_IRQ_SET_DATA_BOOL) != 0 && chosen[i] == std::byte{0}) continue;
        const std::uint32_t number = set->start + i;
        if ((set->flags & VFIO_IRQ_SET_ACTION_TRIGGER) != 0) {
            fire(set->index, number);
        } else {
            mask(set->index, number, (set->flags & VFIO_IRQ_SET_ACTION_MASK) != 0);
        }
    }
    return {};
}

void InterruptTable::assign(const IrqSet& set, std::vector<runtime::UniqueFd> descriptors) {
    for (std::uint32_t i = 0; i < set.count; ++i) {
        runtime::ForeignEventfd event;
        if (!descriptors.empty())
            event = runtime::ForeignEventfd::take(std::move(descriptors[i])).value_or(runtime::ForeignEventfd());
        const std::uint32_t number = set.start + i;
        if ((set.flags & VFIO_IRQ_SET_ACTION_TRIGGER) != 0) {
            const std::scoped_lock lock(mutex_);
            Interrupt& interrupt = interrupts_[set.index][number];
            interrupt.trigger = std::move(event);
            // A level that stands is seen by who connects to it.
            if (set.index == VFIO_PCI_INTX_IRQ_INDEX && asserted_) fire_locked(set.index, interrupt);
            continue;
        }
        const bool masks = (set.flags & VFIO_IRQ_SET_ACTION_MASK) != 0;
        auto made = event ? make_switch(set.index, number, masks, std::move(event)) : nullptr;
        {
            const std::scoped_lock lock(mutex_);
            Interrupt& interrupt = interrupts_[set.index][number];
            std::swap(masks ? interrupt.mask : interrupt.unmask, made);
        }
    }
}

std::unique_ptr<InterruptTable::Switch> InterruptTable::make_switch(std::uint32_t index, std::uint32_t number,
                                                                    bool masks, runtime::ForeignEventfd event) {
    auto made = std::make_unique<Switch>();
    made->event = std::move(event);
    made->watch =
        reactor_.watch(made->event.fd(), EPOLLIN, [this, index, number, masks, from = made.get()](std::uint32_t) {
            if (from->event.consume()) mask(index, number, masks);
        });
    return made;
}

void InterruptTable::disable(std::uint32_t index) {
    std::vector<Interrupt> gone(interrupts_[index].size());
    const std::scoped_lock lock(mutex_);
    std::swap(interrupts_[index], gone);
}

void InterruptTable::clear() {
    for (std::uint32_t i = 0; i < VFIO_PCI_NUM_IRQS; ++i) disable(i);
}

// --- the function's side ---

void InterruptTable::fire(std::uint32_t index, std::uint32_t number) {
    const std::scoped_lock lock(mutex_);
    if (number < interrupts_[index].size()) fire_locked(index, interrupts_[index][number]);
}

void InterruptTable::fire_locked(std::uint32_t index, Interrupt& interrupt) {
    if (interrupt.masked) {
        interrupt.pending = index != VFIO_PCI_INTX_IRQ_INDEX;
        return;
    }
    if (!interrupt.trigger) return;
    interrupt.trigger.signal();
    interrupt.masked = index == VFIO_PCI_INTX_IRQ_INDEX;
}

void InterruptTable::mask(std::uint32_t index, std::uint32_t number, bool masked) {
    const bool intx = index == VFIO_PCI_INTX_IRQ_INDEX;
    {
        const std::scoped_lock lock(mutex_);
        Interrupt& interrupt = interrupts_[index][number];
        // An INTx stays masked until its level is known.
        interrupt.unmasking = intx && !masked && interrupt.masked;
        interrupt.masked = masked || interrupt.unmasking;
        if (masked) return;
        if (std::exchange(interrupt.pending, false)) fire_locked(index, interrupt);
    }
    if (!intx) return;
    // Whoever unmasks has just told the function what it has seen to. A level that stands only because the function has
    // not heard it yet would bring a client, which cannot take it back, an interrupt that is nobody's.
    when_settled_([self = self_] {
        const std::scoped_lock lock(self->mutex);
        if (self->table) self->table->look_at_level();
    });
}

void InterruptTable::look_at_level() {
    const std::scoped_lock lock(mutex_);
    if (interrupts_[VFIO_PCI_INTX_IRQ_INDEX].empty()) return;
    Interrupt& interrupt = interrupts_[VFIO_PCI_INTX_IRQ_INDEX][0];
    if (!std::exchange(interrupt.unmasking, false)) return; // masked again meanwhile
    interrupt.masked = false;
    if (asserted_) fire_locked(VFIO_PCI_INTX_IRQ_INDEX, interrupt);
}

void InterruptTable::set(bool asserted) {
    const std::scoped_lock lock(mutex_);
    asserted_ = asserted;
    if (asserted && !interrupts_[VFIO_PCI_INTX_IRQ_INDEX].empty()) {
        fire_locked(VFIO_PCI_INTX_IRQ_INDEX, interrupts_[VFIO_PCI_INTX_IRQ_INDEX][0]);
    }
}

} // namespace touka::devices::passthrough
