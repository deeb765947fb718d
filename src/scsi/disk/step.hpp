#pragma once

#include <coroutine>
#include <exception>
#include <utility>

namespace touka::scsi {

/// A part of a Job that ends with a value, a coroutine itself: starts at once, is awaited once, and owns its frame.
/// @pre lives until it has ended.
template <class Value>
class Step {
public:
    struct promise_type {
        std::coroutine_handle<> waiter;
        Value value{};

        struct Final {
            [[nodiscard]] bool await_ready() const noexcept { return false; }
            std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
                const auto next = self.promise().waiter;
                return next ? next : std::noop_coroutine();
            }
            void await_resume() const noexcept {}
        };
        Step get_return_object() { return Step(std::coroutine_handle<promise_type>::from_promise(*this)); }
        std::suspend_never initial_suspend() noexcept { return {}; }
        Final final_suspend() noexcept { return {}; }
        void return_value(Value result) { value = std::move(result); }
        void unhandled_exception() { std::terminate(); }
    };

    Step(Step&& other) noexcept : self_(std::exchange(other.self_, nullptr)) {}
    Step& operator=(Step&&) = delete;
    ~Step() {
        if (self_) self_.destroy();
    }

    [[nodiscard]] bool await_ready() const noexcept { return self_.done(); }
    void await_suspend(std::coroutine_handle<> waiter) noexcept { self_.promise().waiter = waiter; }
    [[nodiscard]] Value await_resume() { return std::move(self_.promise().value); }

private:
    explicit Step(std::coroutine_handle<promise_type> self) : self_(self) {}

    std::coroutine_handle<promise_type> self_;
};

} // namespace touka::scsi
