#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "memory/dma_uses.hpp"
#include "runtime/reactor.hpp"
#include "spec/nvme/identify.hpp"
#include "storage/block_device.hpp"

namespace touka::devices::nvme {

/// Opens the volume for one controller's reactor; called there, once for each controller that uses the namespace.
using VolumeOpener = std::function<std::unique_ptr<storage::BlockDevice>(runtime::Reactor&)>;

struct NamespaceConfiguration {
    storage::BlockGeometry geometry;
    VolumeOpener open;
    std::array<std::uint8_t, 16> uuid{}; ///< zeros: one made of the subsystem's name and the namespace's number
    std::uint32_t block_bytes = 0;       ///< 512 or 4096; 0: the volume's logical blocks
};

/// A namespace of the subsystem: blocks in a volume, and how they are counted. Numbers change by Format NVM while
/// nobody works on it. (NVM Express Base 2.0 §3.2.1; NVM Command Set 1.0 §2.1)
class Namespace {
public:
    Namespace(std::uint32_t nsid, NamespaceConfiguration configuration);

    [[nodiscard]] std::uint32_t nsid() const { return nsid_; }
    [[nodiscard]] const NamespaceConfiguration& configuration() const { return configuration_; }
    [[nodiscard]] const storage::BlockGeometry& geometry() const { return configuration_.geometry; }
    [[nodiscard]] std::uint64_t block_count() const { return geometry().size_bytes >> block_shift(); }
    [[nodiscard]] unsigned block_shift() const { return formats_[format()].data_shift; }

    [[nodiscard]] const std::vector<spec::nvme::LbaFormat>& formats() const { return formats_; }
    [[nodiscard]] std::uint8_t format() const { return format_.load(std::memory_order_acquire); }
    /// @pre index is of a format.
    void set_format(std::uint8_t index) { format_.store(index, std::memory_order_release); } // pairs with format()

    std::atomic<bool> formatting{false}; ///< commands end with Format in Progress meanwhile

private:
    std::uint32_t nsid_;
    NamespaceConfiguration configuration_;
    std::vector<spec::nvme::LbaFormat> formats_;
    std::atomic<std::uint8_t> format_{0};
};

/// A namespace as one controller has it. What may be done with it is written by the subsystem under its lock, and read
/// on the way of every command; the volume belongs to the controller's reactor.
class NamespaceView {
public:
    static constexpr std::uint8_t kAttached = 1, kReadable = 2, kWritable = 4; ///< the last two by reservations

    /// @return null when the host cannot open it.
    [[nodiscard]] storage::BlockDevice* volume(runtime::Reactor& reactor) {
        if (!volume_ && ns) volume_ = ns->configuration().open(reactor);
        return volume_.get();
    }
    [[nodiscard]] storage::BlockDevice* opened_volume() { return volume_.get(); }
    void close() { volume_.reset(); }

    Namespace* ns = nullptr;             ///< null: no such namespace
    std::atomic<std::uint8_t> access{0}; ///< pairs release with acquire: `ns` is seen by who sees kAttached
    memory::DmaUses uses;                ///< commands that work on it through this controller
    bool uncommitted = false;            ///< submitted to since the last commit

private:
    std::unique_ptr<storage::BlockDevice> volume_;
};

} // namespace touka::devices::nvme
