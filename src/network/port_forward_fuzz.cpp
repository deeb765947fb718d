// What is taken as a port forward must survive being written and read again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "network/port_forward.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace touka::network;
    const auto forward = parse_port_forward({reinterpret_cast<const char*>(data), size});
    if (forward && parse_port_forward(to_string(*forward)) != forward) std::abort();
    return 0;
}
