// What a remote device has: asked once, and checked before anything is done with it. (vfio-user Protocol,
// "VFIO_USER_DEVICE_GET_INFO" and following)
#pragma once

#include <array>
#include <chrono>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "devices/passthrough/vfio_user/client_connection.hpp"
#include "runtime/foreign_eventfd.hpp"
#include "runtime/shared_mapping.hpp"

namespace touka::devices::passthrough {

/// A part of a region that is memory of this process too.
struct RemoteArea {
    std::uint64_t offset = 0;
    runtime::SharedMapping mapping;
};
/// A write that is an eventfd's signal.
struct RemoteDoorbell {
    std::uint64_t offset = 0;
    std::uint64_t width_bytes = 0; ///< 0: any
    std::optional<std::uint64_t> matching;
    std::shared_ptr<const runtime::ForeignEventfd> event; // of several doorbells
    [[nodiscard]] bool rings(std::uint64_t at, std::uint64_t width, std::uint64_t value) const {
        return at == offset && (width_bytes == 0 || width_bytes == width) && (!matching || *matching == value);
    }
};
struct RemoteRegion {
    std::uint64_t length_bytes = 0;
    bool readable = false, writable = false;
    std::vector<RemoteArea> areas;
    std::vector<RemoteDoorbell> doorbells;
    /// The area's bytes for an access that lies in it, else nothing.
    [[nodiscard]] std::span<std::byte> mapped(std::uint64_t offset, std::size_t count) const;
};

struct RemoteLayout {
    bool can_reset = false, can_migrate = false;
    std::array<RemoteRegion, spec::vfio::VFIO_PCI_NUM_REGIONS> regions;
    std::array<InterruptDescription, spec::vfio::VFIO_PCI_NUM_IRQS> interrupts{};

    /// Whether a driver of the one can go on with the other.
    [[nodiscard]] bool same_shape(const RemoteLayout& other) const;
    /// Asks the server. @return what is wrong with its answers.
    [[nodiscard]] static std::expected<std::shared_ptr<const RemoteLayout>, std::string>
    ask(ClientConnection& connection, std::chrono::milliseconds limit);
};

/// The regions that one server's answer to GET_REGION_INFO describes; everything in it is checked.
[[nodiscard]] std::expected<RemoteRegion, std::string> read_region_info(const Message& reply, std::uint32_t index);
/// The doorbells of an answer to GET_REGION_IO_FDS; what is not usable is left out.
[[nodiscard]] std::vector<RemoteDoorbell> read_doorbells(Message& reply, std::uint64_t region_bytes);

} // namespace touka::devices::passthrough
