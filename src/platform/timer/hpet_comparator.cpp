#include "platform/timer/hpet_comparator.hpp"

namespace touka::platform {

namespace fields = spec::hpet::timer;

void HpetComparator::write_configuration(std::uint64_t value) {
    state_.configuration = value & fields::kWritable;
    state_.comparator &= mask();
    state_.period &= mask();
}

// A periodic comparator's first write after VAL_SET is the value to compare with, every other one the period; systems
// write the value and the period in this order, or the value alone, which then is both. (§2.3.9.2.2)
void HpetComparator::write_value(std::uint64_t value) {
    auto written = configuration();
    if (!periodic() || written.get(fields::VAL_SET_CNF)) state_.comparator = value & mask();
    if (periodic()) state_.period = value & mask();
    state_.configuration = written.set(fields::VAL_SET_CNF, false).raw;
}

std::uint64_t HpetComparator::counts_to_match(std::uint64_t counter) const {
    const std::uint64_t distance = (state_.comparator - counter) & mask();
    if (distance != 0) return distance;
    return mask() == ~std::uint64_t{0} ? mask() : mask() + 1;
}

void HpetComparator::advance_beyond(std::uint64_t counter) {
    if (!periodic() || state_.period == 0) return;
    const std::uint64_t late = (counter - state_.comparator) & mask();
    state_.comparator = (state_.comparator + (late / state_.period + 1) * state_.period) & mask();
}

void HpetComparator::set_state(const HpetComparatorState& state) {
    state_ = state;
    state_.configuration &= fields::kWritable;
    state_.comparator &= mask();
    state_.period &= mask();
}

} // namespace touka::platform
