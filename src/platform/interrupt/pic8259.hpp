// One 8259A interrupt controller. (Intel 8259A datasheet, order number 231468-003)
// Absent: single mode (ICW1 SNGL) and ICW1 LTIM, which PCs replace by the ELCR; the 8080 mode of ICW4.
#pragma once

#include <cstdint>

#include "cpu/interrupt_chip_state.hpp"

namespace touka::platform {

/// The chip alone: PicPair has the lock, the wires between two of them and the ports.
class Pic8259 {
public:
    enum class Role : std::uint8_t { kMaster, kSlave };
    explicit Pic8259(Role role) : role_(role) { reset(); }

    /// An input's wire changed. @pre input < 8
    void set_input(unsigned input, bool asserted);
    /// The master's cascade input, which follows the slave's INT output without an edge latch.
    void set_cascade(bool asserted);
    /// INT output.
    [[nodiscard]] bool requests() const { return pending_input() >= 0; }
    /// INTA: the input that is served now; the spurious input 7 when none requests.
    [[nodiscard]] unsigned acknowledge();
    [[nodiscard]] std::uint8_t vector(unsigned input) const {
        return static_cast<std::uint8_t>(state_.vector_base | input);
    }

    /// @param odd the port with A0 = 1
    [[nodiscard]] std::uint8_t read(bool odd);
    void write(bool odd, std::uint8_t value);
    [[nodiscard]] std::uint8_t elcr() const { return state_.elcr; }
    void set_elcr(std::uint8_t value);

    /// As firmware leaves it, for kernels are started without any: all inputs masked. The wires keep their levels.
    void reset();
    [[nodiscard]] const cpu::PicState& state() const { return state_; }
    /// Fields that software could not have set so are cut to size.
    void set_state(const cpu::PicState& state);

private:
    /// The input to serve now; -1: none. (datasheet, "Fully nested mode", "Special mask mode")
    [[nodiscard]] int pending_input() const;
    /// 0 for the highest. @param bits nonzero
    [[nodiscard]] unsigned highest_priority(std::uint8_t bits) const;
    void initialize(std::uint8_t icw1);
    void write_initialization(std::uint8_t value);
    void write_ocw2(std::uint8_t value);
    void write_ocw3(std::uint8_t value);
    void end_of_interrupt(unsigned input) { state_.isr = static_cast<std::uint8_t>(state_.isr & ~(1u << input)); }
    [[nodiscard]] std::uint8_t elcr_mask() const;

    Role role_;
    cpu::PicState state_;
};

} // namespace touka::platform
