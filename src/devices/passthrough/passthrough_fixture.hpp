// A passed-through function on a bus, with a TestTransport behind it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "devices/passthrough/passthrough_function.hpp"
#include "devices/passthrough/test_transport.hpp"
#include "platform/pci/pci_root.hpp"
#include "platform/recording_wires.hpp"

namespace touka::devices::passthrough::test {

class Sink final : public platform::MsiSink {
public:
    void send(const platform::MsiMessage& message) override { messages.lock()->push_back(message); }
    std::vector<platform::MsiMessage> all() { return *messages.lock(); }
    [[nodiscard]] std::unique_ptr<platform::MsiWire> make_wire(int event) override {
        return kernel == nullptr ? nullptr : kernel->make_wire(event);
    }
    runtime::Guarded<std::vector<platform::MsiMessage>> messages;
    platform::RecordingWires* kernel = nullptr; ///< not null: it has wires
};

class Line final : public platform::InterruptLine {
public:
    void set(bool asserted) override { level = asserted; }
    std::atomic<bool> level{false};
};

inline constexpr platform::PciAddress kPlace{0, 3, 0};

class PassthroughTest : public testing::Test {
protected:
    void SetUp() override { start(); }
    void TearDown() override {
        root_.unplug(kPlace);
        function_.reset();
    }
    void start() {
        root_.unplug(kPlace);
        function_.reset();
        auto made =
            PassthroughFunction::create("nvme", transport_, sink_, reactor_, {.processors = &processors_, .rom = rom_});
        ASSERT_TRUE(made) << made.error();
        function_ = std::move(*made);
        function_->set_intx_wait(60'000'000'000); // none of the tests' business, but for one
        ASSERT_TRUE(root_.plug(kPlace, *function_));
        bar_ = read(0x10, 4) & ~0xFu;
        write(4, 2, 0x0006); // memory, bus master
    }
    platform::PciRootConfig config() {
        platform::PciRootConfig result;
        for (unsigned i = 0; i < platform::kPciGsiCount; ++i) result.interrupt_inputs[i] = &lines_[i];
        return result;
    }
    std::uint32_t read(std::uint32_t offset, unsigned width) { return root_.read_config(kPlace, offset, width); }
    void write(std::uint32_t offset, unsigned width, std::uint32_t value) {
        root_.write_config(kPlace, offset, width, value);
    }
    void settle() {
        reactor_.run_and_wait([] {});
    }
    void fire(std::uint32_t index, std::uint32_t number) {
        EXPECT_TRUE(transport_.fire(index, number));
        for (int i = 0; i < 3; ++i) settle();
    }
    bool intx() {
        return std::ranges::any_of(lines_, [](const Line& line) { return line.level.load(); });
    }
    void set_up_vector(std::uint32_t vector) {
        const std::uint64_t at = bar_ + TestTransport::kTable + 16 * vector;
        memory_.write(at, 8, 0xFEE0'1000);
        memory_.write(at + 8, 4, vector);
        memory_.write(at + 12, 4, 0);
    }

    platform::AddressSpace memory_, ports_;
    std::array<Line, platform::kPciGsiCount> lines_;
    platform::PciRoot root_{memory_, ports_, config()};
    TestTransport transport_;
    std::array<memory::RamRange, 1> ram_{memory::RamRange{memory::GuestAddress{0}, 0x10'0000, 0}};
    memory::DeviceMemoryMap processors_{ram_};
    std::vector<std::byte> rom_;
    Sink sink_;
    runtime::Reactor reactor_{"test"};
    std::unique_ptr<PassthroughFunction> function_;
    std::uint64_t bar_ = 0;
};

} // namespace touka::devices::passthrough::test
