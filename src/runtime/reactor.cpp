#include "runtime/reactor.hpp"

#include <pthread.h>
#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <cassert>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <limits>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>

#include "runtime/notification.hpp"
#include "runtime/polled_set.hpp"
#include "runtime/unique_fd.hpp"

namespace touka::runtime {

namespace {

constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;

std::uint64_t monotonic_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * kNanosecondsPerSecond + static_cast<std::uint64_t>(now.tv_nsec);
}

} // namespace

/// The loop itself. `mutex_` guards all members but `epoll_`, `wake_` and `polled_`, which is the thread's; handlers
/// run without it.
class Reactor::Loop {
public:
    explicit Loop(std::string name) {
        if (!epoll_) {
            std::perror("touka: epoll_create1");
            std::abort();
        }
        epoll_event event{.events = EPOLLIN, .data = {.u64 = kWakeId}};
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.fd(), &event);
        thread_ = std::thread([this, label = std::move(name)] {
            ::pthread_setname_np(::pthread_self(), label.substr(0, 15).c_str());
            run();
        });
    }

    void stop() {
        {
            std::unique_lock lock(mutex_);
            stopping_ = true;
            call_attention(lock);
        }
        thread_.join();
        const std::scoped_lock lock(mutex_);
        queue_.clear();
    }

    [[nodiscard]] bool in_loop() const { return std::this_thread::get_id() == thread_.get_id(); }

    void post(std::function<void()> work) {
        std::unique_lock lock(mutex_);
        queue_.push_back(std::move(work));
        if (!in_loop()) call_attention(lock);
    }

    /// @pre in_loop()
    [[nodiscard]] PolledSet& polled() {
        assert(in_loop());
        return polled_;
    }

    void add_watch(std::uint64_t& id, int fd, std::uint32_t events,
                   std::shared_ptr<std::function<void(std::uint32_t)>> handler) {
        const std::scoped_lock lock(mutex_);
        id = next_id_++;
        watches_.emplace(id, std::move(handler));
        epoll_event event{.events = events, .data = {.u64 = id}};
        if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return;
        std::perror("touka: epoll_ctl"); // a descriptor that cannot be watched is a programmer's error
        std::abort();
    }
    void change_watch(std::uint64_t id, int fd, std::uint32_t events) {
        epoll_event event{.events = events, .data = {.u64 = id}};
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
    }
    void remove_watch(std::uint64_t id, int fd) {
        std::unique_lock lock(mutex_);
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
        watches_.erase(id);
        wait_until_not_running(lock, id);
    }

    std::uint64_t add_timer(std::shared_ptr<std::function<void()>> handler) {
        const std::scoped_lock lock(mutex_);
        const std::uint64_t id = next_id_++;
        timers_.emplace(id, Alarm{std::move(handler), kNever});
        return id;
    }
    void arm_timer(std::uint64_t id, std::uint64_t deadline_ns) {
        std::unique_lock lock(mutex_);
        Alarm& alarm = timers_.at(id);
        due_.erase({alarm.deadline_ns, id});
        alarm.deadline_ns = deadline_ns;
        if (deadline_ns == kNever) return;
        due_.insert({deadline_ns, id});
        if (deadline_ns < sleeping_until_ns_ && !in_loop()) call_attention(lock);
    }
    void remove_timer(std::uint64_t id) {
        std::unique_lock lock(mutex_);
        due_.erase({timers_.at(id).deadline_ns, id});
        timers_.erase(id);
        wait_until_not_running(lock, id);
    }

