#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>

#include "platform/interrupt_line.hpp"

namespace touka::platform {

/// Numbers of global system interrupts on this machine: ISA interrupt n is GSI n for n < 16 (the timer's, too: GSI 0
/// goes to I/O APIC pin 2, as the MADT says), PCI INTA#..INTD# use 16 to 23.
inline constexpr std::uint32_t kGsiCount = 24;

/// The wires of the machine: any number of devices on each, asserted while one of them asserts it.
/// set() of its lines is any thread; one lock, which is held during `output` so that levels arrive in order. It comes
/// after the locks of devices and before those of the interrupt controllers.
class GsiLines {
public:
    /// @param output puts a level on a GSI: of the software chips (InterruptChips::set_gsi) or the kernel's.
    explicit GsiLines(std::function<void(std::uint32_t gsi, bool asserted)> output);
    /// A device's end of the wire, not asserted; lives as long as this. While the machine is built.
    /// @pre gsi < kGsiCount
    [[nodiscard]] InterruptLine& add_source(std::uint32_t gsi);

private:
    class Source final : public InterruptLine {
    public:
        Source(GsiLines& lines, std::uint32_t gsi) : lines_(lines), gsi_(gsi) {}
        void set(bool asserted) override;

    private:
        GsiLines& lines_;
        std::uint32_t gsi_;
        std::atomic<bool> asserted_{false}; // written with lines_.mutex_; read without to see that nothing changes
    };

    std::function<void(std::uint32_t, bool)> output_;
    std::mutex mutex_;
    std::array<std::uint32_t, kGsiCount> asserted_count_{};
    std::deque<Source> sources_; // a deque, for references to its elements stay valid
};

} // namespace touka::platform
