// An array that grows and stays where it is.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

namespace touka::cpu::translator {

/// Address space for all that it may ever hold; memory comes as it grows, many pages by one call, since a fault for
/// each costs more than filling it. Growing neither moves nor copies, so pointers to records stay good until clear().
/// One thread.
template <class T>
class RecordArray {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

public:
    explicit RecordArray(std::size_t capacity) : records_(reserve(capacity), Unmap{capacity}), capacity_(capacity) {}

    /// Whether the host gave address space.
    [[nodiscard]] bool is_mapped() const { return records_ != nullptr; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::size_t room() const { return capacity_ - size_; }
    /// @pre room() != 0
    T& push_back(const T& record) {
        assert(size_ < capacity_);
        if ((size_ + 1) * sizeof(T) > backed_bytes_) [[unlikely]]
            back_more();
        return *new (records_.get() + size_++) T(record);
    }
    [[nodiscard]] T& operator[](std::size_t n) { return records_[n]; }
    [[nodiscard]] const T& operator[](std::size_t n) const { return records_[n]; }
    [[nodiscard]] std::span<T> span() { return {records_.get(), size_}; }
    [[nodiscard]] std::span<const T> span() const { return {records_.get(), size_}; }
    void clear() { size_ = 0; }

private:
    static constexpr std::size_t kStepBytes = 256 << 10;

    struct Unmap {
        std::size_t capacity;
        void operator()(T* records) const { ::munmap(records, capacity * sizeof(T)); }
    };
    static T* reserve(std::size_t capacity) {
        void* mapped = ::mmap(nullptr, capacity * sizeof(T), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        return mapped == MAP_FAILED ? nullptr : static_cast<T*>(mapped);
    }
    void back_more() {
        const std::size_t step = std::min(kStepBytes, capacity_ * sizeof(T) - backed_bytes_);
        // A hint: what fails is backed when it is touched.
        ::madvise(reinterpret_cast<std::byte*>(records_.get()) + backed_bytes_, step, MADV_POPULATE_WRITE);
        backed_bytes_ += step;
    }

    std::unique_ptr<T[], Unmap> records_;
    std::size_t capacity_;
    std::size_t size_ = 0, backed_bytes_ = 0;
};

} // namespace touka::cpu::translator
