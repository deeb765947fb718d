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

/// Takes designation descriptors whose association is a target port out of a page 83h: another port, of another
/// transport perhaps, has as many bytes as it likes. (SPC-5 §7.7.6) @return how many bytes that were.
std::size_t remove_target_ports(std::vector<std::uint8_t>& page) {
    constexpr std::size_t kHeaderBytes = 4;
    constexpr std::uint8_t kTargetPort = 1;
    if (page.size() < kHeaderBytes || page[1] != 0x83) return 0;
    const std::size_t length = spec::scsi::load_number(std::span(page).subspan(2, 2));
    if (length > page.size() - kHeaderBytes) return 0; // cut short: the rest is not there to be told apart
    std::vector<std::uint8_t> kept(page.begin(), page.begin() + kHeaderBytes);
    auto rest = std::span(page).subspan(kHeaderBytes);
    while (rest.size() >= kHeaderBytes) {
        const auto descriptor = rest.first(std::min<std::size_t>(kHeaderBytes + rest[3], rest.size()));
        if ((rest[1] >> 4 & 3) != kTargetPort) kept.insert(kept.end(), descriptor.begin(), descriptor.end());
        rest = rest.subspan(descriptor.size());
    }
    kept.insert(kept.end(), rest.begin(), rest.end());
    const std::size_t removed = page.size() - kept.size();
    spec::scsi::store_number(std::span(kept).subspan(2, 2), length - std::min(length, removed));
    page = std::move(kept);
    return removed;
}

void blank(std::span<std::uint8_t> data, const Ignored& ignored) {
    for (const ByteRange& range : ignored.bytes) {
        if (range.first >= data.size()) continue;
        const std::size_t end = std::min<std::size_t>(data.size(), std::size_t{range.last} + 1);
        std::fill(data.begin() + range.first, data.begin() + static_cast<std::ptrdiff_t>(end), std::uint8_t{0});
    }
}

} // namespace

Response record(const Command& command, RawResponse raw) {
    Response response{.delivery = raw.delivery};
    if (raw.delivery != Delivery::kComplete) return response;
    if (command.ignored.target_ports) raw.residual += static_cast<std::int64_t>(remove_target_ports(raw.data));
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
