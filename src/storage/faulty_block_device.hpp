#pragma once

#include <cstddef>

#include "storage/block_device.hpp"

namespace touka::storage {

/// For tests of what stands above: passes requests to another device, but fails the nth of them.
class FaultyBlockDevice final : public BlockDevice {
public:
    /// @param failing_request counted from 1; 0: none.
    FaultyBlockDevice(BlockDevice& below, std::size_t failing_request, BlockStatus status)
        : below_(below), failing_request_(failing_request), status_(status) {}

    [[nodiscard]] const BlockGeometry& geometry() const override { return below_.geometry(); }
    void submit(BlockRequest& request) override {
        if (++submitted_ == failing_request_) return request.complete(status_);
        below_.submit(request);
    }
    void commit() override { below_.commit(); }
    [[nodiscard]] std::size_t in_flight() const override { return below_.in_flight(); }

private:
    BlockDevice& below_;
    std::size_t failing_request_;
    BlockStatus status_;
    std::size_t submitted_ = 0;
};

} // namespace touka::storage
