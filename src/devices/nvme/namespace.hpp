#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "devices/nvme/protected_namespace.hpp"
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
    /// Null: there are no formats with metadata. Shared, because configurations are copied.
    std::shared_ptr<ProtectedNamespace> protection{};
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
    [[nodiscard]] unsigned block_shift() const { return formats_[format_index()].data_shift; }
    [[nodiscard]] bool has_metadata() const { return formats_[format_index()].metadata_bytes != 0; }
    [[nodiscard]] scsi::ProtectionType protection_type() const {
        return static_cast<scsi::ProtectionType>(format() >> kTypeShift);
    }
    [[nodiscard]] bool extended() const { return (format() & kExtended) != 0; } ///< metadata is after each block
    /// As Identify Namespace has them.
    [[nodiscard]] std::uint8_t flbas() const { return format() & (kIndex | kExtended); }
    [[nodiscard]] std::uint8_t dps() const {
        return static_cast<std::uint8_t>(format() >> kTypeShift |
                                         ((format() & kFirstBytes) != 0 ? spec::nvme::kDpsFirst : 0));
    }

    [[nodiscard]] const std::vector<spec::nvme::LbaFormat>& formats() const { return formats_; }
    /// FLBAS in bits 4:0, PIL in bit 5, the type of protection information in bits 7:6.
    static constexpr std::uint8_t kIndex = 0x0F, kExtended = 0x10, kFirstBytes = 0x20;
    static constexpr unsigned kTypeShift = 6;
    [[nodiscard]] std::uint8_t format() const { return format_.load(std::memory_order_acquire); }
    /// What Dword 10 of Format NVM asks for. @return nothing: there is no such format.
    [[nodiscard]] std::optional<std::uint8_t> format_of(std::uint32_t dword10) const;
    /// May a saved state have this format? With metadata its file has said which.
    [[nodiscard]] bool suits(std::uint8_t format) const {
        return configuration_.protection ? format == this->format() : format < formats_.size();
    }
    /// @pre of format_of().
    void set_format(std::uint8_t format) { format_.store(format, std::memory_order_release); } // pairs with format()
    /// What the file of metadata has to say of the format. @pre has_metadata()
    [[nodiscard]] ProtectedNamespace::Format file_format(std::uint8_t format) const;

    std::atomic<bool> formatting{false}; ///< commands end with Format in Progress meanwhile
    std::atomic<bool> exclusive{false};  ///< a fused pair's: other commands wait meanwhile

private:
    [[nodiscard]] std::uint8_t format_index() const { return format() & kIndex; }

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
        if (!volume_ && ns) {
            volume_ = ns->configuration().open(reactor);
            if (const auto& metadata = ns->configuration().protection) {
                volume_ = metadata->with_metadata(std::move(volume_), reactor);
            }
        }
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
