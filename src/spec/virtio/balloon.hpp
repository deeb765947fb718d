// Traditional memory balloon device. (Virtual I/O Device 1.2 §5.5)
#pragma once

#include <cstddef>
#include <cstdint>

#include "spec/virtio/virtio.hpp"

namespace touka::spec::virtio {

/// §5.5.3: Feature bits.
inline constexpr std::uint64_t VIRTIO_BALLOON_F_DEFLATE_ON_OOM = feature(2),
                               VIRTIO_BALLOON_F_PAGE_REPORTING = feature(5);

/// §5.5.4: struct virtio_balloon_config, in pages of 4 KiB; the fields after these belong to features not offered.
struct BalloonConfig {
    std::uint32_t num_pages; ///< what the device asks for
    std::uint32_t actual;    ///< what the driver has given
};
static_assert(sizeof(BalloonConfig) == 8 && offsetof(BalloonConfig, actual) == 4);

/// §5.5.2: Virtqueues. reporting_vq is number 4; Linux 6.1 counts only the queues whose features were offered, and
/// uses 2 when there is neither statistics nor free page hinting.
inline constexpr unsigned kInflateQueue = 0, kDeflateQueue = 1, kFirstReportingQueue = 2, kLastReportingQueue = 4;
/// A balloon page, whatever the guest's page size. (§5.5.6)
inline constexpr unsigned kBalloonPageShift = 12;

} // namespace touka::spec::virtio
