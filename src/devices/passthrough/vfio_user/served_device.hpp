// What a server serves: a function, the space it does its DMA in, and what of its BARs can be reached without messages.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "devices/passthrough/vfio_user/mapped_dma_space.hpp"
#include "devices/passthrough/vfio_user/translated_dma_space.hpp"
#include "platform/pci/pci_function.hpp"

namespace touka::devices::passthrough {

/// Parts of a BAR that the client may map. The file stays its owner's and should be sealed against shrinking.
struct MappableRegion {
    struct Area {
        std::uint64_t offset = 0; ///< in the BAR
        std::uint64_t length_bytes = 0;
    };
    int file = -1;
    std::uint64_t file_offset = 0; ///< of the BAR's byte 0
    std::vector<Area> areas;       ///< empty: all of the BAR
};

/// A write to a register that only means "look at it", by eventfd instead of by message.
struct RegionDoorbell {
    std::uint64_t offset = 0;
    std::uint64_t width_bytes = 0;         ///< 0: any
    std::optional<std::uint64_t> matching; ///< only this value rings
    int eventfd = -1;                      ///< stays its owner's
};

/// What a function shares of its BARs. On the server's reactor.
class RegionSharing {
public:
    virtual ~RegionSharing() = default;
    [[nodiscard]] virtual std::optional<MappableRegion> mappable(unsigned) { return std::nullopt; }
    [[nodiscard]] virtual std::vector<RegionDoorbell> doorbells(unsigned) { return {}; }
    /// The client has left and the function is reset: what was shared with it is not shared with the next one.
    virtual void client_left() {}
};

/// All outlive the server.
struct ServedDevice {
    platform::PciFunction& function; ///< not plugged anywhere; does its DMA in `space` alone, or in `translated`
    MappedDmaSpace& space;
    RegionSharing* sharing = nullptr;
    TranslatedDmaSpace* translated = nullptr; ///< before `space`; null: the function asks for no translations
};

/// Where messages of a function go that is not on a bus of this process: a served function's MSI-X has an outlet.
class UnwiredMsi final : public platform::MsiSink {
public:
    void send(const platform::MsiMessage&) override {}
};

} // namespace touka::devices::passthrough
