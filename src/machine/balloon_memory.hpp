#pragma once

#include <sys/mman.h>

#include "devices/virtio/balloon.hpp"

namespace touka::machine {

/// What the balloon takes out of the guest goes back to the host: holes in the memory's memfd.
class HostBalloonMemory final : public devices::virtio::BalloonMemory {
public:
    void discard(std::span<std::byte> pages) override { ::madvise(pages.data(), pages.size(), MADV_REMOVE); }
};

} // namespace touka::machine
