#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "memory/dma_uses.hpp"
#include "spec/address.hpp"

namespace touka::memory {

enum class DmaAccess; // dma_space.hpp
class DmaHolds;

/// What one request keeps translated for as long as it takes, perhaps minutes: named, so that memory can be taken away
/// from the requester meanwhile as long as it is other memory. Of one thread at a time; stays where it is while active.
class DmaHold {
public:
    struct Range {
        spec::Iova address;
        std::span<std::byte> memory;
        DmaAccess access;
    };
    DmaHold() = default;
    ~DmaHold() { end(); }
    DmaHold(DmaHold&& other) noexcept; ///< @pre other is not active
    DmaHold& operator=(DmaHold&&) = delete;

    /// As it was translated. @pre not active.
    void add(const Range& range) { ranges_.push_back(range); }
    /// The memory is not touched any more. May run the callbacks of those who wait.
    void end();
    /// Whether it has begun (DmaSpace::hold) and not ended.
    [[nodiscard]] bool active() const { return active_; }
    [[nodiscard]] std::span<const Range> ranges() const { return ranges_; }

private:
    friend class DmaSpace;
    friend class DmaHolds;
    bool active_ = false;
    std::vector<Range> ranges_;
    DmaUses::Use use_; // where nobody asks for ranges
    DmaHolds* holds_ = nullptr;
    std::size_t index_ = 0;                      // among those; under their lock
    std::vector<std::function<void()>> waiting_; // under their lock
};

/// The holds of one space. Any thread.
class DmaHolds {
public:
    /// @pre within a use that began before the hold's ranges were translated.
    void begin(DmaHold& hold);
    /// @param affected asked with the lock held about each hold that is active.
    /// @param done called once, when none of the affected ones is active any more: before this returns, or on the
    /// thread that ends the last of them, without a lock held.
    void when_over(const std::function<bool(const DmaHold&)>& affected, std::function<void()> done);

private:
    friend class DmaHold;
    void end(DmaHold& hold);

    std::mutex mutex_; // guards the list, and index_ and waiting_ of those in it
    std::vector<DmaHold*> active_;
};

} // namespace touka::memory
