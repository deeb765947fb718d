#include "iommu/remapped_wire.hpp"

#include <utility>
#include <vector>

namespace touka::iommu {

RemappedWire::RemappedWire(InterruptRemapper& remapper, const std::atomic<std::uint16_t>& requester,
                           std::unique_ptr<platform::MsiWire> inner)
    : remapper_(remapper), requester_(requester), inner_(std::move(inner)) {
    const std::scoped_lock lock(remapper_.wires_mutex_);
    remapper_.wires_.push_back(this);
}

RemappedWire::~RemappedWire() {
    const std::scoped_lock lock(remapper_.wires_mutex_);
    std::erase(remapper_.wires_, this);
}

bool RemappedWire::carry(const platform::MsiMessage& message) {
    const std::scoped_lock lock(mutex_);
    message_ = message;
    return follow();
}

void RemappedWire::let_go() {
    const std::scoped_lock lock(mutex_);
    message_.reset();
    (void)follow();
}

void RemappedWire::update() {
    const std::scoped_lock lock(mutex_);
    (void)follow();
}

bool RemappedWire::follow() {
    const RequesterId requester{requester_.load(std::memory_order_relaxed)};
    const auto resolved = message_ ? remapper_.resolve(requester, *message_) : std::nullopt;
    const bool carries = resolved && inner_->carry(*resolved);
    if (carried_ && !carries) inner_->let_go();
    carried_ = carries;
    return carries;
}

} // namespace touka::iommu
