#include "devices/virtio/balloon.hpp"

#include <algorithm>
#include <limits>

#include "spec/address.hpp"
#include "spec/pci/config_header.hpp"

namespace touka::devices::virtio {

using namespace spec::virtio;
using spec::kPageSize;

namespace {

/// Frame numbers of one request: a page full of them; drivers send at most 256.
constexpr unsigned kFramesPerRequest = 1024;

} // namespace

void Balloon::set_target_bytes(std::uint64_t bytes) {
    const std::uint64_t pages =
        std::min<std::uint64_t>(bytes >> kBalloonPageShift, std::numeric_limits<std::uint32_t>::max());
    num_pages_.store(static_cast<std::uint32_t>(pages), std::memory_order_relaxed);
    if (transport_) transport_->config_changed();
}

std::uint64_t Balloon::actual_bytes() const {
    return std::uint64_t{actual_.load(std::memory_order_relaxed)} << kBalloonPageShift;
}

std::uint32_t Balloon::pci_class_code() const { return spec::pci::class_code::kOther; }

std::uint64_t Balloon::device_features() const {
    return VIRTIO_BALLOON_F_DEFLATE_ON_OOM | VIRTIO_BALLOON_F_PAGE_REPORTING;
}

std::vector<std::uint16_t> Balloon::queue_sizes() const {
    return std::vector<std::uint16_t>(kLastReportingQueue + 1, kQueueSize);
}

void Balloon::read_config(std::uint32_t offset, std::span<std::byte> to) const {
    copy_config(BalloonConfig{num_pages_.load(std::memory_order_relaxed), actual_.load(std::memory_order_relaxed)},
                offset, to);
}

void Balloon::write_config(std::uint32_t offset, std::span<const std::byte> from) {
    std::uint32_t actual = 0;
    if (offset != offsetof(BalloonConfig, actual) || from.size() != sizeof actual) return;
    std::memcpy(&actual, from.data(), sizeof actual);
    actual_.store(actual, std::memory_order_relaxed);
}

void Balloon::reset() {
    features_ = 0;
    actual_.store(0, std::memory_order_relaxed);
}

bool Balloon::process_queue(unsigned index) {
    Virtqueue& queue = transport_->queue(index);
    const auto more = queue.consume(
        kRequestsPerTurn, [this]() -> DescriptorChain& { return chain_; },
        [this, &queue, index](DescriptorChain& chain) {
            if (index == kInflateQueue) inflate(chain);
            if (index >= kFirstReportingQueue) report(chain);
            // Deflating needs nothing: the pages come back when the guest touches them.
            queue.push_used(chain, 0);
        });
    transport_->publish(index);
    if (!more) transport_->fail(more.error());
    return more.value_or(false);
}

void Balloon::inflate(DescriptorChain& chain) {
    std::uint32_t frame_number = 0;
    for (unsigned i = 0; i < kFramesPerRequest; ++i) {
        if (!chain.take(std::as_writable_bytes(std::span(&frame_number, 1)))) return;
        discard_page(frame_number);
    }
}

void Balloon::discard_page(std::uint32_t frame_number) {
    const memory::Iova address{std::uint64_t{frame_number} << kBalloonPageShift};
    const auto page = transport_->dma().translate(address, kPageSize, memory::DmaAccess::kWrite);
    if (!page || page->size() < kPageSize) return; // not RAM: the driver's mistake costs nobody anything
    memory_.discard(*page);
    transport_->dma().written(*page);
}

void Balloon::report(const DescriptorChain& chain) {
    if ((features_ & VIRTIO_BALLOON_F_PAGE_REPORTING) == 0) return;
    for (const iovec& buffer : chain.writable()) {
        // Only whole pages inside of what is reported; guest pages lie page-aligned in the host.
        const auto first = reinterpret_cast<std::uintptr_t>(buffer.iov_base);
        const std::uintptr_t aligned = (first + kPageSize - 1) & ~(kPageSize - 1);
        const std::uintptr_t end = (first + buffer.iov_len) & ~(kPageSize - 1);
        if (aligned >= end) continue;
        const std::span pages(static_cast<std::byte*>(buffer.iov_base) + (aligned - first), end - aligned);
        memory_.discard(pages);
        transport_->dma().written(pages);
    }
}

migration::Record Balloon::save() const {
    return migration::save_record(
        {}, BalloonState{num_pages_.load(std::memory_order_relaxed), actual_.load(std::memory_order_relaxed)});
}

std::expected<void, migration::RestoreError> Balloon::restore(const migration::Record& record) {
    const auto state = migration::load_record<BalloonState>(record);
    if (!state) return std::unexpected(state.error());
    num_pages_.store(state->num_pages, std::memory_order_relaxed);
    actual_.store(state->actual, std::memory_order_relaxed);
    return {};
}

} // namespace touka::devices::virtio
