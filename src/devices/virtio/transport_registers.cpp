#include "devices/virtio/transport_registers.hpp"

#include <array>
#include <cstring>
#include <utility>

#include "spec/virtio/virtio.hpp"

namespace touka::devices::virtio {

using namespace spec::virtio;

namespace {

constexpr std::uint32_t feature_word(std::uint64_t features, std::uint32_t select) {
    return select < 2 ? static_cast<std::uint32_t>(features >> (32 * select)) : 0;
}

/// The structure as it is read: little-endian bytes.
class Image {
public:
    template <class T>
    void put(CommonRegister at, T value) {
        std::memcpy(bytes_.data() + std::to_underlying(at), &value, sizeof value);
    }
    [[nodiscard]] std::uint64_t read(std::uint32_t offset, unsigned width_bytes) const {
        std::uint64_t value = 0;
        if (offset + width_bytes <= bytes_.size()) std::memcpy(&value, bytes_.data() + offset, width_bytes);
        return value;
    }

private:
    std::array<std::byte, kCommonBytes> bytes_{};
};

} // namespace

QueueSetup QueueRegisters::setup() const {
    return {size, memory::Iova{descriptors}, memory::Iova{driver_area}, memory::Iova{device_area}};
}

TransportRegisters::TransportRegisters(TransportFeatures features, std::vector<std::uint16_t> queue_sizes,
                                       std::uint16_t vector_count)
    : features_(features), queue_sizes_(std::move(queue_sizes)), vector_count_(vector_count) {
    reset();
}

void TransportRegisters::reset() {
    state_ = TransportRegistersState{};
    for (const std::uint16_t size : queue_sizes_) state_.queues.push_back(QueueRegisters{.size = size});
    resetting_ = false;
}

bool TransportRegisters::driver_ok() const { return (state_.status & device_status::DRIVER_OK) != 0; }

bool TransportRegisters::set_needs_reset() {
    state_.status |= device_status::DEVICE_NEEDS_RESET;
    return driver_ok();
}

QueueRegisters* TransportRegisters::selected() {
    return state_.queue_select < state_.queues.size() ? &state_.queues[state_.queue_select] : nullptr;
}

std::uint16_t TransportRegisters::checked_vector(std::uint64_t value) const {
    return value < vector_count_ ? static_cast<std::uint16_t>(value) : VIRTIO_MSI_NO_VECTOR;
}

std::uint64_t TransportRegisters::read(std::uint32_t offset, unsigned width_bytes) const {
    Image image;
    image.put(CommonRegister::device_feature_select, state_.device_feature_select);
    image.put(CommonRegister::device_feature, feature_word(features_.offered, state_.device_feature_select));
    image.put(CommonRegister::driver_feature_select, state_.driver_feature_select);
    image.put(CommonRegister::driver_feature, feature_word(state_.driver_features, state_.driver_feature_select));
    image.put(CommonRegister::config_msix_vector, state_.config_vector);
    image.put(CommonRegister::num_queues, static_cast<std::uint16_t>(state_.queues.size()));
    image.put(CommonRegister::device_status, state_.status);
    image.put(CommonRegister::config_generation, state_.generation);
    image.put(CommonRegister::queue_select, state_.queue_select);
    if (state_.queue_select < state_.queues.size()) {
        const QueueRegisters& queue = state_.queues[state_.queue_select];
        image.put(CommonRegister::queue_size, queue.size);
        image.put(CommonRegister::queue_msix_vector, queue.msix_vector);
        image.put(CommonRegister::queue_enable, std::uint16_t{queue.enabled});
        image.put(CommonRegister::queue_notify_off, state_.queue_select);
        image.put(CommonRegister::queue_desc, queue.descriptors);
        image.put(CommonRegister::queue_driver, queue.driver_area);
        image.put(CommonRegister::queue_device, queue.device_area);
    } else {
        image.put(CommonRegister::queue_msix_vector, VIRTIO_MSI_NO_VECTOR);
    }
    return image.read(offset, width_bytes);
}

TransportRegisters::Effect TransportRegisters::write(std::uint32_t offset, unsigned width_bytes, std::uint64_t value) {
    const auto at = CommonRegister{offset};
    if (width_bytes == 1) {
        return at == CommonRegister::device_status ? write_status(static_cast<std::uint8_t>(value)) : Effect::kNone;
    }
    if (width_bytes == 2) {
        switch (at) {
            case CommonRegister::config_msix_vector: state_.config_vector = checked_vector(value); break;
            case CommonRegister::queue_select: state_.queue_select = static_cast<std::uint16_t>(value); break;
            case CommonRegister::queue_size:
            case CommonRegister::queue_msix_vector:
            case CommonRegister::queue_enable: return write_queue(at, static_cast<std::uint16_t>(value));
            default: break;
        }
        return Effect::kNone;
    }
    if (width_bytes == 8) {
        write_queue_address(offset, width_bytes, value);
        return Effect::kNone;
    }
    switch (at) {
        case CommonRegister::device_feature_select:
            state_.device_feature_select = static_cast<std::uint32_t>(value);
            break;
        case CommonRegister::driver_feature_select:
            state_.driver_feature_select = static_cast<std::uint32_t>(value);
            break;
        case CommonRegister::driver_feature: write_driver_feature(static_cast<std::uint32_t>(value)); break;
        default: write_queue_address(offset, width_bytes, value); break;
    }
    return Effect::kNone;
}

TransportRegisters::Effect TransportRegisters::write_status(std::uint8_t value) {
    if (resetting_) return Effect::kNone;
    if (value == 0) {
        resetting_ = true;
        return Effect::kReset;
    }
    const bool was_ok = driver_ok();
    // Bits are only added (§2.1.1); the device decides on FEATURES_OK, and DRIVER_OK needs it.
    std::uint8_t wanted = state_.status | (value & device_status::kDriverBits);
    const bool acceptable =
        (state_.driver_features & ~features_.offered) == 0 && (features_.required & ~state_.driver_features) == 0;
    if (!acceptable) wanted &= static_cast<std::uint8_t>(~device_status::FEATURES_OK);
    if ((wanted & device_status::FEATURES_OK) == 0) wanted &= static_cast<std::uint8_t>(~device_status::DRIVER_OK);
    state_.status = wanted;
    return driver_ok() && !was_ok ? Effect::kStart : Effect::kNone;
}

void TransportRegisters::write_driver_feature(std::uint32_t value) {
    if ((state_.status & device_status::FEATURES_OK) != 0 || state_.driver_feature_select >= 2) return;
    const unsigned shift = 32 * state_.driver_feature_select;
    state_.driver_features &= ~(std::uint64_t{0xFFFF'FFFF} << shift);
    state_.driver_features |= std::uint64_t{value} << shift;
}

TransportRegisters::Effect TransportRegisters::write_queue(CommonRegister at, std::uint16_t value) {
    QueueRegisters* const queue = selected();
    if (!queue) return Effect::kNone;
    switch (at) {
        case CommonRegister::queue_msix_vector: queue->msix_vector = checked_vector(value); return Effect::kNone;
        case CommonRegister::queue_size:
            if (!queue->enabled) queue->size = value;
            return Effect::kNone;
        default:
            if (value != 1 || queue->enabled) return Effect::kNone; // a driver must not write 0 (§4.1.4.3.2)
            queue->enabled = true;
            return driver_ok() ? Effect::kStart : Effect::kNone;
    }
}

void TransportRegisters::write_queue_address(std::uint32_t offset, unsigned width_bytes, std::uint64_t value) {
    QueueRegisters* const queue = selected();
    if (!queue || queue->enabled) return;
    std::uint64_t* address = nullptr;
    switch (CommonRegister{offset & ~7u}) {
        case CommonRegister::queue_desc: address = &queue->descriptors; break;
        case CommonRegister::queue_driver: address = &queue->driver_area; break;
        case CommonRegister::queue_device: address = &queue->device_area; break;
        default: return;
    }
    if (offset % width_bytes != 0) return;
    if (width_bytes == 8) {
        *address = value;
        return;
    }
    const unsigned shift = offset % 8 == 0 ? 0 : 32;
    *address = (*address & ~(std::uint64_t{0xFFFF'FFFF} << shift)) | (value & 0xFFFF'FFFF) << shift;
}

bool TransportRegisters::restore(const TransportRegistersState& state) {
    if (state.queues.size() != queue_sizes_.size() || (state.driver_features & ~features_.offered) != 0) return false;
    state_ = state;
    resetting_ = false;
    return true;
}

} // namespace touka::devices::virtio
