#include "devices/virtio/console.hpp"

#include <algorithm>

#include "spec/pci/config_header.hpp"

namespace touka::devices::virtio {

using namespace spec::virtio;

Console::Console(runtime::ByteStream& stream) : stream_(stream) {}

Console::~Console() { stream_.set_receiver({}); }

void Console::set_size(std::uint16_t columns, std::uint16_t rows) {
    const std::uint32_t size = columns | std::uint32_t{rows} << 16;
    if (size_.exchange(size, std::memory_order_relaxed) != size && transport_) transport_->config_changed();
}

std::uint32_t Console::pci_class_code() const { return spec::pci::class_code::kOtherCommunication; }

void Console::read_config(std::uint32_t offset, std::span<std::byte> to) const {
    const std::uint32_t size = size_.load(std::memory_order_relaxed);
    copy_config(ConsoleConfig{static_cast<std::uint16_t>(size), static_cast<std::uint16_t>(size >> 16)}, offset, to);
}

void Console::connect(VirtioTransport& transport) {
    transport_ = &transport;
    stream_.set_receiver([this](std::span<const std::byte> bytes) { return take_input(bytes); });
}

std::size_t Console::take_input(std::span<const std::byte> bytes) {
    std::size_t taken = 0;
    {
        auto input = input_.lock();
        taken = std::min(bytes.size(), kInputLimitBytes - std::min(kInputLimitBytes, input->size()));
        input->insert(input->end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
    }
    if (taken > 0) transport_->wake_queue(kPort0ReceiveQueue);
    return taken;
}

bool Console::process_queue(unsigned index) { return index == kPort0ReceiveQueue ? deliver_input() : transmit(); }

bool Console::deliver_input() {
    auto input = std::vector<std::byte>();
    std::swap(input, *input_.lock());
    std::span<const std::byte> rest = input;
    Virtqueue& queue = transport_->queue(kPort0ReceiveQueue);
    bool failed = false;
    while (!rest.empty()) {
        const auto popped = queue.pop(chain_);
        if (!popped) {
            transport_->fail(popped.error());
            failed = true;
            break;
        }
        if (!*popped) {
            if (queue.enable_notifications()) continue;
            break;
        }
        const std::size_t written = chain_.put(transport_->dma(), rest);
        rest = rest.subspan(written);
        queue.push_used(chain_, static_cast<std::uint32_t>(written));
    }
    if (!failed) transport_->publish(kPort0ReceiveQueue);
    {
        auto kept = input_.lock(); // what was typed meanwhile comes after what is left
        kept->insert(kept->begin(), rest.begin(), rest.end());
    }
    if (rest.size() < input.size()) stream_.resume_input();
    return false;
}

bool Console::transmit() {
    Virtqueue& queue = transport_->queue(kPort0TransmitQueue);
    const auto more = queue.consume(
        kTurnBudget, [this]() -> DescriptorChain& { return chain_; },
        [this, &queue](DescriptorChain& chain) {
            std::size_t left = kOutputLimitBytes;
            for (const iovec& buffer : chain.readable()) {
                const std::size_t count = std::min(left, buffer.iov_len);
                stream_.write({static_cast<const std::byte*>(buffer.iov_base), count});
                left -= count;
            }
            queue.push_used(chain, 0);
        });
    transport_->publish(kPort0TransmitQueue);
    if (!more) transport_->fail(more.error());
    return more.value_or(false);
}

migration::Record Console::save() const { return migration::save_record({}, ConsoleState{*input_.lock()}); }

std::expected<void, migration::RestoreError> Console::restore(const migration::Record& record) {
    auto state = migration::load_record<ConsoleState>(record);
    if (!state) return std::unexpected(state.error());
    if (state->input.size() > 2 * kInputLimitBytes) return std::unexpected(migration::RestoreError::kDamaged);
    *input_.lock() = std::move(state->input);
    return {};
}

} // namespace touka::devices::virtio
