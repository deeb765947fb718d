// A volume for tests: bytes in memory, requests completed at once or when the test says so.
#pragma once

#include <cstring>
#include <utility>
#include <vector>

#include "storage/block_device.hpp"

namespace touka::storage {

class MemoryVolume final : public BlockDevice {
public:
    explicit MemoryVolume(std::uint64_t size_bytes) : bytes(size_bytes) {
        geometry_.size_bytes = size_bytes;
        geometry_.discard_granularity_bytes = 4096;
    }
    [[nodiscard]] const BlockGeometry& geometry() const override { return geometry_; }
    [[nodiscard]] BlockGeometry& geometry() { return geometry_; }
    void submit(BlockRequest& request) override {
        operations.push_back(request.operation);
        last_force_unit_access = request.force_unit_access;
        last_may_unmap = request.may_unmap;
        waiting_.push_back(&request);
        if (!held && !at_commit) complete_all();
    }
    void commit() override {
        ++commits;
        if (!held) complete_all();
    }
    [[nodiscard]] bool withdraw(BlockRequest& request) override { return !begun && std::erase(waiting_, &request) > 0; }
    [[nodiscard]] std::size_t in_flight() const override { return waiting_.size(); }

    /// On the reactor: does what was held back.
    void complete_all() {
        const auto requests = std::exchange(waiting_, {});
        for (BlockRequest* request : requests) {
            if (status == BlockStatus::kOk) move(*request);
            request->complete(status);
        }
    }

    std::vector<std::byte> bytes;
    std::vector<BlockOperation> operations;
    BlockStatus status = BlockStatus::kOk; ///< what every request ends with
    bool held = false;
    bool at_commit = false; ///< requests are done when they are committed, together, instead of at once
    bool begun = true;      ///< what is held back cannot be withdrawn
    bool last_force_unit_access = false;
    bool last_may_unmap = false;
    int commits = 0;

private:
    void move(const BlockRequest& request) {
        std::byte* place = bytes.data() + request.offset_bytes;
        if (request.operation == BlockOperation::kWriteZeroes) std::memset(place, 0, request.length_bytes);
        for (const iovec& buffer : request.buffers) {
            if (request.operation == BlockOperation::kRead) std::memcpy(buffer.iov_base, place, buffer.iov_len);
            if (request.operation == BlockOperation::kWrite) std::memcpy(place, buffer.iov_base, buffer.iov_len);
            place += buffer.iov_len;
        }
    }

    BlockGeometry geometry_;
    std::vector<BlockRequest*> waiting_;
};

} // namespace touka::storage
