// A device whose configuration space is anything: its lists are followed to an end, and what is made of them can be
// read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "devices/passthrough/passthrough_function.hpp"
#include "devices/passthrough/test_transport.hpp"

using namespace touka;
using namespace touka::devices::passthrough;

namespace {

class NoSink final : public platform::MsiSink {
public:
    void send(const platform::MsiMessage&) override {}
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    platform::AddressSpace memory, ports; // outlive the function
    test::TestTransport transport;
    // Pairs of place and value change the space of a proper device.
    for (; size >= 3; data += 3, size -= 3) {
        const std::size_t at = data[0] | (data[1] & 0x0Fu) << 8;
        transport.config[at] = data[2];
        if ((data[1] & 0x80) != 0) break;
    }
    NoSink sink;
    runtime::Reactor reactor("fuzz");
    auto function = PassthroughFunction::create("fuzz", transport, sink, reactor);
    if (!function) return 0;
    (*function)->attach({.memory = &memory, .ports = &ports});
    for (; size >= 6; data += 6, size -= 6) {
        const std::uint32_t at = (data[0] | (data[1] & 0x0Fu) << 8) & ~3u;
        std::uint32_t value = 0;
        std::memcpy(&value, data + 2, 4);
        (*function)->write_config(at, 4, value);
        (void)(*function)->read_config(at, 4);
        for (const auto& bar : (*function)->bars()) {
            if (bar.length_bytes == 0) continue;
            bar.handler->write(value % (bar.length_bytes - 7), 8, value);
            (void)bar.handler->read(value % (bar.length_bytes - 7), 4);
        }
    }
    return 0;
}
