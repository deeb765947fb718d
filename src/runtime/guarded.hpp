#pragma once

#include <mutex>
#include <utility>

namespace touka::runtime {

/// Data that can be reached only while its mutex is held. Lock order is stated where a Guarded is declared.
template <class T>
class Guarded {
public:
    template <class... Args>
    explicit Guarded(Args&&... args) : value_(std::forward<Args>(args)...) {}

    /// The lock and the data, for as long as the returned object lives.
    class Access {
    public:
        T& operator*() { return value_; }
        T* operator->() { return &value_; }

    private:
        friend class Guarded;
        Access(std::mutex& mutex, T& value) : lock_(mutex), value_(value) {}
        std::unique_lock<std::mutex> lock_;
        T& value_;
    };
    [[nodiscard]] Access lock() { return Access(mutex_, value_); }

private:
    std::mutex mutex_;
    T value_;
};

} // namespace touka::runtime
