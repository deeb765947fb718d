// What a guest prints in the place of a probe, and data that a unit may send: no crash, and text that is taken is told
// again the same way.
#include <algorithm>
#include <cstdlib>

#include "scsi/verify/comparison.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace touka::scsi::verify;
    const Command command{.name = "any", .ignored = {.bytes = {{4, 7}}, .target_ports = true}};
    (void)record(command, {.sense = {data, data + size}, .data = {data, data + size}});
    const auto recording = parse_recording({reinterpret_cast<const char*>(data), size}, "fuzz");
    if (!recording) return 0;
    const auto again = parse_recording(to_text(*recording), "again");
    if (!again || !(*again == *recording)) std::abort();
    const Corpus corpus{.commands = std::vector<Command>(recording->responses.size() + 1, command)};
    // Different are those that never came, and the one that neither has.
    const auto never = std::ranges::count_if(
        recording->responses, [](const Response& response) { return response.delivery != Delivery::kComplete; });
    if (compare(corpus, *recording, *again).different.size() != static_cast<std::size_t>(never) + 1) std::abort();
    (void)to_text(compare(corpus, *recording, {}));
    return 0;
}