private:
    static constexpr std::uint64_t kWakeId = 0;
    struct Alarm {
        std::shared_ptr<std::function<void()>> handler; // shared: a handler may destroy its own timer
        std::uint64_t deadline_ns;
    };

    /// Something was changed that the loop has to see. Releases the lock: who is woken wants it.
    void call_attention(std::unique_lock<std::mutex>& lock) {
        const bool awake = looking_;
        if (awake) attention_.store(true, std::memory_order_relaxed); // only a hint: it takes the lock after each look
        lock.unlock();
        if (!awake) wake_.signal();
    }

    void wait_until_not_running(std::unique_lock<std::mutex>& lock, std::uint64_t id) {
        if (in_loop()) return;
        handler_done_.wait(lock, [this, id] { return running_id_ != id; });
    }

    template <class Handler, class... Args>
    void call(std::unique_lock<std::mutex>& lock, std::uint64_t id, const Handler& handler, Args... args) {
        running_id_ = id;
        lock.unlock();
        handler(args...);
        lock.lock();
        running_id_ = kWakeId;
        handler_done_.notify_all();
    }

    void run() {
        std::unique_lock lock(mutex_);
        while (!stopping_) {
            run_due_timers(lock);
            run_queue(lock);
            if (stopping_) break;
            const bool may_sleep = look(lock);
            wait_for_events(lock, may_sleep);
        }
    }

    /// @return whether the loop may sleep.
    bool look(std::unique_lock<std::mutex>& lock) {
        if (polled_.empty()) return true;
        looking_ = true;
        attention_.store(false, std::memory_order_relaxed);
        lock.unlock();
        polled_.look([this] { return attention_.load(std::memory_order_relaxed); });
        const bool may_sleep = polled_.fall_asleep(monotonic_ns());
        lock.lock();
        looking_ = false;
        return may_sleep;
    }

    void run_due_timers(std::unique_lock<std::mutex>& lock) {
        while (!stopping_ && !due_.empty() && due_.begin()->first <= monotonic_ns()) {
            const std::uint64_t id = due_.begin()->second;
            due_.erase(due_.begin());
            Alarm& alarm = timers_.at(id);
            alarm.deadline_ns = kNever;
            call(lock, id, [handler = alarm.handler] { (*handler)(); });
        }
    }

    void run_queue(std::unique_lock<std::mutex>& lock) {
        // Only what is queued now: work that posts more work must not starve descriptors.
        for (std::size_t count = queue_.size(); count > 0 && !stopping_; --count) {
            auto work = std::move(queue_.front());
            queue_.pop_front();
            lock.unlock();
            work();
            work = nullptr; // what it captured goes without the lock, too
            lock.lock();
        }
    }

    void wait_for_events(std::unique_lock<std::mutex>& lock, bool may_sleep) {
        if (stopping_) return;
        sleeping_until_ns_ = may_sleep && queue_.empty() ? (due_.empty() ? kNever : due_.begin()->first) : 0;
        const std::uint64_t deadline_ns = sleeping_until_ns_;
        lock.unlock();

        std::array<epoll_event, 32> events;
        timespec timeout{};
        if (deadline_ns != kNever) {
            const std::uint64_t now_ns = monotonic_ns();
            const std::uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
            timeout.tv_sec = static_cast<time_t>(left_ns / kNanosecondsPerSecond);
            timeout.tv_nsec = static_cast<long>(left_ns % kNanosecondsPerSecond);
        }
        const int count = ::epoll_pwait2(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                         deadline_ns == kNever ? nullptr : &timeout, nullptr);
        lock.lock();
        sleeping_until_ns_ = 0;
        for (int i = 0; i < count && !stopping_; ++i) {
            const auto& event = events[static_cast<std::size_t>(i)];
            if (event.data.u64 == kWakeId) {
                wake_.consume();
                continue;
            }
            const std::uint64_t id = event.data.u64; // a copy: epoll_event is packed, nothing may refer into it
            const auto watch = watches_.find(id);
            if (watch == watches_.end()) continue; // removed by a handler before it in this round
            call(lock, watch->first, [handler = watch->second, ready = event.events] { (*handler)(ready); });
        }
    }

    UniqueFd epoll_{::epoll_create1(EPOLL_CLOEXEC)};
    Notification wake_;
    PolledSet polled_;
    std::atomic<bool> attention_{false};
    std::thread thread_;

    std::mutex mutex_;
    std::condition_variable handler_done_;
    std::deque<std::function<void()>> queue_;
    std::unordered_map<std::uint64_t, std::shared_ptr<std::function<void(std::uint32_t)>>> watches_;
    std::unordered_map<std::uint64_t, Alarm> timers_;
    std::set<std::pair<std::uint64_t, std::uint64_t>> due_; // deadline, id
    std::uint64_t next_id_ = kWakeId + 1;
    std::uint64_t running_id_ = kWakeId;
    std::uint64_t sleeping_until_ns_ = 0;
    bool stopping_ = false;
    bool looking_ = false; // what is changed now is seen without a signal
};

