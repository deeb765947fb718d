#include "devices/passthrough/interrupt_wires.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace touka::devices::passthrough {

namespace {

bool take_count(int event) {
    std::uint64_t count = 0;
    return ::read(event, &count, sizeof count) > 0;
}

} // namespace

InterruptWires::InterruptWires(runtime::Reactor& reactor, DeviceTransport& transport, std::uint32_t index,
                               std::function<void(std::uint32_t)> on_signal, platform::MsiSink* sink)
    : reactor_(reactor), transport_(transport), index_(index), on_signal_(std::move(on_signal)), sink_(sink) {}

InterruptWires::~InterruptWires() { forget(); }

std::unique_ptr<InterruptWires::Wire> InterruptWires::make(std::uint32_t number) {
    auto wire = std::make_unique<Wire>();
    wire->event = runtime::UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wire->event) return nullptr;
    if (sink_ != nullptr) wire->carrier = sink_->make_wire(wire->event.get());
    wire->watch = reactor_.watch(wire->event.get(), EPOLLIN,
                                 [this, number, it = wire.get()](std::uint32_t) { on_ready(*it, number); });
    return wire;
}

bool InterruptWires::connect(std::uint32_t first, std::uint32_t count) {
    const std::scoped_lock lock(mutex_);
    std::vector<int> events;
    for (std::uint32_t number = first; number < first + count; ++number) {
        auto& wire = wires_[number];
        if (!wire) {
            wire = make(number);
            if (!wire) {
                wires_.erase(number);
                return false;
            }
            if (const auto route = routes_.find(number); route != routes_.end()) carry(*wire, route->second);
        }
        events.push_back(wire->event.get());
    }
    return transport_.set_events(index_, first, events).has_value();
}

void InterruptWires::route(std::uint32_t number, const std::optional<platform::MsiMessage>& message) {
    const std::scoped_lock lock(mutex_);
    if (message) routes_[number] = *message;
    if (!message) routes_.erase(number);
    if (const auto wire = wires_.find(number); wire != wires_.end()) carry(*wire->second, message);
}

void InterruptWires::carry(Wire& wire, const std::optional<platform::MsiMessage>& message) {
    const std::scoped_lock lock(wire.carrying);
    if (!wire.carrier) return;
    const bool before = wire.carried;
    wire.carried = message && wire.carrier->carry(*message);
    if (before && !wire.carried) {
        wire.carrier->let_go();
        --carried_;
    }
    if (!before && wire.carried) most_carried_ = std::max(most_carried_.load(), ++carried_);
}

void InterruptWires::on_ready(Wire& wire, std::uint32_t number) {
    {
        const std::scoped_lock lock(wire.carrying);
        if (!take_count(wire.event.get())) return;
    }
    raised_.fetch_add(1, std::memory_order_relaxed);
    on_signal_(number);
}

InterruptWires::Wires InterruptWires::take_all() {
    const std::scoped_lock lock(mutex_);
    for (const auto& [number, wire] : wires_) carry(*wire, std::nullopt);
    return std::exchange(wires_, {});
}

void InterruptWires::disconnect() {
    const Wires gone = take_all();                       // until here: their watches
    if (!gone.empty()) (void)transport_.disable(index_); // one that is gone signals nothing
}

void InterruptWires::forget() { const Wires gone = take_all(); }

} // namespace touka::devices::passthrough
