#include "devices/passthrough/interrupt_wires.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>
#include <vector>

namespace touka::devices::passthrough {

InterruptWires::InterruptWires(runtime::Reactor& reactor, DeviceTransport& transport, std::uint32_t index,
                               std::function<void(std::uint32_t)> on_signal)
    : reactor_(reactor), transport_(transport), index_(index), on_signal_(std::move(on_signal)) {}

InterruptWires::~InterruptWires() { forget(); }

bool InterruptWires::connect(std::uint32_t first, std::uint32_t count) {
    const std::scoped_lock lock(mutex_);
    std::vector<int> events;
    for (std::uint32_t number = first; number < first + count; ++number) {
        Wire& wire = wires_[number];
        if (!wire.event) {
            wire.event = runtime::UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
            if (!wire.event) {
                wires_.erase(number);
                return false;
            }
            wire.watch =
                reactor_.watch(wire.event.get(), EPOLLIN, [this, number, fd = wire.event.get()](std::uint32_t) {
                    std::uint64_t raised = 0;
                    if (::read(fd, &raised, sizeof raised) > 0) on_signal_(number);
                });
        }
        events.push_back(wire.event.get());
    }
    return transport_.set_events(index_, first, events).has_value();
}

void InterruptWires::disconnect() {
    const std::scoped_lock lock(mutex_);
    if (wires_.empty()) return;
    (void)transport_.disable(index_); // one that is gone signals nothing
    wires_.clear();
}

void InterruptWires::forget() {
    const std::scoped_lock lock(mutex_);
    wires_.clear();
}

} // namespace touka::devices::passthrough
