// The local APIC's registers as its processor reads and writes them: through the page or as MSRs.
#include <limits>

#include "platform/interrupt/local_apic.hpp"
#include "spec/x86/msr.hpp"

namespace touka::platform {

using spec::apic::DeliveryMode;
using spec::apic::Icr;
using spec::apic::Lvt;
namespace lvt = spec::apic::lvt;
namespace msr = spec::x86::msr;

namespace {

constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;

/// Bits that a write in x2APIC mode may set; anything else is #GP. (SDM vol. 3 §11.12.1.3)
std::uint32_t x2apic_writable(spec::apic::LocalApicRegister name) {
    using spec::apic::LocalApicRegister;
    switch (name) {
        case LocalApicRegister::TPR:
        case LocalApicRegister::SELF_IPI: return 0xFF;
        case LocalApicRegister::SVR: return spec::apic::svr::kWritable;
        case LocalApicRegister::LVT_TIMER: return lvt::kTimerWritable | 1u << 12;
        case LocalApicRegister::LVT_THERMAL:
        case LocalApicRegister::LVT_PERFORMANCE: return lvt::kMonitorWritable | 1u << 12;
        case LocalApicRegister::LVT_LINT0:
        case LocalApicRegister::LVT_LINT1: return lvt::kLintWritable | 1u << 12 | 1u << 14;
        case LocalApicRegister::LVT_ERROR: return lvt::kErrorWritable | 1u << 12;
        case LocalApicRegister::INITIAL_COUNT: return ~0u;
        case LocalApicRegister::DIVIDE_CONFIGURATION: return spec::apic::kDivideWritable;
        default: return 0; // EOI and ESR take only zero
    }
}

} // namespace

std::optional<std::uint32_t> LocalApic::read_register(std::uint32_t offset) const {
    const auto name = static_cast<LocalApicRegister>(offset);
    switch (name) {
        case LocalApicRegister::CURRENT_COUNT: return timer_.current_count();
        case LocalApicRegister::ID:
        case LocalApicRegister::VERSION:
        case LocalApicRegister::TPR:
        case LocalApicRegister::PPR:
        case LocalApicRegister::LDR:
        case LocalApicRegister::SVR:
        case LocalApicRegister::ESR:
        case LocalApicRegister::ICR_LOW:
        case LocalApicRegister::LVT_TIMER:
        case LocalApicRegister::LVT_THERMAL:
        case LocalApicRegister::LVT_PERFORMANCE:
        case LocalApicRegister::LVT_LINT0:
        case LocalApicRegister::LVT_LINT1:
        case LocalApicRegister::LVT_ERROR:
        case LocalApicRegister::INITIAL_COUNT:
        case LocalApicRegister::DIVIDE_CONFIGURATION: return load(name);
        case LocalApicRegister::APR: // arbitration ended with the serial APIC bus
        case LocalApicRegister::RRD:
        case LocalApicRegister::EOI:
        case LocalApicRegister::DFR:
        case LocalApicRegister::ICR_HIGH:
            if (in_x2apic_mode()) return std::nullopt;
            return load(name);
        default: break;
    }
    const auto first = static_cast<std::uint32_t>(LocalApicRegister::ISR);
    const auto end = static_cast<std::uint32_t>(LocalApicRegister::IRR) + kWordsPerBank * 16;
    if (offset >= first && offset < end) return load(name);
    return std::nullopt;
}

bool LocalApic::write_register(LocalApicRegister name, std::uint32_t value) {
    switch (name) {
        case LocalApicRegister::TPR:
            store(name, value & 0xFF);
            reconsider();
            return true;
        case LocalApicRegister::EOI: end_of_interrupt(); return true;
        case LocalApicRegister::SVR: write_svr(value); return true;
        case LocalApicRegister::ESR: store(name, errors_.exchange(0, std::memory_order_relaxed)); return true;
        case LocalApicRegister::LVT_TIMER: write_lvt_timer(value); return true;
        case LocalApicRegister::LVT_THERMAL:
        case LocalApicRegister::LVT_PERFORMANCE: write_lvt(name, lvt::kMonitorWritable, value); return true;
        case LocalApicRegister::LVT_LINT0:
        case LocalApicRegister::LVT_LINT1:
            write_lvt(name, lvt::kLintWritable, value);
            reconsider();
            return true;
        case LocalApicRegister::LVT_ERROR: write_lvt(name, lvt::kErrorWritable, value); return true;
        case LocalApicRegister::INITIAL_COUNT:
            // Writes are ignored in TSC-deadline mode (§11.5.4.1).
            if (Lvt{load(LocalApicRegister::LVT_TIMER)}.get(lvt::TIMER_MODE) == lvt::TimerMode::kTscDeadline)
                return true;
            store(name, value);
            timer_.start(value, spec::apic::timer_divisor(load(LocalApicRegister::DIVIDE_CONFIGURATION)));
            return true;
        case LocalApicRegister::DIVIDE_CONFIGURATION:
            store(name, value & spec::apic::kDivideWritable);
            timer_.set_divisor(spec::apic::timer_divisor(value));
            return true;
        default: return false;
    }
}

std::uint32_t LocalApic::read_page(std::uint32_t offset) {
    if (offset % spec::apic::kLocalApicRegisterStride != 0) return 0;
    const auto value = read_register(offset);
    if (!value) report_error(spec::apic::esr::ILLEGAL_REGISTER_ADDRESS);
    return value.value_or(0);
}

void LocalApic::write_page(std::uint32_t offset, std::uint32_t value) {
    if (offset % spec::apic::kLocalApicRegisterStride != 0) return;
    const auto name = static_cast<LocalApicRegister>(offset);
    switch (name) {
        case LocalApicRegister::LDR: store(name, value & 0xFF00'0000); return;
        case LocalApicRegister::DFR: store(name, value | spec::apic::dfr::kReservedOnes); return;
        case LocalApicRegister::ICR_HIGH: store(name, value & 0xFF00'0000); return;
        case LocalApicRegister::ICR_LOW: {
            const Icr icr{std::uint64_t{load(LocalApicRegister::ICR_HIGH)} << 32 |
                          (value & spec::apic::icr::kWritableLow)};
            const std::uint32_t destination = icr.get(spec::apic::icr::DESTINATION_8);
            const bool broadcast =
                destination == spec::apic::kBroadcast8 && !icr.get(spec::apic::icr::DESTINATION_MODE);
            write_icr(icr, broadcast ? spec::apic::kBroadcast32 : destination);
            return;
        }
        case LocalApicRegister::ID: return; // fixed: it is also what CPUID says
        default:
            if (write_register(name, value) || read_register(offset)) return; // writes to read-only ones vanish
            report_error(spec::apic::esr::ILLEGAL_REGISTER_ADDRESS);
    }
}

void LocalApic::write_icr(Icr icr, std::uint32_t destination) {
    store(LocalApicRegister::ICR_LOW, static_cast<std::uint32_t>(icr.raw));
    store(LocalApicRegister::ICR_HIGH, static_cast<std::uint32_t>(icr.raw >> 32));
    const auto mode = icr.get(spec::apic::icr::DELIVERY_MODE);
    const bool by_vector = mode == DeliveryMode::kFixed || mode == DeliveryMode::kLowestPriority;
    if (by_vector && icr.get(spec::apic::icr::VECTOR) < spec::apic::kFirstLegalVector)
        return report_error(spec::apic::esr::SEND_ILLEGAL_VECTOR);
    // INIT level de-assert synchronised arbitration IDs long ago; nothing happens (§11.6.1).
    if (mode == DeliveryMode::kInit && icr.get(spec::apic::icr::TRIGGER_MODE) && !icr.get(spec::apic::icr::LEVEL))
        return;
    bus_.send_ipi(*this, icr, destination);
}

void LocalApic::write_svr(std::uint32_t value) {
    store(LocalApicRegister::SVR, value & spec::apic::svr::kWritable);
    if (software_enabled()) return;
    // §11.4.7.2: the masks of all entries are set and stay so while it is disabled.
    for (const auto name :
         {LocalApicRegister::LVT_TIMER, LocalApicRegister::LVT_THERMAL, LocalApicRegister::LVT_PERFORMANCE,
          LocalApicRegister::LVT_LINT0, LocalApicRegister::LVT_LINT1, LocalApicRegister::LVT_ERROR})
        store(name, Lvt{load(name)}.set(lvt::MASK, true).raw);
}

void LocalApic::write_lvt(LocalApicRegister name, std::uint32_t writable, std::uint32_t value) {
    Lvt entry{value & writable};
    if (!software_enabled()) entry.set(lvt::MASK, true);
    store(name, entry.raw);
}

void LocalApic::write_lvt_timer(std::uint32_t value) {
    const auto before = Lvt{load(LocalApicRegister::LVT_TIMER)}.get(lvt::TIMER_MODE);
    write_lvt(LocalApicRegister::LVT_TIMER, lvt::kTimerWritable, value);
    const auto after = Lvt{value}.get(lvt::TIMER_MODE);
    if (before == after) return;
    // Into and out of TSC-deadline mode the timer is disarmed (§11.5.4.1); else the count goes on.
    if (before == lvt::TimerMode::kTscDeadline || after == lvt::TimerMode::kTscDeadline) {
        timer_.stop();
        store(LocalApicRegister::INITIAL_COUNT, 0);
    }
    timer_.set_periodic(after == lvt::TimerMode::kPeriodic);
}

void LocalApic::write_tsc_deadline(std::uint64_t deadline) {
    const Lvt entry{load(LocalApicRegister::LVT_TIMER)};
    if (entry.get(lvt::TIMER_MODE) != lvt::TimerMode::kTscDeadline) return;
    arm_tsc_deadline(deadline);
}

void LocalApic::arm_tsc_deadline(std::uint64_t deadline) {
    if (deadline == 0) return timer_.stop();
    const std::uint64_t now = guest_tsc_ ? guest_tsc_() : 0;
    if (deadline <= now) { // at once, without the way over the reactor
        timer_.stop();
        return timer_expired();
    }
    using Wide = unsigned __int128;
    const Wide delay_ns = (static_cast<Wide>(deadline - now) * kNanosecondsPerSecond + config_.tsc_frequency_hz - 1) /
                          config_.tsc_frequency_hz;
    const Wide most = std::numeric_limits<std::uint64_t>::max();
    timer_.start_deadline(deadline, static_cast<std::uint64_t>(delay_ns < most ? delay_ns : most));
}

std::optional<std::uint64_t> LocalApic::read_msr(std::uint32_t index) {
    if (index == msr::kApicBase) return base().raw;
    if (index == msr::kTscDeadline) return timer_.tsc_deadline();
    if (index < msr::kX2apicFirst || index > msr::kX2apicLast || !in_x2apic_mode()) return std::nullopt;
    const std::uint32_t offset = (index - spec::apic::kX2apicMsrBase) * spec::apic::kLocalApicRegisterStride;
    if (offset == static_cast<std::uint32_t>(LocalApicRegister::ICR_LOW))
        return std::uint64_t{load(LocalApicRegister::ICR_HIGH)} << 32 | load(LocalApicRegister::ICR_LOW);
    const auto value = read_register(offset);
    if (!value) return std::nullopt;
    return *value;
}

bool LocalApic::write_msr(std::uint32_t index, std::uint64_t value) {
    if (index == msr::kApicBase) return write_apic_base(value);
    if (index == msr::kTscDeadline) {
        write_tsc_deadline(value);
        return true;
    }
    if (index < msr::kX2apicFirst || index > msr::kX2apicLast || !in_x2apic_mode()) return false;
    return write_x2apic((index - spec::apic::kX2apicMsrBase) * spec::apic::kLocalApicRegisterStride, value);
}

bool LocalApic::write_x2apic(std::uint32_t offset, std::uint64_t value) {
    const auto name = static_cast<LocalApicRegister>(offset);
    if (name == LocalApicRegister::ICR_LOW) {
        if (value & spec::apic::icr::kReservedLow) return false;
        const Icr icr{value & (0xFFFF'FFFF'0000'0000 | spec::apic::icr::kWritableLow)};
        write_icr(icr, icr.get(spec::apic::icr::DESTINATION_32));
        return true;
    }
    if (value & ~std::uint64_t{x2apic_writable(name)}) return false;
    if (name == LocalApicRegister::SELF_IPI) {
        const auto vector = static_cast<std::uint8_t>(value);
        if (vector < spec::apic::kFirstLegalVector)
            report_error(spec::apic::esr::SEND_ILLEGAL_VECTOR);
        else
            accept_vector(vector, false);
        return true;
    }
    return write_register(name, static_cast<std::uint32_t>(value));
}

// The three modes and the ways between them. (§11.12.5 figure 11-27)
bool LocalApic::write_apic_base(std::uint64_t value) {
    using namespace spec::apic;
    const ApicBase from = base();
    ApicBase to{value};
    constexpr std::uint64_t kDefined = apic_base::kAddressMask | 0xD00;
    if (value & ~kDefined) return false;
    const bool to_x2apic = to.get(apic_base::EXTD);
    if (to_x2apic && !to.get(apic_base::EN)) return false;
    if (to_x2apic && !from.get(apic_base::EN)) return false;                            // disabled to x2APIC
    if (from.get(apic_base::EXTD) && !to_x2apic && to.get(apic_base::EN)) return false; // x2APIC to xAPIC
    to.set(apic_base::BSP, config_.bootstrap);
    apic_base_.store(to.raw, std::memory_order_relaxed);
    if (from.get(apic_base::EN) != to.get(apic_base::EN)) {
        reset_registers(); // after EN has been cleared, all state is lost (§11.4.3)
    } else if (to_x2apic && !from.get(apic_base::EXTD)) {
        store_identity();
        store(LocalApicRegister::ICR_HIGH, 0); // §11.12.5.1
    }
    reconsider();
    return true;
}

} // namespace touka::platform
