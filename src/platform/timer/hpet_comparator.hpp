#pragma once

#include <cstdint>

#include "spec/hpet/hpet.hpp"

namespace touka::platform {

struct HpetComparatorState {
    std::uint64_t configuration = 0; ///< without the capabilities
    std::uint64_t comparator = 0;
    std::uint64_t period = 0;
    void describe(auto& archive) { archive(configuration, comparator, period); }
    bool operator==(const HpetComparatorState&) const = default;
};

/// One comparator of the HPET: when it matches, and what it compares with next. (IA-PC HPET 1.0a §2.3.8, §2.3.9)
/// A plain value, without lock or clock: Hpet's.
class HpetComparator {
public:
    [[nodiscard]] spec::hpet::TimerConfiguration configuration() const {
        return spec::hpet::TimerConfiguration{state_.configuration};
    }
    [[nodiscard]] bool periodic() const { return configuration().get(spec::hpet::timer::TYPE_CNF); }
    [[nodiscard]] bool interrupts() const { return configuration().get(spec::hpet::timer::INT_ENB_CNF); }
    [[nodiscard]] bool level_triggered() const { return configuration().get(spec::hpet::timer::INT_TYPE_CNF); }
    [[nodiscard]] std::uint64_t value() const { return state_.comparator; }

    void write_configuration(std::uint64_t value);
    void write_value(std::uint64_t value);
    /// Counts from `counter` to the next match, 1 ..= the counter's range: being equal now is a match that was.
    [[nodiscard]] std::uint64_t counts_to_match(std::uint64_t counter) const;
    /// After a match: a periodic comparator moves to the first value beyond `counter`.
    void advance_beyond(std::uint64_t counter);

    [[nodiscard]] const HpetComparatorState& state() const { return state_; }
    void set_state(const HpetComparatorState& state);

private:
    [[nodiscard]] std::uint64_t mask() const {
        return configuration().get(spec::hpet::timer::MODE32_CNF) ? 0xFFFF'FFFF : ~std::uint64_t{0};
    }
    HpetComparatorState state_;
};

} // namespace touka::platform
