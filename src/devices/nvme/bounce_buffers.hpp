#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "devices/nvme/request.hpp"

namespace touka::devices::nvme {

/// Memory of our own for the few commands whose data is not the guest's: Compare, Verify, Copy, Dataset Management.
/// So many at a time have one; others wait in line.
class BounceBuffers {
public:
    static constexpr std::size_t kBytes = 512 << 10, kCount = 4;

    BounceBuffers() : memory_(static_cast<std::byte*>(::operator new(kBytes * kCount, std::align_val_t{4096}))) {
        for (std::size_t i = 0; i < kCount; ++i) free_.push_back({memory_.get() + i * kBytes, kBytes});
    }
    /// @return whether the request has one now; otherwise it is in line.
    bool take(Request& request) {
        if (!free_.empty()) {
            request.bounce = free_.back();
            free_.pop_back();
            return true;
        }
        (first_ == nullptr ? first_ : last_->next) = &request;
        last_ = &request;
        request.next = nullptr;
        return false;
    }
    /// @return the one who has it now, if somebody waited.
    [[nodiscard]] Request* give_back(Request& request) {
        const std::span<std::byte> buffer = request.bounce;
        request.bounce = {};
        Request* const next = take_waiting();
        if (next == nullptr) {
            free_.push_back(buffer);
        } else {
            next->bounce = buffer;
        }
        return next;
    }
    /// Takes the first one out of the line.
    [[nodiscard]] Request* take_waiting() {
        Request* const request = first_;
        if (request != nullptr) {
            first_ = request->next;
            request->next = nullptr;
        }
        return request;
    }

private:
    struct Free {
        void operator()(std::byte* memory) const { ::operator delete(memory, std::align_val_t{4096}); }
    };
    std::unique_ptr<std::byte, Free> memory_; // untouched until used
    std::vector<std::span<std::byte>> free_;
    Request *first_ = nullptr, *last_ = nullptr;
};

} // namespace touka::devices::nvme
