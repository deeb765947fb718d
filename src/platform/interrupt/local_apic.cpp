#include "platform/interrupt/local_apic.hpp"

#include <bit>
#include <utility>

#include "spec/x86/msr.hpp"

namespace touka::platform {

using spec::apic::DeliveryMode;
using spec::apic::Lvt;
namespace lvt = spec::apic::lvt;

LocalApic::LocalApic(LocalApicConfig config, LocalApicBus& bus, runtime::Timers& timers)
    : config_(config), name_("lapic" + std::to_string(config.apic_id)), bus_(bus),
      timer_(timers, [this] { timer_expired(); }) {
    bus.add(*this);
    reset();
}

void LocalApic::connect(cpu::InterruptTarget& target, std::function<std::uint64_t()> guest_tsc) {
    target_ = &target;
    guest_tsc_ = std::move(guest_tsc);
}

bool LocalApic::software_enabled() const {
    return spec::apic::Svr{load(LocalApicRegister::SVR)}.get(spec::apic::svr::ENABLE);
}

int LocalApic::highest(LocalApicRegister bank) const {
    for (int i = kWordsPerBank - 1; i >= 0; --i) {
        const auto bits = registers_[word_index(bank) + static_cast<std::size_t>(i)].load(std::memory_order_seq_cst);
        if (bits != 0) return i * 32 + 31 - std::countl_zero(bits);
    }
    return -1;
}

bool LocalApic::matches(std::uint32_t destination, bool logical) const {
    if (!enabled()) return false;
    if (destination == spec::apic::kBroadcast32) return true;
    if (!logical) return destination == config_.apic_id;
    const std::uint32_t ldr = load(LocalApicRegister::LDR);
    if (in_x2apic_mode()) return destination >> 16 == ldr >> 16 && (destination & ldr & 0xFFFF) != 0;
    if (destination > 0xFF) return false;
    const std::uint32_t id = ldr >> 24;
    if (load(LocalApicRegister::DFR) >> spec::apic::dfr::kModelShift == spec::apic::dfr::kFlat)
        return (destination & id) != 0;
    const bool same_cluster = destination >> 4 == id >> 4 || destination >> 4 == 0xF;
    return same_cluster && (destination & id & 0xF) != 0;
}

bool LocalApic::accept(DeliveryMode mode, std::uint8_t vector, bool level) {
    switch (mode) {
        case DeliveryMode::kFixed:
        case DeliveryMode::kLowestPriority: return accept_vector(vector, level);
        case DeliveryMode::kNmi:
            if (target_) target_->signal_nmi();
            return true;
        case DeliveryMode::kInit:
            if (target_) target_->signal_init();
            return true;
        case DeliveryMode::kStartUp:
            if (target_) target_->signal_startup(vector);
            return true;
        case DeliveryMode::kSmi:
        case DeliveryMode::kExtInt: return false;
    }
    return false; // the reserved encoding 3
}

bool LocalApic::accept_vector(std::uint8_t vector, bool level) {
    if (vector < spec::apic::kFirstLegalVector) {
        report_error(spec::apic::esr::RECEIVED_ILLEGAL_VECTOR);
        return false;
    }
    if (!software_enabled()) return false;
    const std::uint32_t bit = 1u << (vector % 32);
    auto& tmr = bank_word(LocalApicRegister::TMR, vector);
    if (((tmr.load(std::memory_order_relaxed) & bit) != 0) != level) { // seldom: a vector keeps its kind
        if (level)
            tmr.fetch_or(bit, std::memory_order_relaxed);
        else
            tmr.fetch_and(~bit, std::memory_order_relaxed);
    }
    // Requested already: whoever did it notifies the processor, too.
    if (bank_word(LocalApicRegister::IRR, vector).fetch_or(bit, std::memory_order_seq_cst) & bit) return true;
    notify();
    return true;
}

void LocalApic::notify() {
    if (!attention_.load(std::memory_order_seq_cst)) attention_.store(true, std::memory_order_seq_cst);
    if (target_) target_->interrupt_pending();
}

void LocalApic::report_error(std::uint32_t esr_bits) {
    errors_.fetch_or(esr_bits, std::memory_order_relaxed);
    const Lvt entry{load(LocalApicRegister::LVT_ERROR)};
    const auto vector = entry.get(lvt::VECTOR);
    if (!entry.get(lvt::MASK) && vector >= spec::apic::kFirstLegalVector) accept_vector(vector, false);
}

void LocalApic::set_lint0(bool asserted) {
    if (lint0_.exchange(asserted, std::memory_order_seq_cst) == asserted || !asserted) return;
    const Lvt entry{load(LocalApicRegister::LVT_LINT0)};
    if (external_interrupt_ready()) {
        notify();
    } else if (enabled() && !entry.get(lvt::MASK) && entry.get(lvt::DELIVERY_MODE) != DeliveryMode::kExtInt) {
        accept(entry.get(lvt::DELIVERY_MODE), entry.get(lvt::VECTOR), false);
    }
}

bool LocalApic::external_interrupt_ready() const {
    if (!lint0_.load(std::memory_order_seq_cst)) return false;
    // A disabled APIC passes LINT0 on as the INTR pin that it was before there were APICs (§11.4.3).
    if (!enabled()) return config_.bootstrap;
    const Lvt entry{load(LocalApicRegister::LVT_LINT0)};
    return !entry.get(lvt::MASK) && entry.get(lvt::DELIVERY_MODE) == DeliveryMode::kExtInt;
}

bool LocalApic::deliverable() const {
    if (external_interrupt_ready()) return true;
    const int vector = highest(LocalApicRegister::IRR);
    return vector >= 0 && static_cast<std::uint32_t>(vector) >> 4 > load(LocalApicRegister::PPR) >> 4;
}

bool LocalApic::take_a_look() const {
    attention_.store(false, std::memory_order_seq_cst);
    if (!deliverable()) return false;
    attention_.store(true, std::memory_order_relaxed); // for the next look; it tells nobody anything
    return true;
}

std::optional<std::uint8_t> LocalApic::acknowledge() {
    if (external_interrupt_ready() && bus_.external()) {
        const std::uint8_t vector = bus_.external()->acknowledge();
        reconsider();
        return vector;
    }
    const int highest_vector = highest(LocalApicRegister::IRR);
    if (highest_vector < 0) return std::nullopt;
    const auto vector = static_cast<std::uint8_t>(highest_vector);
    if (vector >> 4 <= static_cast<int>(load(LocalApicRegister::PPR) >> 4)) return std::nullopt;
    const std::uint32_t bit = 1u << (vector % 32);
    bank_word(LocalApicRegister::IRR, vector).fetch_and(~bit, std::memory_order_seq_cst);
    auto& isr = bank_word(LocalApicRegister::ISR, vector); // only we write it: no locked instruction
    isr.store(isr.load(std::memory_order_relaxed) | bit, std::memory_order_relaxed);
    reconsider();
    return vector;
}

// PPR is the higher of TPR and the class of the highest vector in service. (§11.8.3.1)
void LocalApic::reconsider() {
    const std::uint32_t tpr = load(LocalApicRegister::TPR);
    const int in_service = highest(LocalApicRegister::ISR);
    const std::uint32_t service_class = in_service < 0 ? 0 : static_cast<std::uint32_t>(in_service) & 0xF0;
    store(LocalApicRegister::PPR, (tpr & 0xF0) >= service_class ? tpr : service_class);
    if (deliverable()) notify();
}

void LocalApic::end_of_interrupt() {
    const int in_service = highest(LocalApicRegister::ISR);
    if (in_service < 0) return;
    const auto vector = static_cast<std::uint8_t>(in_service);
    const std::uint32_t bit = 1u << (vector % 32);
    auto& isr = bank_word(LocalApicRegister::ISR, vector);
    isr.store(isr.load(std::memory_order_relaxed) & ~bit, std::memory_order_relaxed);
    if (bank_word(LocalApicRegister::TMR, vector).load(std::memory_order_relaxed) & bit) bus_.end_of_interrupt(vector);
    reconsider();
}

std::uint8_t LocalApic::task_priority_class() const {
    return static_cast<std::uint8_t>(load(LocalApicRegister::TPR) >> 4);
}

void LocalApic::set_task_priority_class(std::uint8_t priority) {
    store(LocalApicRegister::TPR, static_cast<std::uint32_t>(priority & 0xF) << 4);
    reconsider();
}

std::optional<spec::GuestAddress> LocalApic::page() const {
    if (!enabled() || in_x2apic_mode()) return std::nullopt;
    return spec::GuestAddress{base().raw & spec::apic::apic_base::kAddressMask};
}

void LocalApic::timer_expired() {
    const Lvt entry{load(LocalApicRegister::LVT_TIMER)};
    if (!entry.get(lvt::MASK)) accept_vector(entry.get(lvt::VECTOR), false);
}

// ID and LDR have another form in each mode. (§11.12.5.1, §11.12.10.2)
void LocalApic::store_identity() {
    const bool x2apic = in_x2apic_mode();
    store(LocalApicRegister::ID, x2apic ? config_.apic_id : config_.apic_id << 24);
    store(LocalApicRegister::LDR, x2apic ? spec::apic::x2apic_logical_id(config_.apic_id) : 0);
}

// §11.4.7.1, table 11-1
void LocalApic::reset_registers() {
    timer_.stop();
    timer_.set_periodic(false);
    for (auto& value : registers_) value.store(0, std::memory_order_relaxed);
    store_identity();
    store(LocalApicRegister::VERSION, spec::apic::kLocalApicVersion);
    store(LocalApicRegister::DFR, spec::apic::dfr::kReset);
    store(LocalApicRegister::SVR, spec::apic::svr::kReset);
    for (const auto name :
         {LocalApicRegister::LVT_TIMER, LocalApicRegister::LVT_THERMAL, LocalApicRegister::LVT_PERFORMANCE,
          LocalApicRegister::LVT_LINT0, LocalApicRegister::LVT_LINT1, LocalApicRegister::LVT_ERROR})
        store(name, lvt::kReset);
    errors_.store(0, std::memory_order_relaxed);
    attention_.store(true, std::memory_order_seq_cst); // a wire may be asserted all the same
}

void LocalApic::reset_by_init() { reset_registers(); }

void LocalApic::reset() {
    spec::apic::ApicBase value{spec::apic::apic_base::kDefaultAddress};
    value.set(spec::apic::apic_base::EN, true).set(spec::apic::apic_base::BSP, config_.bootstrap);
    apic_base_.store(value.raw, std::memory_order_relaxed);
    reset_registers();
    if (config_.bootstrap)
        store(LocalApicRegister::LVT_LINT0, Lvt{}.set(lvt::DELIVERY_MODE, DeliveryMode::kExtInt).raw);
}

migration::Record LocalApic::save() const {
    cpu::LocalApicState state;
    for (std::size_t i = 0; i < registers_.size(); ++i)
        state.registers[i] = registers_[i].load(std::memory_order_relaxed);
    state.registers[word_index(LocalApicRegister::CURRENT_COUNT)] = timer_.current_count();
    state.apic_base = base().raw;
    state.tsc_deadline = timer_.tsc_deadline();
    if (state.tsc_deadline == 0) state.timer_remaining_ns = timer_.remaining_ns();
    return migration::save_record(name_, state);
}

std::expected<void, migration::RestoreError> LocalApic::restore(const migration::Record& record) {
    const auto state = migration::load_record<cpu::LocalApicState>(record);
    if (!state) return std::unexpected(state.error());
    const spec::apic::ApicBase saved_base{state->apic_base};
    if (saved_base.get(spec::apic::apic_base::EXTD) && !saved_base.get(spec::apic::apic_base::EN))
        return std::unexpected(migration::RestoreError::kDamaged);

    apic_base_.store(state->apic_base, std::memory_order_relaxed);
    for (std::size_t i = 0; i < registers_.size(); ++i)
        registers_[i].store(state->registers[i], std::memory_order_relaxed);
    store(LocalApicRegister::VERSION, spec::apic::kLocalApicVersion);
    if (in_x2apic_mode())
        store_identity();
    else
        store(LocalApicRegister::ID, config_.apic_id << 24); // LDR stays as software wrote it
    errors_.store(0, std::memory_order_relaxed);

    const Lvt timer{load(LocalApicRegister::LVT_TIMER)};
    timer_.stop();
    if (timer.get(lvt::TIMER_MODE) == lvt::TimerMode::kTscDeadline) {
        timer_.set_periodic(false);
        arm_tsc_deadline(state->tsc_deadline);
    } else {
        timer_.resume(load(LocalApicRegister::INITIAL_COUNT),
                      spec::apic::timer_divisor(load(LocalApicRegister::DIVIDE_CONFIGURATION)),
                      timer.get(lvt::TIMER_MODE) == lvt::TimerMode::kPeriodic, state->timer_remaining_ns);
    }
    attention_.store(true, std::memory_order_seq_cst);
    reconsider();
    return {};
}

} // namespace touka::platform
