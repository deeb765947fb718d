// Any sequence of accesses to the configuration space, the ports and the BARs of a root with one function on it and one
// behind a port, which comes and goes.
// An input is a list of 8-byte steps: what, width, 16 bits of place, 32 bits of value.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#include "platform/pci/pci_root.hpp"
#include "platform/pci/test_function.hpp"

namespace {

using namespace touka::platform;

struct Step {
    std::uint8_t what;
    std::uint8_t width;
    std::uint16_t place;
    std::uint32_t value;
};
static_assert(sizeof(Step) == 8);

class Machine {
public:
    Machine() {
        (void)root_.plug({0, 3, 0}, function_);
        (void)root_.plug_port({0, 4, 0}, port_);
        (void)root_.plug(port_, 0, card_);
    }
    ~Machine() {
        root_.unplug({0, 3, 0});
        root_.unplug(port_, 0);
    }

    void run(const Step& step) {
        const unsigned width = 1u << (step.width % 4);
        const std::uint64_t value = step.value * 0x1'0000'0001ull;
        switch (step.what % 10) {
            case 0: memory_.write(kFunction + step.place % 4096, width, value); break;
            case 1: (void)memory_.read(kFunction + step.place % 4096, width); break;
            case 2: memory_.write(kEcamBase + step.place * 64ull, width, value); break;
            case 3: ports_.write(static_cast<std::uint16_t>(0xCF8 + step.place % 8), width % 8, value); break;
            case 4: (void)ports_.read(static_cast<std::uint16_t>(0xCF8 + step.place % 8), width % 8); break;
            case 5: memory_.write(step.value, width, step.place); break;
            case 6: restore(step); break;
            case 7: function_.raise(step.place); break;
            case 8: memory_.write(kPort + step.place % 4096, width, value); break;
            default: move_card(step.place); break;
        }
    }

private:
    void move_card(std::uint16_t how) {
        if (how % 5 == 0) root_.unplug(port_, 0);
        if (how % 5 == 1) (void)root_.plug(port_, 0, card_);
        if (how % 5 == 2) root_.request_removal(port_);
        if (how % 5 == 3) root_.silence(port_);
        if (how % 5 == 4) root_.show_removal(port_);
    }

    /// A saved state with one byte changed: it is refused, or gives a function that can be saved again.
    void restore(const Step& step) {
        auto record = function_.save();
        record.bytes[step.value % record.bytes.size()] ^= static_cast<std::byte>(step.place);
        if (function_.restore(record) && !function_.restore(function_.save())) std::abort();
    }

    static constexpr std::uint64_t kFunction = kEcamBase + (3 << 15), kPort = kEcamBase + (4 << 15);
    AddressSpace memory_, ports_;
    test::TestFunction function_, card_{"test@01:00.0"};
    test::NullSink sink_;
    RootPort port_{"root-port@00:04.0", 1, sink_, [] {}};
    PciRoot root_{memory_, ports_, PciRootConfig{}};
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Machine machine;
    for (; size >= sizeof(Step); data += sizeof(Step), size -= sizeof(Step)) {
        Step step;
        std::memcpy(&step, data, sizeof step);
        machine.run(step);
    }
    return 0;
}
