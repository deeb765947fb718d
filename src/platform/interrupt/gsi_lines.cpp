#include "platform/interrupt/gsi_lines.hpp"

#include <cassert>
#include <utility>

namespace touka::platform {

GsiLines::GsiLines(std::function<void(std::uint32_t, bool)> output) : output_(std::move(output)) {}

InterruptLine& GsiLines::add_source(std::uint32_t gsi) {
    assert(gsi < kGsiCount);
    const std::scoped_lock lock(mutex_);
    return sources_.emplace_back(*this, gsi);
}

void GsiLines::Source::set(bool asserted) {
    if (asserted_.load(std::memory_order_relaxed) == asserted) return; // devices say the same again and again
    const std::scoped_lock lock(lines_.mutex_);
    if (asserted_.exchange(asserted, std::memory_order_relaxed) == asserted) return;
    std::uint32_t& count = lines_.asserted_count_[gsi_];
    const bool was_asserted = count > 0;
    count = asserted ? count + 1 : count - 1;
    if (was_asserted != (count > 0)) lines_.output_(gsi_, asserted);
}

} // namespace touka::platform