class Reactor::LoopPolling final : public Polling {
public:
    LoopPolling(std::shared_ptr<Loop> loop, Pollable& pollable) : loop_(std::move(loop)), pollable_(pollable) {
        loop_->polled().add(pollable_);
    }
    ~LoopPolling() override { loop_->polled().remove(pollable_); }

private:
    std::shared_ptr<Loop> loop_;
    Pollable& pollable_;
};

class Reactor::LoopTimer final : public Timer {
public:
    LoopTimer(std::shared_ptr<Loop> loop, std::function<void()> handler)
        : loop_(std::move(loop)), id_(loop_->add_timer(std::make_shared<std::function<void()>>(std::move(handler)))) {}
    ~LoopTimer() override { loop_->remove_timer(id_); }
    void arm(std::uint64_t deadline_ns) override { loop_->arm_timer(id_, deadline_ns); }
    void disarm() override { loop_->arm_timer(id_, kNever); }

private:
    std::shared_ptr<Loop> loop_;
    std::uint64_t id_;
};

class Reactor::LoopWatch final : public Watch {
public:
    LoopWatch(std::shared_ptr<Loop> loop, int fd, std::uint32_t events, std::function<void(std::uint32_t)> handler)
        : loop_(std::move(loop)), fd_(fd) {
        loop_->add_watch(id_, fd, events, std::make_shared<std::function<void(std::uint32_t)>>(std::move(handler)));
    }
    ~LoopWatch() override { loop_->remove_watch(id_, fd_); }
    void set_events(std::uint32_t events) override { loop_->change_watch(id_, fd_, events); }

private:
    std::shared_ptr<Loop> loop_;
    int fd_;
    std::uint64_t id_ = 0;
};

Reactor::Reactor(std::string name) : loop_(std::make_shared<Loop>(std::move(name))) {}
Reactor::~Reactor() { loop_->stop(); }

std::unique_ptr<Reactor::Watch> Reactor::watch(int fd, std::uint32_t epoll_events,
                                               std::function<void(std::uint32_t)> on_ready) {
    return std::make_unique<LoopWatch>(loop_, fd, epoll_events, std::move(on_ready));
}

std::unique_ptr<Reactor::Polling> Reactor::poll(Pollable& pollable) {
    return std::make_unique<LoopPolling>(loop_, pollable);
}

void Reactor::post(std::function<void()> work) { loop_->post(std::move(work)); }

void Reactor::run_and_wait(const std::function<void()>& work) {
    if (in_reactor()) return work();
    std::mutex mutex;
    std::condition_variable done;
    bool finished = false;
    post([&] {
        work();
        const std::scoped_lock lock(mutex);
        finished = true;
        done.notify_one();
    });
    std::unique_lock lock(mutex);
    done.wait(lock, [&] { return finished; });
}

bool Reactor::in_reactor() const { return loop_->in_loop(); }
std::uint64_t Reactor::now_ns() const { return monotonic_ns(); }

std::unique_ptr<Timer> Reactor::make_timer(std::function<void()> on_expiry) {
    return std::make_unique<LoopTimer>(loop_, std::move(on_expiry));
}

} // namespace touka::runtime
