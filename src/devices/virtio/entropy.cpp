#include "devices/virtio/entropy.hpp"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "spec/pci/config_header.hpp"

namespace touka::devices::virtio {

namespace {

bool fill_from_kernel(std::span<std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t count = ::getrandom(bytes.data(), bytes.size(), GRND_NONBLOCK);
        if (count <= 0) return false;
        bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return true;
}

} // namespace

Entropy::Entropy(Source source) : source_(source ? std::move(source) : Source(fill_from_kernel)) {}

std::uint32_t Entropy::pci_class_code() const { return spec::pci::class_code::kOther; }

void Entropy::read_config(std::uint32_t, std::span<std::byte> to) const { std::ranges::fill(to, std::byte{0}); }

bool Entropy::process_queue(unsigned index) {
    Virtqueue& queue = transport_->queue(index);
    const auto more = queue.consume(
        kRequestsPerTurn, [this]() -> DescriptorChain& { return chain_; },
        [this, &queue](DescriptorChain& chain) {
            std::array<std::byte, kRequestLimitBytes> random;
            const auto wanted = std::span(random).first(std::min<std::uint64_t>(random.size(), chain.writable_bytes()));
            const std::size_t written = source_(wanted) ? chain.put(transport_->dma(), wanted) : 0;
            queue.push_used(chain, static_cast<std::uint32_t>(written));
            ::explicit_bzero(random.data(), random.size()); // it is the guest's secret now
        });
    transport_->publish(index);
    if (!more) transport_->fail(more.error());
    return more.value_or(false);
}

migration::Record Entropy::save() const { return migration::save_record({}, StatelessState{}); }

std::expected<void, migration::RestoreError> Entropy::restore(const migration::Record& record) {
    if (const auto state = migration::load_record<StatelessState>(record); !state) {
        return std::unexpected(state.error());
    }
    return {};
}

} // namespace touka::devices::virtio
