// Frames of any content and length through checksum completion and joining: input is a list of frames, each
// after its length (2 bytes). What comes out must fit a card's buffer.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "network/internet_checksum.hpp"
#include "network/segment_joiner.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace touka;
    std::vector<std::byte> bytes(reinterpret_cast<const std::byte*>(data),
                                 reinterpret_cast<const std::byte*>(data) + size);
    std::size_t in_bytes = 0, out_bytes = 0;
    network::SegmentJoiner joiner([&](std::span<const std::byte> message) {
        if (message.size() > spec::virtio::kLargestMessageBytes) std::abort();
        out_bytes += message.size() - sizeof(spec::virtio::NetworkHeader);
    });
    joiner.set_joining(true);
    std::span<std::byte> rest(bytes);
    while (rest.size() >= 2) {
        const std::size_t wanted = std::to_integer<std::size_t>(rest[0]) << 8 | std::to_integer<std::size_t>(rest[1]);
        rest = rest.subspan(2);
        const auto frame = rest.first(std::min(wanted, rest.size()));
        rest = rest.subspan(frame.size());
        joiner.add(frame);
        in_bytes += frame.size();
        static_cast<void>(network::complete_checksum(frame));
    }
    joiner.flush();
    if (out_bytes > in_bytes) std::abort();
    return 0;
}
