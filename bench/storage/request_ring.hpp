// The driver's side of one virtqueue that has nothing but reads of kReadBytes in it, as the Linux drivers of virtio-blk
// and virtio-scsi lay them out. (Virtual I/O Device 1.2 §2.7, §5.2.6, §5.6.6.1)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace touka::bench {

enum class RequestLayout { kBlock, kScsi };

/// Memory, where the driver's addresses are offsets, with a split ring in it. Each request has a place: its indirect
/// descriptors, header, response and data never move; only the header changes.
class RequestRing {
public:
    static constexpr std::uint16_t kSize = 128;
    static constexpr std::uint64_t kDescriptors = 0, kAvailable = 0x1000, kUsed = 0x2000, kMemoryBytes = 0x10'0000;

    /// @param memory kMemoryBytes of zeros, which the device has, too; stays the caller's.
    RequestRing(std::span<std::byte> memory, RequestLayout layout);

    /// Puts a read into the place, for the device to see with the next publish.
    void put(std::uint16_t place, std::uint64_t offset_bytes);
    /// @return whether the device asked for a notification of what is new.
    [[nodiscard]] bool publish();
    /// Calls `on_used(place, good)` for each request that the device has ended.
    template <class OnUsed>
    void take_used(OnUsed on_used) {
        for (const std::uint16_t until = used_index(); taken_ != until; ++taken_) {
            const std::uint16_t place = used_place(taken_);
            on_used(place, good(place));
        }
    }
    [[nodiscard]] bool has_used() const { return used_index() != taken_; }
    /// Asks for a notification with the next request that ends. @return false when one already has.
    [[nodiscard]] bool wait_for_used();

private:
    template <class T>
    [[nodiscard]] T& at(std::uint64_t address) const {
        return *reinterpret_cast<T*>(memory_.data() + address);
    }
    [[nodiscard]] std::uint16_t used_index() const;
    [[nodiscard]] std::uint16_t used_place(std::uint16_t position) const;
    [[nodiscard]] bool good(std::uint16_t place) const;

    std::span<std::byte> memory_;
    RequestLayout layout_;
    std::uint16_t available_ = 0, published_ = 0, taken_ = 0;
};

} // namespace touka::bench
