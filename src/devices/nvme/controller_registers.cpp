#include "devices/nvme/controller.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;

namespace {

std::uint64_t capabilities() {
    Cap cap;
    cap.set(cap::MQES, static_cast<std::uint16_t>(Controller::kQueueEntries - 1))
        .set(cap::CQR, true)
        .set(cap::AMS, cap::kWeightedRoundRobin)
        .set(cap::TO, std::uint8_t{60}) // 30 s: a reset waits for the volumes
        .set(cap::CSS, static_cast<std::uint8_t>(cap::kNvmCommandSet | cap::kCommandSets))
        .set(cap::MPSMAX, Controller::kMaximumPageShift)
        .set(cap::CRMS, cap::kReadyWithMedia);
    return cap.raw;
}
constexpr std::uint32_t kReadyTimeout = 60; // CRTO.CRWMT, in 500 ms

/// `old` with `width_bytes` at `shift` bits replaced.
template <class Word>
Word merged(Word old, std::uint64_t value, unsigned byte, unsigned width_bytes) {
    if (width_bytes == 8) return static_cast<Word>(value);
    const std::uint64_t mask = std::uint64_t{0xFFFF'FFFF} << (8 * byte);
    return static_cast<Word>((old & ~mask) | (value << (8 * byte) & mask));
}

} // namespace

std::uint64_t Controller::read_register(std::uint32_t at, unsigned width_bytes) const {
    const auto word = [this](std::uint32_t offset) -> std::uint64_t {
        if (!online_.load()) { // a secondary controller without resources: only this says something (§8.26.3)
            Csts status;
            return offset == (offset::CSTS & ~7u) ? std::uint64_t{status.set(csts::CFS, true).raw} << 32 : 0;
        }
        const RegisterFile registers = *registers_.lock();
        switch (offset) {
            case offset::CAP: return capabilities();
            case offset::VS: return kVersion20 | std::uint64_t{registers.interrupt_mask} << 32;
            case offset::INTMC: return registers.interrupt_mask | std::uint64_t{registers.cc} << 32;
            case offset::CSTS & ~7u: return std::uint64_t{registers.csts} << 32;
            case offset::NSSR: return std::uint64_t{registers.aqa} << 32; // NSSR reads 0
            case offset::ASQ: return registers.asq;
            case offset::ACQ: return registers.acq;
            case offset::CRTO: return kReadyTimeout;
            default: return 0;
        }
    };
    const std::uint64_t value = word(at & ~7u) >> (8 * (at & 7));
    return width_bytes >= 8 ? value : value & ((std::uint64_t{1} << (8 * width_bytes)) - 1);
}

void Controller::write_register(std::uint32_t at, unsigned width_bytes, std::uint64_t value) {
    // Accesses of other sizes, or across registers, are not the driver's to make. (PCIe Transport 1.0 §3.1)
    if ((width_bytes != 4 && width_bytes != 8) || at % width_bytes != 0 || !online_.load()) return;
    const unsigned byte = at & 4;
    bool control_written = false;
    {
        auto registers = registers_.lock();
        const bool enabled = Cc{registers->cc}.get(cc::EN);
        const auto write = [&](std::uint32_t offset, std::uint32_t raw) {
            switch (offset) {
                case offset::INTMS: registers->interrupt_mask |= raw; break;
                case offset::INTMC: registers->interrupt_mask &= ~raw; break;
                case offset::CC: {
                    // Fields that the queues depend on hold still while enabled. (§3.1.3.5)
                    const std::uint32_t writable = enabled ? cc::kWritableWhenEnabled : cc::kWritable;
                    registers->cc = (registers->cc & ~writable) | (raw & writable);
                    control_written = true;
                    break;
                }
                case offset::AQA:
                    if (!enabled) registers->aqa = raw & aqa::kWritable;
                    break;
                default: break;
            }
        };
        if (at >= offset::ASQ && at < offset::ACQ + 8) {
            std::uint64_t& base = at < offset::ACQ ? registers->asq : registers->acq;
            if (!enabled) base = merged(base, value, byte, width_bytes) & kQueueBaseMask;
        } else {
            write(at, static_cast<std::uint32_t>(value));
            if (width_bytes == 8) write(at + 4, static_cast<std::uint32_t>(value >> 32));
        }
    }
    if (control_written) context_.reactor.post([this] { registers_changed(); });
    if (at <= offset::INTMC) context_.reactor.post([this] { update_pin(); });
}

void Controller::ring(std::size_t index, std::uint32_t value) {
    if (index >= doorbells_.count() || !online_.load()) return;
    doorbells_.ring(index, value);
    wake();
}

void Controller::use_doorbells(std::span<std::uint32_t> words) {
    context_.reactor.run_and_wait([this, words] { doorbells_.move_to(words); });
}

void Controller::settle() {
    context_.reactor.run_and_wait([this] { work(); });
}

void Controller::when_settled(std::function<void()> then) {
    context_.reactor.post([this, then = std::move(then)] {
        work();
        then();
    });
}

void Controller::wake() {
    if (!waking_.exchange(true)) wake_.signal();
}

} // namespace touka::devices::nvme
