// Volumes for tests of what survives: writes go to a cache that loses power at a chosen request.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "storage/block_device.hpp"

namespace touka::storage {

/// What several volumes of one test are fed by.
class Power {
public:
    /// @param seed decides what of the caches reaches the media when the power goes.
    explicit Power(std::uint32_t seed = 1) : random_(seed) {}

    /// The nth request from now on, counted from 1, is carried out in part and is the last one.
    void fail_at(std::size_t request) { left_ = request; }
    void restore() { left_ = std::numeric_limits<std::size_t>::max(); }
    [[nodiscard]] bool on() const { return left_ > 0; }
    [[nodiscard]] std::size_t requests() const { return requests_; }

    /// @return true when this request is the last one.
    bool take_request() {
        ++requests_;
        return --left_ == 0;
    }
    [[nodiscard]] bool coin() { return (random_() >> 16 & 1) != 0; }

private:
    std::size_t left_ = std::numeric_limits<std::size_t>::max();
    std::size_t requests_ = 0;
    std::minstd_rand random_;
};

/// Bytes behind a volatile cache. Without power every request fails. Requests complete at once.
class VolatileVolume final : public BlockDevice {
public:
    static constexpr std::uint64_t kSectorBytes = 512;

    VolatileVolume(std::uint64_t size_bytes, Power& power)
        : power_(power), cached_(size_bytes), stable_(size_bytes), dirty_(size_bytes / kSectorBytes) {
        geometry_.size_bytes = size_bytes;
        geometry_.discard_granularity_bytes = 4096;
    }
    [[nodiscard]] const BlockGeometry& geometry() const override { return geometry_; }
    void commit() override {}
    [[nodiscard]] std::size_t in_flight() const override { return 0; }
    void submit(BlockRequest& request) override {
        if (!power_.on()) return request.complete(BlockStatus::kIoError);
        const bool last = power_.take_request();
        if (request.operation == BlockOperation::kRead) {
            read(request);
        } else if (request.operation == BlockOperation::kFlush) {
            for (std::size_t sector = 0; sector < dirty_.size(); ++sector) {
                if (!last || power_.coin()) settle(sector);
            }
        } else {
            write(request, last);
        }
        request.complete(last ? BlockStatus::kIoError : BlockStatus::kOk);
    }

    /// What is found when the power comes back: of what was not stable, sectors as chance has it, or none.
    void lose_cache(bool all) {
        for (std::size_t sector = 0; sector < dirty_.size(); ++sector) {
            if (dirty_[sector] && !all && power_.coin()) settle(sector);
        }
        cached_ = stable_;
        dirty_.assign(dirty_.size(), false);
    }
    /// What a read would see.
    [[nodiscard]] const std::vector<std::uint8_t>& bytes() const { return cached_; }

private:
    void read(const BlockRequest& request) const {
        const std::uint8_t* place = cached_.data() + request.offset_bytes;
        for (const iovec& buffer : request.buffers) {
            std::memcpy(buffer.iov_base, place, buffer.iov_len);
            place += buffer.iov_len;
        }
    }
    void write(const BlockRequest& request, bool in_part) {
        std::vector<std::uint8_t> data; // zeros, unless it is a write
        for (const iovec& buffer : request.buffers) {
            const auto* bytes = static_cast<const std::uint8_t*>(buffer.iov_base);
            data.insert(data.end(), bytes, bytes + buffer.iov_len);
        }
        data.resize(request.length_bytes);
        for (std::uint64_t at = 0; at < data.size(); at += kSectorBytes) {
            if (in_part && power_.coin()) continue;
            std::memcpy(cached_.data() + request.offset_bytes + at, data.data() + at, kSectorBytes);
            const std::size_t sector = (request.offset_bytes + at) / kSectorBytes;
            dirty_[sector] = true;
            if (request.force_unit_access) settle(sector);
        }
    }
    void settle(std::size_t sector) {
        std::memcpy(stable_.data() + sector * kSectorBytes, cached_.data() + sector * kSectorBytes, kSectorBytes);
        dirty_[sector] = false;
    }

    Power& power_;
    BlockGeometry geometry_;
    std::vector<std::uint8_t> cached_, stable_;
    std::vector<bool> dirty_;
};

} // namespace touka::storage
