#include <functional>
#include <string>
#include <utility>

#include "machine/interrupt_system.hpp"
#include "machine/kernel_msi_wire.hpp"
#include "migration/record.hpp"

namespace touka::machine {

namespace {

using cpu::kvm::KvmEngine;
using cpu::kvm::KvmInterrupts;
using cpu::kvm::KvmVcpu;
using migration::RestoreError;

/// A chip in the kernel as a device of the machine: fetched when saved, put back when restored.
/// @tparam State what the software chip of the same name saves, too.
template <class State>
class KernelChip final : public platform::Device {
public:
    KernelChip(std::string name, std::function<std::optional<State>()> fetch, std::function<bool(const State&)> put)
        : name_(std::move(name)), fetch_(std::move(fetch)), put_(std::move(put)), power_on_(fetch_()) {}

    [[nodiscard]] std::string_view name() const override { return name_; }
    void reset() override {
        if (power_on_) (void)put_(*power_on_);
    }
    [[nodiscard]] migration::Record save() const override {
        return migration::save_record(name_, fetch_().value_or(State{}));
    }
    [[nodiscard]] std::expected<void, RestoreError> restore(const migration::Record& record) override {
        const auto state = migration::load_record<State>(record);
        if (!state) return std::unexpected(state.error());
        if (!put_(*state)) return std::unexpected(RestoreError::kMismatch);
        return {};
    }

private:
    std::string name_;
    std::function<std::optional<State>()> fetch_;
    std::function<bool(const State&)> put_;
    std::optional<State> power_on_; // as the kernel made it
};

template <class State, class Error>
std::optional<State> value_of(std::expected<State, Error> result) {
    if (!result) return std::nullopt;
    return std::move(*result);
}

class KernelInterrupts final : public InterruptSystem, platform::MsiSink {
public:
    explicit KernelInterrupts(KvmEngine& engine)
        : chips_(engine.interrupts()),
          lines_([this](std::uint32_t gsi, bool asserted) { chips_.set_irq_line(gsi, asserted); }) {
        add<cpu::IoApicState>(
            "ioapic", [this] { return value_of(chips_.io_apic_state()); },
            [this](const auto& state) { return chips_.set_io_apic_state(state).has_value(); });
        add<cpu::PicPairState>(
            "pic", [this] { return value_of(chips_.pic_state()); },
            [this](const auto& state) { return chips_.set_pic_state(state).has_value(); });
        add<cpu::PitState>(
            "pit", [this] { return value_of(chips_.pit_state()); },
            [this](const auto& state) { return chips_.set_pit_state(state).has_value(); });
    }

    [[nodiscard]] platform::GsiLines& lines() override { return lines_; }
    [[nodiscard]] platform::MsiSink& msi() override { return *this; }
    [[nodiscard]] cpu::InterruptPort* port(std::uint32_t) override { return nullptr; }

    void connect(const std::vector<cpu::Vcpu*>& vcpus) override {
        for (std::size_t i = 0; i < vcpus.size(); ++i) {
            auto& vcpu = static_cast<KvmVcpu&>(*vcpus[i]); // the engine that this was made for makes no others
            add<cpu::LocalApicState>(
                "lapic" + std::to_string(i), [&vcpu] { return value_of(vcpu.local_apic_state()); },
                [&vcpu](const auto& state) { return vcpu.set_local_apic_state(state).has_value(); });
        }
    }

    void set_timer_disconnected(bool disconnected) override {
        auto state = chips_.pit_state();
        if (!state) return;
        state->channel0_disconnected = disconnected;
        (void)chips_.set_pit_state(*state); // the kernel refuses no state that it gave
    }

    [[nodiscard]] std::vector<platform::Device*> devices() override {
        std::vector<platform::Device*> all;
        all.reserve(devices_.size());
        for (const auto& chip : devices_) all.push_back(chip.get());
        return all;
    }

    void send(const platform::MsiMessage& message) override { chips_.signal_msi(message.address, message.data); }
    [[nodiscard]] std::unique_ptr<platform::MsiWire> make_wire(int event) override {
        // A signal that stays in the eventfd would be seen by this process, too, and come twice.
        if (!chips_.irqfd_takes_count()) return nullptr;
        return std::make_unique<KernelMsiWire>(chips_, event);
    }

private:
    template <class State>
    void add(std::string name, std::function<std::optional<State>()> fetch, std::function<bool(const State&)> put) {
        devices_.push_back(std::make_unique<KernelChip<State>>(std::move(name), std::move(fetch), std::move(put)));
    }

    KvmInterrupts& chips_;
    platform::GsiLines lines_;
    std::vector<std::unique_ptr<platform::Device>> devices_;
};

} // namespace

std::unique_ptr<InterruptSystem> make_kernel_interrupts(KvmEngine& engine) {
    return std::make_unique<KernelInterrupts>(engine);
}

} // namespace touka::machine
