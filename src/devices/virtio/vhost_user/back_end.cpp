#include "devices/virtio/vhost_user/back_end.hpp"

#include <sys/epoll.h>

#include <utility>

namespace touka::devices::virtio {

using namespace spec::virtio;

VhostUserBackEnd::VhostUserBackEnd(runtime::Reactor& reactor, runtime::UniqueFd socket,
                                   std::unique_ptr<VirtioDevice> device, std::function<void()> on_closed)
    : reactor_(reactor), channel_(std::move(socket)), on_closed_(std::move(on_closed)), device_(std::move(device)) {
    for (const std::uint16_t size : device_->queue_sizes()) rings_.push_back(std::make_unique<Vring>(memory_, size));
    device_->connect(*this);
    watch_ = reactor.watch(channel_.fd(), EPOLLIN, [this](std::uint32_t events) { on_readable(events); });
}

VhostUserBackEnd::~VhostUserBackEnd() {
    watch_.reset();
    polling_.reset();
    for (const auto& ring : rings_) ring->watch.reset();
    device_.reset();
}

// --- what the device asks of its transport ---

void VhostUserBackEnd::publish(unsigned queue_index) {
    Vring& ring = *rings_[queue_index];
    if (ring.queue.publish()) ring.call.signal();
}

void VhostUserBackEnd::fail(QueueError error) {
    failed_ = true;
    last_failure_ = error;
    for (const auto& ring : rings_) ring->error.signal();
}

void VhostUserBackEnd::request_finished() {
    if (!quiescing_ || device_->in_flight() != 0) return;
    reactor_.post([this, alive = std::weak_ptr(alive_)] {
        if (alive.lock()) run_quiet_work();
    });
}

void VhostUserBackEnd::wake_queue(unsigned queue_index) {
    reactor_.post([this, queue_index, alive = std::weak_ptr(alive_)] {
        if (alive.lock()) process(queue_index);
    });
}

void VhostUserBackEnd::process(unsigned index) {
    Vring& ring = *rings_[index];
    if (!active() || !ring.queue.running()) return;
    worked_ = true;
    ring.seen = ring.queue.load_avail_index();
    if (device_->process_queue(index)) wake_queue(index);
}

// --- polling ---

bool VhostUserBackEnd::poll() {
    for (unsigned i = 0; i < rings_.size() && active(); ++i) {
        Vring& ring = *rings_[i];
        if (ring.queue.running() && ring.queue.load_avail_index() != ring.seen) process(i);
    }
    return std::exchange(worked_, false);
}

bool VhostUserBackEnd::fall_asleep() {
    bool quiet = true;
    for (const auto& ring : rings_) {
        if (!ring->queue.running()) continue;
        ring->queue.set_polled(false);
        (void)ring->queue.enable_notifications();
        quiet = quiet && ring->queue.load_avail_index() == ring->seen;
    }
    return quiet || !active();
}

void VhostUserBackEnd::wake_up() {
    for (const auto& ring : rings_) {
        if (!ring->queue.running()) continue;
        ring->queue.set_polled(true);
        ring->queue.disable_notifications();
    }
}

// --- rings ---

void VhostUserBackEnd::start_rings() {
    if (failed_ || closing_) return;
    for (unsigned i = 0; i < rings_.size(); ++i) {
        Vring& ring = *rings_[i];
        if (!ring.ready() || ring.queue.running()) continue;
        if (!std::exchange(activated_, true)) device_->activate(features_);
        if (const auto started = ring.start(memory_, features_); !started) return fail(started.error());
        if (!polling_) polling_ = reactor_.poll(*this);
        wake_queue(i);
    }
}

void VhostUserBackEnd::stop_rings() {
    polling_.reset();
    for (const auto& ring : rings_) ring->stop();
}

void VhostUserBackEnd::when_quiet(std::function<void()> work) {
    quiescing_ = true;
    quiet_work_ = std::move(work);
    if (device_->in_flight() == 0) run_quiet_work();
}

void VhostUserBackEnd::run_quiet_work() {
    if (!quiescing_ || device_->in_flight() != 0) return;
    const auto work = std::exchange(quiet_work_, {});
    quiescing_ = false;
    if (work) work();
}

// --- the connection ---

void VhostUserBackEnd::close() {
    if (std::exchange(closing_, true)) return;
    watch_.reset();
    for (const auto& ring : rings_) {
        ring->watch.reset();
        ring->call = {};
    }
    device_->abort_all();
    when_quiet([this] {
        stop_rings();
        // Not from here: the owner may want to destroy this object.
        reactor_.post([done = on_closed_, alive = std::weak_ptr(alive_)] {
            if (alive.lock()) done();
        });
    });
}

void VhostUserBackEnd::on_readable(std::uint32_t epoll_events) {
    take_messages();
    if ((epoll_events & (EPOLLHUP | EPOLLERR)) != 0) close();
}

void VhostUserBackEnd::take_messages() {
    // A bounded number, so that one peer cannot keep the reactor.
    for (int i = 0; i < 16 && !quiescing_ && !closing_; ++i) {
        auto message = channel_.receive();
        if (!message) return close();
        if (!*message) return;
        if (!needs_quiet(**message)) {
            handle(**message);
            continue;
        }
        watch_->set_events(0);
        if ((*message)->request == VhostUserRequest::kResetDevice) device_->abort_all();
        const auto waiting = std::make_shared<VhostUserMessage>(std::move(**message)); // std::function copies
        when_quiet([this, waiting] {
            stop_rings();
            handle(*waiting);
            if (closing_) return;
            watch_->set_events(EPOLLIN);
            start_rings();
        });
    }
}

void VhostUserBackEnd::handle(VhostUserMessage& message) {
    const Outcome outcome = dispatch(message);
    if (outcome == Outcome::kHostile) return close();
    if (outcome == Outcome::kReplied || (message.flags & kVhostUserNeedReply) == 0) return;
    if (!negotiated(VHOST_USER_PROTOCOL_F_REPLY_ACK)) return;
    if (reply(message, outcome == Outcome::kDone ? 0 : 1) == Outcome::kHostile) close();
}

VhostUserBackEnd::Outcome VhostUserBackEnd::reply(const VhostUserMessage& to, std::uint64_t value) {
    return channel_.send(to.request, kVhostUserReply, value) ? Outcome::kReplied : Outcome::kHostile;
}

bool VhostUserBackEnd::negotiated(std::uint64_t protocol_feature) const {
    return (protocol_features_ & protocol_feature) != 0;
}

} // namespace touka::devices::virtio
