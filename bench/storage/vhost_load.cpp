// Random reads through a vhost-user back-end, as a virtual machine's front-end would share its memory and one request
// queue with it, but without a virtual machine. (Vhost-user Protocol, QEMU docs/interop/vhost-user.rst)
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "devices/virtio/vhost_user/message_channel.hpp"
#include "load.hpp"
#include "request_ring.hpp"
#include "runtime/notification.hpp"
#include "runtime/shared_mapping.hpp"
#include "spec/virtio/scsi.hpp"
#include "spec/virtio/virtio.hpp"

using namespace touka;
using namespace touka::bench;
using namespace touka::spec::virtio;
using devices::virtio::MessageChannel;
using runtime::SharedMapping;

namespace {

constexpr int kStallMs = 5000, kRetries = 20, kRetryMs = 50;
constexpr unsigned kFirstReads = 8; // a new I_T nexus has unit attentions to tell first

struct Nature {
    RequestLayout layout = RequestLayout::kBlock;
    bool polls = false; ///< looks at the ring all the time, and asks for no interrupts
};

class FrontEnd {
public:
    FrontEnd(runtime::UniqueFd socket, std::pair<runtime::UniqueFd, SharedMapping> memory, const Nature& nature)
        : polls_(nature.polls), channel_(std::move(socket)), memory_(std::move(memory)),
          ring_(memory_.second.bytes(), nature.layout),
          queue_index_(nature.layout == RequestLayout::kScsi ? kScsiFirstRequestQueue : 0) {}

    /// @return whether the back-end has the memory and works on the queue.
    bool connect() {
        using enum VhostUserRequest;
        constexpr std::uint64_t kWanted =
            VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VHOST_USER_F_PROTOCOL_FEATURES;
        const auto features = ask(kGetFeatures);
        if (!features || (*features & kWanted) != kWanted) return false;
        const auto protocol_features = ask(kGetProtocolFeatures);
        if (!protocol_features) return false;
        // A back-end that has a configuration space may insist on it.
        const std::uint64_t taken = *protocol_features & (VHOST_USER_PROTOCOL_F_MQ | VHOST_USER_PROTOCOL_F_CONFIG);
        return tell(kSetProtocolFeatures, taken) && channel_.send(kSetOwner, 0, {}) && tell(kSetFeatures, kWanted) &&
               share_memory() && start_queue() && ask(kGetFeatures).has_value();
    }

    /// @return whether a read is good after a few.
    bool settle() {
        bool settled = false;
        for (unsigned i = 0; i < kFirstReads && !settled; ++i) {
            ring_.put(0, 0);
            bool ended = false;
            while (!ended) {
                submit();
                if (!wait()) return false;
                ring_.take_used([&](std::uint16_t, bool good) { ended = true, settled = good; });
            }
        }
        return settled;
    }

    int run(const LoadOptions& options) {
        LoadRun load(options);
        unsigned in_flight = options.depth;
        for (std::uint16_t place = 0; place < options.depth; ++place) ring_.put(place, load.next_offset());
        while (in_flight > 0) {
            submit();
            if (!wait()) return fail("the back-end does not answer");
            ring_.take_used([&](std::uint16_t place, bool good) {
                if (load.ended(good)) {
                    ring_.put(place, load.next_offset());
                } else {
                    --in_flight;
                }
            });
        }
        return load.report();
    }

private:
    template <class T>
    bool tell(VhostUserRequest request, const T& payload, std::initializer_list<int> descriptors = {}) {
        return channel_.send(request, 0, payload, std::span(descriptors.begin(), descriptors.size()));
    }
    std::optional<std::uint64_t> ask(VhostUserRequest request) {
        if (!channel_.send(request, 0, {})) return std::nullopt;
        pollfd ready{channel_.fd(), POLLIN, 0};
        while (::poll(&ready, 1, kStallMs) == 1) {
            const auto message = channel_.receive();
            if (!message) return std::nullopt;
            if (*message) return (*message)->as<std::uint64_t>();
        }
        return std::nullopt;
    }

