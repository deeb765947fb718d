#include "scsi/verify/response.hpp"

#include <algorithm>

#include "spec/scsi/byte_order.hpp"

namespace touka::scsi::verify {

namespace {

/// Senders may fill their buffer up: the kernel's is always 96 bytes. (SPC-5 §4.4.2, §4.4.3: ADDITIONAL SENSE LENGTH)
void trim_sense(std::vector<std::uint8_t>& sense) {
    constexpr std::size_t kHeaderBytes = 8;
    if (sense.size() < kHeaderBytes) return;
    sense.resize(std::min<std::size_t>(sense.size(), kHeaderBytes + sense[7]));
}

/// Designation descriptors whose association is a target port, but for their headers. (SPC-5 §7.7.6)
void blank_target_ports(std::span<std::uint8_t> page) {
    constexpr std::size_t kHeaderBytes = 4;
    constexpr std::uint8_t kTargetPort = 1;
    if (page.size() < kHeaderBytes || page[1] != 0x83) return;
    const std::size_t length = spec::scsi::load_number(page.subspan(2, 2));
    auto rest = page.subspan(kHeaderBytes, std::min(length, page.size() - kHeaderBytes));
    while (rest.size() >= kHeaderBytes) {
        const std::size_t bytes = std::min<std::size_t>(rest[3], rest.size() - kHeaderBytes);
        if ((rest[1] >> 4 & 3) == kTargetPort) std::ranges::fill(rest.subspan(kHeaderBytes, bytes), std::uint8_t{0});
        rest = rest.subspan(kHeaderBytes + bytes);
    }
}

void blank(std::span<std::uint8_t> data, const Ignored& ignored) {
    for (const ByteRange& range : ignored.bytes) {
        if (range.first >= data.size()) continue;
        const std::size_t end = std::min<std::size_t>(data.size(), std::size_t{range.last} + 1);
        std::fill(data.begin() + range.first, data.begin() + static_cast<std::ptrdiff_t>(end), std::uint8_t{0});
    }
    if (ignored.target_ports) blank_target_ports(data);
}

} // namespace

Response record(const Command& command, RawResponse raw) {
    Response response{.delivery = raw.delivery};
    if (raw.delivery != Delivery::kComplete) return response;
    response.status = raw.status;
    if (!command.ignored.residual) response.residual = raw.residual;
    if (!command.ignored.sense) {
        response.sense = std::move(raw.sense);
        trim_sense(response.sense);
    }
    if (command.ignored.data) return response;
    blank(raw.data, command.ignored);
    const std::span<const std::uint8_t> data = raw.data;
    const auto first = data.first(std::min(data.size(), ReceivedData::kShownBytes));
    response.data = {.length_bytes = data.size(), .first = {first.begin(), first.end()}};
    if (!response.data.complete()) response.data.hash = sha256(data);
    return response;
}

} // namespace touka::scsi::verify
