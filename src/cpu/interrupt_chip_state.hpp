// The states of the machine's interrupt and timer chips that exist twice: in software for the engines without chips
// of their own, in the kernel for KVM. One architectural form, so that a machine moves between engines.
// (82093AA I/O APIC datasheet, Intel 290566-001; 8259A datasheet, Intel 231468-003; 8254 datasheet, Intel 231164-005)
#pragma once

#include <array>
#include <cstdint>

namespace touka::cpu {

/// The I/O APIC at FEC0'0000h. Its 24 redirection entries carry Delivery Status (bit 12) as 0 and Remote IRR (bit 14)
/// as it stands. (82093AA §3.2.4)
struct IoApicState {
    static constexpr std::uint16_t kVersion = 1;
    std::uint64_t base_address = 0xFEC0'0000;
    std::uint8_t id = 0;               ///< IOAPICID bits 27:24
    std::uint32_t register_select = 0; ///< IOREGSEL
    std::uint32_t asserted_lines = 0;  ///< bit n: pin n's input is asserted, or an edge waits for its unmasking
    std::array<std::uint64_t, 24> redirection{};
    IoApicState() { redirection.fill(kMasked); }
    void describe(auto& archive) { archive(base_address, id, register_select, asserted_lines, redirection); }
    bool operator==(const IoApicState&) const = default;
    static constexpr std::uint64_t kMasked = 1u << 16;
};

/// One 8259A. Bit n of a byte is the chip's input n.
struct PicState {
    std::uint8_t irr = 0, imr = 0, isr = 0;
    std::uint8_t asserted_lines = 0;      ///< level of the inputs when last seen, for edge detection
    std::uint8_t lowest_priority = 7;     ///< the input that rotation has left with the lowest priority; 7 at reset
    std::uint8_t vector_base = 0;         ///< ICW2 T7..T3
    std::uint8_t icw3 = 0;                ///< master: inputs with a slave; slave: its identity
    std::uint8_t initialization_step = 0; ///< 0: initialized; 1, 2, 3: waits for ICW2, ICW3, ICW4
    bool icw4_expected = false;
    bool auto_eoi = false;
    bool rotate_on_auto_eoi = false;
    bool special_mask = false;
    bool special_fully_nested = false;
    bool read_isr = false; ///< OCW3 RR, RIS: the next read of the even port gives ISR, not IRR
    bool poll = false;     ///< OCW3 P: the next read is a poll
    std::uint8_t elcr = 0; ///< edge/level control (ports 4D0h, 4D1h): bit set is level
    void describe(auto& archive) {
        archive(irr, imr, isr, asserted_lines, lowest_priority, vector_base, icw3, initialization_step, icw4_expected,
                auto_eoi, rotate_on_auto_eoi, special_mask, special_fully_nested, read_isr, poll, elcr);
    }
    bool operator==(const PicState&) const = default;
};

/// Master and slave, cascaded through the master's input 2.
struct PicPairState {
    static constexpr std::uint16_t kVersion = 1;
    PicState master, slave;
    void describe(auto& archive) { archive(master, slave); }
    bool operator==(const PicPairState&) const = default;
};

/// One counter of the 8254, clocked at 1.193182 MHz.
struct PitChannelState {
    /// Order of the two bytes of a count. (8254 figure 7: RW1, RW0)
    enum class Access : std::uint8_t { kLatch = 0, kLow = 1, kHigh = 2, kLowThenHigh = 3 };

    std::uint32_t count = 0x1'0000; ///< as loaded: 1 ..= 10000h (BCD: in binary all the same, 1 ..= 10000)
    std::uint8_t mode = 0;          ///< 0 ..= 5
    bool bcd = false;
    Access access = Access::kLowThenHigh;
    bool gate = true;
    /// The counter works: a count was written and, in modes 1 and 5, a trigger came. Else it waits for that.
    bool counting = false;
    std::uint64_t elapsed_ns = 0; ///< since the count was loaded (mode 1, 5: since the trigger), when saved
    bool read_high_next = false;  ///< kLowThenHigh: the low byte was read already
    bool write_high_next = false; ///< kLowThenHigh: the low byte was written already, it is in write_low
    std::uint8_t write_low = 0;
    bool count_latched = false;
    std::uint16_t latched_count = 0;
    bool status_latched = false;
    std::uint8_t latched_status = 0;
    void describe(auto& archive) {
        archive(count, mode, bcd, access, gate, counting, elapsed_ns, read_high_next, write_high_next, write_low,
                count_latched, latched_count, status_latched, latched_status);
    }
    bool operator==(const PitChannelState&) const = default;
};

/// The 8254 and port 61h.
struct PitState {
    static constexpr std::uint16_t kVersion = 1;
    std::array<PitChannelState, 3> channels{};
    bool speaker_enabled = false;       ///< port 61h bit 1; bit 0 is channel 2's gate
    bool channel0_disconnected = false; ///< the HPET's legacy replacement has taken IRQ 0 over
    void describe(auto& archive) { archive(channels, speaker_enabled, channel0_disconnected); }
    bool operator==(const PitState&) const = default;
};

} // namespace touka::cpu