    [[nodiscard]] std::uint64_t user_address(std::uint64_t offset) const {
        return reinterpret_cast<std::uintptr_t>(memory_.second.bytes().data()) + offset;
    }
    bool share_memory() {
        struct {
            VhostUserMemoryHeader header;
            VhostUserMemoryRegion region;
        } const table{{1, 0}, {0, RequestRing::kMemoryBytes, user_address(0), 0}};
        return tell(VhostUserRequest::kSetMemTable, table, {memory_.first.get()});
    }
    bool start_queue() {
        using enum VhostUserRequest;
        using State = VhostUserVringState;
        const VhostUserVringAddress addresses{queue_index_,
                                              0,
                                              user_address(RequestRing::kDescriptors),
                                              user_address(RequestRing::kUsed),
                                              user_address(RequestRing::kAvailable),
                                              0};
        const std::uint64_t index = queue_index_;
        return tell(kSetVringNum, State{queue_index_, RequestRing::kSize}) &&
               tell(kSetVringBase, State{queue_index_, 0}) && tell(kSetVringAddr, addresses) &&
               tell(kSetVringCall, index, {call_.fd()}) && tell(kSetVringKick, index, {kick_.fd()}) &&
               tell(kSetVringEnable, State{queue_index_, 1});
    }

    void submit() {
        if (ring_.publish()) kick_.signal();
    }
    /// @return false when nothing ended for long.
    bool wait() {
        if (polls_) return poll_used();
        while (ring_.wait_for_used()) {
            pollfd ready{call_.fd(), POLLIN, 0};
            if (::poll(&ready, 1, kStallMs) != 1) return false;
            (void)call_.consume();
        }
        return true;
    }

    bool poll_used() {
        const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(kStallMs);
        for (unsigned looks = 0; !ring_.has_used(); ++looks) {
            __builtin_ia32_pause();
            if (looks % 1024 == 0 && std::chrono::steady_clock::now() > until) return false;
        }
        return true;
    }

    bool polls_;
    MessageChannel channel_;
    std::pair<runtime::UniqueFd, SharedMapping> memory_;
    RequestRing ring_;
    std::uint32_t queue_index_;
    runtime::Notification kick_, call_;
};

runtime::UniqueFd dial(const std::string& path) {
    runtime::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return {};
    path.copy(address.sun_path, path.size());
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
    return socket;
}

std::unique_ptr<FrontEnd> connect(const std::string& path, const Nature& nature) {
    auto socket = dial(path);
    auto memory = SharedMapping::create("load", RequestRing::kMemoryBytes);
    if (!socket || !memory) return nullptr;
    auto front_end = std::make_unique<FrontEnd>(std::move(socket), std::move(*memory), nature);
    return front_end->connect() ? std::move(front_end) : nullptr;
}

int run(const std::string& path, const Nature& nature, const LoadOptions& options) {
    auto front_end = connect(path, nature);
    // A back-end has one front-end at a time, and may not have noticed yet that the one before has gone.
    for (int i = 0; i < kRetries && !front_end; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(kRetryMs));
        front_end = connect(path, nature);
    }
    if (!front_end) return fail("no back-end at " + path + ", or it lacks something");
    if (!front_end->settle()) return fail("the first reads failed");
    return front_end->run(options);
}

} // namespace

int main(int argc, char** argv) {
    CLI::App app("Random reads through a vhost-user back-end, for ./dev bench storage.");
    std::string path;
    Nature nature;
    bool scsi = false;
    app.add_option("socket", path, "where the back-end listens")->required();
    app.add_flag("--scsi", scsi,
                 "it is a virtio-scsi device, whose target 0 has the volume as LUN 0 (else virtio-blk)");
    app.add_flag("--poll", nature.polls, "look at the ring all the time instead of waiting for interrupts");
    const LoadOptions options(app, RequestRing::kSize);
    CLI11_PARSE(app, argc, argv);
    if (scsi) nature.layout = RequestLayout::kScsi;
    return run(path, nature, options);
}
