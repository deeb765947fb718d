// A server that says anything: the input answers the client's questions one after the other, and has commands in
// between. Whatever came, the process lives, nothing outside of the grants is reached, and each call returns.
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include "devices/passthrough/passthrough_function.hpp"
#include "devices/passthrough/vfio_user/test_remote.hpp"

using namespace touka;
using namespace touka::devices::passthrough;

namespace {

constexpr std::uint64_t kRamBytes = 1 << 20, kGranted = 0x1000;

/// Before each answer of the input; with 0x80 in the command it is a command of the server's, before the answer.
struct Step {
    std::uint8_t command;
    std::uint8_t flags; ///< 1: an error; 2, 4: a memory file, an eventfd; 8: as a proper server would answer
    std::uint8_t payload_bytes;
};

class Liar {
public:
    Liar(runtime::UniqueFd socket, std::span<const std::uint8_t> script)
        : channel_(std::move(socket)), script_(script), thread_([this] {
              run();
              channel_ = MessageChannel(runtime::UniqueFd()); // nobody has to wait for more
          }) {}
    ~Liar() { thread_.join(); }

private:
    void run() {
        pollfd ready{channel_.fd(), POLLIN, 0};
        while (true) {
            const int count = ::poll(&ready, 1, 2000);
            if (count < 0 && errno == EINTR) continue; // the fuzzer's alarm
            if (count != 1) return;
            auto question = channel_.receive();
            if (!question) return;
            if (!*question || (*question)->is_reply()) continue;
            if (!answer(**question)) return;
        }
    }
    bool answer(const Message& question) {
        while (script_.size() >= sizeof(Step)) {
            Step step;
            std::memcpy(&step, script_.data(), sizeof step);
            script_ = script_.subspan(sizeof step);
            const auto bytes = script_.first(std::min<std::size_t>(step.payload_bytes, script_.size()));
            script_ = script_.subspan(bytes.size());
            if ((step.command & 0x80) != 0) {
                if (!channel_.send({1, static_cast<std::uint16_t>(step.command & 0x7F), 0, 0, 0},
                                   std::as_bytes(bytes))) {
                    return false;
                }
                continue;
            }
            if (!question.wants_reply()) return true;
            std::vector<int> descriptors;
            if ((step.flags & 2) != 0) descriptors.push_back(file_.first.get());
            if ((step.flags & 4) != 0) descriptors.push_back(event_.fd());
            std::vector<std::byte> proper;
            if ((step.flags & 8) != 0) proper = test::proper_answer(question);
            const spec::vfio_user::Header header{
                question.header.message_id, question.header.command, 0,
                spec::vfio_user::kTypeReply | ((step.flags & 1) != 0 ? spec::vfio_user::kError : 0), 5};
            const auto payload = (step.flags & 8) != 0 ? std::span<const std::byte>(proper) : std::as_bytes(bytes);
            return channel_.send(header, payload, descriptors).has_value();
        }
        return false;
    }

    MessageChannel channel_;
    std::span<const std::uint8_t> script_;
    std::pair<runtime::UniqueFd, runtime::SharedMapping> file_ = runtime::SharedMapping::create("bar", 0x4000).value();
    runtime::Notification event_;
    std::thread thread_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto ram = memory::GuestMemory::create(kRamBytes).value();
    memory::IdentityDmaSpace dma(*ram);
    auto [ours, theirs] = runtime::DescriptorSocket::pair();
    Liar server(std::move(ours), std::span(data, size));
    UnwiredMsi sink;
    runtime::Reactor reactor("fuzz");
    platform::AddressSpace space, ports; // outlive the function
    auto device = RemoteDevice::connect({.name = "fuzz",
                                         .dial = [&]() -> std::expected<runtime::UniqueFd, std::string> {
                                             if (!theirs) return std::unexpected("once only");
                                             return std::move(theirs);
                                         },
                                         .answer_limit = std::chrono::milliseconds(500),
                                         .reset_limit = std::chrono::milliseconds(500),
                                         .retry = std::chrono::hours(1)},
                                        dma);
    theirs.reset();
    if (!device) return 0;
    (void)(*device)->map_dma({.start = memory::Iova{kGranted}, .length_bytes = 0x1000});
    auto function = PassthroughFunction::create("fuzz", **device, sink, reactor);
    if (!function) return 0;
    (*function)->attach({.memory = &space, .ports = &ports});
    for (std::uint32_t at = 0; at < 0x40; at += 4) {
        (*function)->write_config(at, 4, (*function)->read_config(at, 4) | 0x8000'0006);
    }
    for (unsigned i = 0; i < (*function)->bars().size(); ++i) {
        const auto& bar = (*function)->bars()[i];
        if (bar.length_bytes == 0) continue;
        bar.handler->write(bar.length_bytes - 8, 8, 1);
        (void)bar.handler->read(0, 4);
    }
    (*function)->reset();
    (void)(*function)->save();
    // Nothing but the granted page was touched.
    for (const auto byte : ram->span(memory::GuestAddress{0}, kGranted)) {
        if (byte != std::byte{0}) std::abort();
    }
    return 0;
}
