// Threads: taking turns, coming and going, contending, and working side by side. With one processor the kernel's
// switches are what counts; with two (./dev bench cpu --cpus 2) it is whether both really run.
#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "workloads.hpp"

namespace touka::bench {

namespace {

// Runs `work(0)` and `work(1)` on two threads at once.
template <typename Work>
void on_two_threads(const Work& work) {
    std::thread other([&work] { work(1U); });
    work(0U);
    other.join();
}

} // namespace

Answer ping_pong(Trial& trial) {
    const std::uint64_t rounds = trial.amount(20'000);
    std::mutex mutex;
    std::condition_variable turn_changed;
    std::uint64_t turns = 0; // thread n plays when turns % 2 is n
    on_two_threads([&](unsigned thread) {
        for (std::uint64_t round = 0; round < rounds; ++round) {
            std::unique_lock lock(mutex);
            turn_changed.wait(lock, [&] { return turns % 2 == thread; });
            ++turns;
            turn_changed.notify_one();
        }
    });
    Answer answer;
    answer.add(turns);
    return answer;
}

Answer thread_creation(Trial& trial) {
    std::uint64_t sum = 0;
    const std::uint64_t threads = trial.amount(3'000);
    for (std::uint64_t i = 0; i < threads; ++i) std::thread([&sum, i] { sum += i; }).join();
    Answer answer;
    answer.add(sum);
    return answer;
}

Answer mutex_contention(Trial& trial) {
    const std::uint64_t rounds = trial.amount(4'000'000);
    std::mutex mutex;
    std::uint64_t value = 1;
    on_two_threads([&](unsigned /*thread*/) {
        for (std::uint64_t round = 0; round < rounds; ++round) {
            const std::lock_guard lock(mutex);
            value = value * 6'364'136'223'846'793'005 + 1;
        }
    });
    Answer answer;
    answer.add(value);
    return answer;
}

Answer atomic_contention(Trial& trial) {
    const std::uint64_t rounds = trial.amount(10'000'000);
    std::atomic<std::uint64_t> value = 0;
    on_two_threads([&](unsigned /*thread*/) {
        for (std::uint64_t round = 0; round < rounds; ++round) value.fetch_add(round, std::memory_order_seq_cst);
    });
    Answer answer;
    answer.add(value.load());
    return answer;
}

Answer parallel(Trial& trial) {
    const std::uint64_t rounds = trial.amount(30'000'000);
    std::array<std::uint64_t, 2> sums{};
    on_two_threads([&](unsigned thread) {
        Random random(10 + thread);
        std::uint64_t sum = 0;
        for (std::uint64_t round = 0; round < rounds; ++round) sum = (sum << 1 | sum >> 63) ^ random.next();
        sums[thread] = sum;
    });
    Answer answer;
    for (const auto sum : sums) answer.add(sum);
    return answer;
}

} // namespace touka::bench
