#include "platform/power/reset_control.hpp"

#include <utility>

#include "spec/acpi/fixed_hardware.hpp"

namespace touka::platform {

namespace acpi = spec::acpi;

namespace {
struct ResetControlState {
    static constexpr std::uint16_t kVersion = 1;
    std::uint8_t value = 0;
    void describe(auto& archive) { archive(value); }
};
} // namespace

ResetControl::ResetControl(std::function<void()> on_reset) : on_reset_(std::move(on_reset)) {}

std::uint8_t ResetControl::ResetControlPort::read_byte(std::uint64_t) {
    return device_.value_.load(std::memory_order_relaxed);
}

void ResetControl::ResetControlPort::write_byte(std::uint64_t, std::uint8_t value) {
    const acpi::ResetControl before{
        device_.value_.exchange(value & acpi::reset_control::kStored, std::memory_order_relaxed)};
    const bool rises = acpi::ResetControl{value}.get(acpi::reset_control::RST_CPU);
    if (rises && !before.get(acpi::reset_control::RST_CPU)) device_.on_reset_();
}

std::uint8_t ResetControl::FastA20Port::read_byte(std::uint64_t) { return acpi::fast_a20::ALT_A20_GATE; }

void ResetControl::FastA20Port::write_byte(std::uint64_t, std::uint8_t value) {
    if (value & acpi::fast_a20::INIT_NOW) device_.on_reset_();
}

migration::Record ResetControl::save() const {
    return migration::save_record("reset-control", ResetControlState{value_.load(std::memory_order_relaxed)});
}

std::expected<void, migration::RestoreError> ResetControl::restore(const migration::Record& record) {
    const auto state = migration::load_record<ResetControlState>(record);
    if (!state) return std::unexpected(state.error());
    value_.store(state->value & acpi::reset_control::kStored, std::memory_order_relaxed);
    return {};
}

} // namespace touka::platform
