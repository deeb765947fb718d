#include "platform/interrupt/pic_pair.hpp"

#include "spec/pic/i8259.hpp"

namespace touka::platform {

namespace pic = spec::pic;

PicPair::PicPair(InterruptLine& output) : output_(output) {}

void PicPair::propagate() {
    master_.set_cascade(slave_.requests());
    const bool requests = master_.requests();
    if (requests == output_asserted_) return;
    output_asserted_ = requests;
    output_.set(requests);
}

void PicPair::set_irq(unsigned irq, bool asserted) {
    if (irq == pic::kCascadeInput) return;
    const std::scoped_lock lock(mutex_);
    Pic8259& chip = irq < pic::kInputCount ? master_ : slave_;
    chip.set_input(irq % pic::kInputCount, asserted);
    propagate();
}

std::uint8_t PicPair::acknowledge() {
    const std::scoped_lock lock(mutex_);
    // A wire that fell in between leaves the spurious input 7 of the chip that was asked.
    const bool from_slave = master_.requests();
    const unsigned input = master_.acknowledge();
    const bool cascaded = from_slave && input == pic::kCascadeInput;
    const std::uint8_t vector = cascaded ? slave_.vector(slave_.acknowledge()) : master_.vector(input);
    propagate();
    return vector;
}

std::uint8_t PicPair::ChipPorts::read_byte(std::uint64_t offset) {
    const std::scoped_lock lock(pair_.mutex_);
    const std::uint8_t value = chip_.read(offset != 0);
    pair_.propagate(); // a poll acknowledges
    return value;
}

void PicPair::ChipPorts::write_byte(std::uint64_t offset, std::uint8_t value) {
    const std::scoped_lock lock(pair_.mutex_);
    chip_.write(offset != 0, value);
    pair_.propagate();
}

std::uint8_t PicPair::ElcrPorts::read_byte(std::uint64_t offset) {
    const std::scoped_lock lock(pair_.mutex_);
    return offset == 0 ? pair_.master_.elcr() : pair_.slave_.elcr();
}

void PicPair::ElcrPorts::write_byte(std::uint64_t offset, std::uint8_t value) {
    const std::scoped_lock lock(pair_.mutex_);
    (offset == 0 ? pair_.master_ : pair_.slave_).set_elcr(value);
    pair_.propagate();
}

void PicPair::reset() {
    const std::scoped_lock lock(mutex_);
    master_.reset();
    slave_.reset();
    propagate();
}

migration::Record PicPair::save() const {
    const std::scoped_lock lock(mutex_);
    return migration::save_record("pic", cpu::PicPairState{master_.state(), slave_.state()});
}

std::expected<void, migration::RestoreError> PicPair::restore(const migration::Record& record) {
    const auto state = migration::load_record<cpu::PicPairState>(record);
    if (!state) return std::unexpected(state.error());
    const std::scoped_lock lock(mutex_);
    master_.set_state(state->master);
    slave_.set_state(state->slave);
    propagate();
    output_.set(output_asserted_); // whoever listens may have been restored to something else
    return {};
}

} // namespace touka::platform
