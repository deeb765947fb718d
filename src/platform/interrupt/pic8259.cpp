#include "platform/interrupt/pic8259.hpp"

#include "spec/pic/i8259.hpp"

namespace touka::platform {

namespace pic = spec::pic;

std::uint8_t Pic8259::elcr_mask() const { return role_ == Role::kMaster ? pic::kMasterElcrMask : pic::kSlaveElcrMask; }

void Pic8259::set_input(unsigned input, bool asserted) {
    const auto bit = static_cast<std::uint8_t>(1u << input);
    const auto without = static_cast<std::uint8_t>(~bit);
    const bool was_asserted = state_.asserted_lines & bit;
    state_.asserted_lines = asserted ? state_.asserted_lines | bit : state_.asserted_lines & without;
    if (state_.elcr & bit) {
        state_.irr = asserted ? state_.irr | bit : state_.irr & without;
    } else if (asserted && !was_asserted) {
        state_.irr |= bit; // stays latched although the line may fall before INTA: devices here pulse their lines
    }
}

void Pic8259::set_cascade(bool asserted) {
    const auto bit = static_cast<std::uint8_t>(1u << pic::kCascadeInput);
    state_.irr = static_cast<std::uint8_t>(asserted ? state_.irr | bit : state_.irr & ~bit);
}

unsigned Pic8259::highest_priority(std::uint8_t bits) const {
    unsigned priority = 0;
    while (!(bits & (1u << ((state_.lowest_priority + 1u + priority) % pic::kInputCount)))) ++priority;
    return priority;
}

int Pic8259::pending_input() const {
    if (state_.initialization_step != 0) return -1;
    const auto requests = static_cast<std::uint8_t>(state_.irr & ~state_.imr);
    if (requests == 0) return -1;
    std::uint8_t in_service = state_.isr;
    if (state_.special_mask) in_service = static_cast<std::uint8_t>(in_service & ~state_.imr);
    // A slave in service does not keep its own more important inputs waiting in special fully nested mode.
    if (state_.special_fully_nested && role_ == Role::kMaster)
        in_service = static_cast<std::uint8_t>(in_service & ~(1u << pic::kCascadeInput));
    const unsigned requested = highest_priority(requests);
    if (in_service != 0 && requested >= highest_priority(in_service)) return -1;
    return static_cast<int>((state_.lowest_priority + 1u + requested) % pic::kInputCount);
}

unsigned Pic8259::acknowledge() {
    const int pending = pending_input();
    if (pending < 0) return pic::kSpuriousInput;
    const auto input = static_cast<unsigned>(pending);
    const auto bit = static_cast<std::uint8_t>(1u << input);
    if (!(state_.elcr & bit)) state_.irr = static_cast<std::uint8_t>(state_.irr & ~bit);
    if (!state_.auto_eoi)
        state_.isr |= bit;
    else if (state_.rotate_on_auto_eoi)
        state_.lowest_priority = static_cast<std::uint8_t>(input);
    return input;
}

std::uint8_t Pic8259::read(bool odd) {
    if (state_.poll) {
        state_.poll = false;
        if (!requests()) return 0;
        return static_cast<std::uint8_t>(pic::kPollInterrupt | acknowledge());
    }
    if (odd) return state_.imr;
    return state_.read_isr ? state_.isr : state_.irr;
}

void Pic8259::write(bool odd, std::uint8_t value) {
    if (odd) {
        if (state_.initialization_step == 0)
            state_.imr = value;
        else
            write_initialization(value);
    } else if (pic::Icw1{value}.get(pic::icw1::D4)) {
        initialize(value);
    } else if (pic::Ocw3{value}.get(pic::ocw3::D3)) {
        write_ocw3(value);
    } else {
        write_ocw2(value);
    }
}

void Pic8259::initialize(std::uint8_t icw1) {
    state_.irr &= static_cast<std::uint8_t>(state_.elcr & state_.asserted_lines); // edge latches are cleared
    state_.imr = 0;
    state_.isr = 0;
    state_.lowest_priority = 7;
    state_.special_mask = false;
    state_.read_isr = false;
    state_.poll = false;
    state_.rotate_on_auto_eoi = false;
    state_.icw4_expected = pic::Icw1{icw1}.get(pic::icw1::IC4);
    if (!state_.icw4_expected) {
        state_.auto_eoi = false;
        state_.special_fully_nested = false;
    }
    state_.initialization_step = 1;
}

void Pic8259::write_initialization(std::uint8_t value) {
    switch (state_.initialization_step) {
        case 1:
            state_.vector_base = value & pic::kVectorBaseMask;
            state_.initialization_step = 2;
            break;
        case 2:
            state_.icw3 = value;
            state_.initialization_step = state_.icw4_expected ? 3 : 0;
            break;
        default:
            state_.auto_eoi = pic::Icw4{value}.get(pic::icw4::AEOI);
            state_.special_fully_nested = pic::Icw4{value}.get(pic::icw4::SFNM);
            state_.initialization_step = 0;
            break;
    }
}

void Pic8259::write_ocw2(std::uint8_t value) {
    const pic::Ocw2 ocw2{value};
    const std::uint8_t level = ocw2.get(pic::ocw2::L);
    const bool specific = ocw2.get(pic::ocw2::SL);
    const bool rotate = ocw2.get(pic::ocw2::R);
    if (!ocw2.get(pic::ocw2::EOI)) {
        if (!specific)
            state_.rotate_on_auto_eoi = rotate;
        else if (rotate)
            state_.lowest_priority = level; // set priority command
        return;
    }
    unsigned input = level;
    if (!specific) {
        // In special mask mode a masked interrupt in service is not the one that ended.
        std::uint8_t in_service = state_.isr;
        if (state_.special_mask) in_service = static_cast<std::uint8_t>(in_service & ~state_.imr);
        if (in_service == 0) return;
        input = (state_.lowest_priority + 1u + highest_priority(in_service)) % pic::kInputCount;
    }
    end_of_interrupt(input);
    if (rotate) state_.lowest_priority = static_cast<std::uint8_t>(input);
}

void Pic8259::write_ocw3(std::uint8_t value) {
    const pic::Ocw3 ocw3{value};
    if (ocw3.get(pic::ocw3::ESMM)) state_.special_mask = ocw3.get(pic::ocw3::SMM);
    if (ocw3.get(pic::ocw3::P)) state_.poll = true;
    if (ocw3.get(pic::ocw3::RR)) state_.read_isr = ocw3.get(pic::ocw3::RIS);
}

void Pic8259::set_elcr(std::uint8_t value) {
    state_.elcr = value & elcr_mask();
    // A level-triggered request is the wire itself.
    const auto follows = static_cast<std::uint8_t>(state_.irr & ~state_.elcr);
    state_.irr = static_cast<std::uint8_t>(follows | (state_.elcr & state_.asserted_lines));
}

void Pic8259::reset() {
    const std::uint8_t lines = state_.asserted_lines;
    state_ = {};
    state_.asserted_lines = lines;
    state_.imr = 0xFF;
}

void Pic8259::set_state(const cpu::PicState& state) {
    state_ = state;
    state_.lowest_priority %= pic::kInputCount;
    state_.vector_base &= pic::kVectorBaseMask;
    state_.initialization_step &= 3;
    state_.elcr &= elcr_mask();
}

} // namespace touka::platform
