// A client that sends anything: the input is a list of messages, each with a descriptor of some kind or none, most
// after a correct introduction. Whatever came, the process lives, and the next client finds the function reset.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "devices/passthrough/vfio_user/test_client.hpp"

using namespace touka;
using namespace touka::devices::passthrough;

namespace {

/// Before each message of the input.
struct Step {
    std::uint8_t command;
    std::uint8_t descriptor;
    std::uint8_t flags;
    std::uint8_t payload_bytes;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    test::TestServer server(std::chrono::milliseconds(1));
    {
        test::TestClient client(server.connect());
        auto ram = runtime::SharedMapping::create("ram", 0x10000).value();
        const runtime::Notification event;
        if (size > 0 && (*data & 1) != 0 && !client.introduce()) std::abort();
        while (size >= sizeof(Step)) {
            Step step;
            std::memcpy(&step, data, sizeof step);
            data += sizeof step;
            size -= sizeof step;
            const std::size_t length = std::min<std::size_t>(step.payload_bytes, size);
            std::vector<int> descriptors;
            if (step.descriptor % 4 == 1) descriptors.push_back(ram.first.get());
            if (step.descriptor % 4 == 2) descriptors.assign(step.descriptor / 4, event.fd());
            if (step.descriptor % 4 == 3) descriptors.push_back(2);
            if (descriptors.size() > 64) descriptors.resize(64);
            client.send(static_cast<Command>(step.command), std::as_bytes(std::span(data, length)), descriptors,
                        step.flags & 0x31u);
            data += length;
            size -= length;
            server.reactor.run_and_wait([] {});
        }
    }
    server.wait_until_idle();
    test::TestClient next(server.connect());
    if (!next.introduce()) std::abort();
    if (next.read<std::uint16_t>(spec::vfio::VFIO_PCI_CONFIG_REGION_INDEX, 4) != 0) std::abort();
    if (server.space.grant_count() != 0) std::abort();
    return 0;
}
