// The common configuration structure: status, features, queues. (Virtual I/O Device 1.2 §2.1, §2.2, §3.1, §4.1.4.3)
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "devices/virtio/virtqueue.hpp"
#include "spec/virtio/pci_transport.hpp"
#include "spec/virtio/virtio.hpp"

namespace touka::devices::virtio {

struct QueueRegisters {
    std::uint16_t size = 0;
    std::uint16_t msix_vector = spec::virtio::VIRTIO_MSI_NO_VECTOR;
    bool enabled = false;
    std::uint64_t descriptors = 0, driver_area = 0, device_area = 0;
    void describe(auto& archive) { archive(size, msix_vector, enabled, descriptors, driver_area, device_area); }
    [[nodiscard]] QueueSetup setup() const;
};

struct TransportRegistersState {
    std::uint8_t status = 0;
    std::uint8_t generation = 0;
    std::uint16_t config_vector = spec::virtio::VIRTIO_MSI_NO_VECTOR;
    std::uint32_t device_feature_select = 0, driver_feature_select = 0;
    std::uint16_t queue_select = 0;
    std::uint64_t driver_features = 0;
    std::vector<QueueRegisters> queues;
    void describe(auto& archive) {
        archive(status, generation, config_vector, device_feature_select, driver_feature_select, queue_select,
                driver_features, queues);
    }
};

struct TransportFeatures {
    std::uint64_t offered = 0;
    std::uint64_t required = spec::virtio::VIRTIO_F_VERSION_1; ///< a driver without them does not get FEATURES_OK
};

/// The registers and nothing more: what has to happen is returned to the transport. Not synchronised.
class TransportRegisters {
public:
    enum class Effect {
        kNone,
        kReset, ///< the driver wrote 0 to the status, which keeps its value until reset() is called
        kStart, ///< the driver is ready, or enabled a queue when it already was
    };

    /// @param queue_sizes the limit of each queue.
    TransportRegisters(TransportFeatures features, std::vector<std::uint16_t> queue_sizes, std::uint16_t vector_count);

    [[nodiscard]] std::uint64_t read(std::uint32_t offset, unsigned width_bytes) const;
    /// Only accesses of a register's own width count, and halves of 64-bit ones. (§4.1.3.1)
    [[nodiscard]] Effect write(std::uint32_t offset, unsigned width_bytes, std::uint64_t value);

    void reset();
    /// @return whether the driver is to be told by a configuration interrupt. (§2.1.2)
    [[nodiscard]] bool set_needs_reset();
    void bump_generation() { ++state_.generation; }

    [[nodiscard]] std::uint8_t status() const { return state_.status; }
    [[nodiscard]] bool driver_ok() const;
    [[nodiscard]] std::uint64_t driver_features() const { return state_.driver_features; }
    [[nodiscard]] std::uint16_t config_vector() const { return state_.config_vector; }
    [[nodiscard]] std::span<const QueueRegisters> queues() const { return state_.queues; }

    [[nodiscard]] TransportRegistersState save() const { return state_; }
    /// @return false when the state cannot be one of this device.
    [[nodiscard]] bool restore(const TransportRegistersState& state);

private:
    [[nodiscard]] Effect write_status(std::uint8_t value);
    void write_driver_feature(std::uint32_t value);
    [[nodiscard]] Effect write_queue(spec::virtio::CommonRegister register_, std::uint16_t value);
    void write_queue_address(std::uint32_t offset, unsigned width_bytes, std::uint64_t value);
    [[nodiscard]] QueueRegisters* selected();
    [[nodiscard]] std::uint16_t checked_vector(std::uint64_t value) const;

    TransportFeatures features_;
    std::vector<std::uint16_t> queue_sizes_;
    std::uint16_t vector_count_;
    bool resetting_ = false;
    TransportRegistersState state_;
};

} // namespace touka::devices::virtio
