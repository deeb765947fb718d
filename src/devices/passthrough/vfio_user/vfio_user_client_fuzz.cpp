// A server that says anything: the input answers the client's questions one after the other, and has commands in
// between. Whatever came, the process lives, nothing outside of the grants is reached, and each call returns.
#include <array>
#include <atomic>
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

constexpr std::uint64_t kRamBytes = 1 << 20, kGranted = 0x1000, kGrantedBytes = 0x1000;

/// Before each answer of the input; with 0x80 in the command it is a command of the server's, before the answer, and
/// with 0x40, too, one of Touka's own.
struct Step {
    std::uint8_t command;
    /// 1: an error; 2, 4: a memory file, an eventfd; 8: as a proper server would answer, 16: who asks for translations
    std::uint8_t flags;
    std::uint8_t payload_bytes;
};

Command command_of(std::uint8_t byte) {
    constexpr auto kFirst = static_cast<std::uint16_t>(Command::kTranslate);
    return static_cast<Command>((byte & 0x40) == 0 ? byte & 0x3F : kFirst + byte % 2);
}

/// What an IOMMU does, when it is on: there is nothing but the granted page.
class Between final : public memory::DmaSpace {
public:
    explicit Between(memory::GuestMemory& ram) : ram_(ram) {}
    std::expected<std::span<std::byte>, memory::DmaFault> translate(memory::Iova address, std::uint64_t length_bytes,
                                                                    memory::DmaAccess access) override {
        if (on && address.value - kGranted >= kGrantedBytes) return std::unexpected(memory::DmaFault{address, access});
        if (on) length_bytes = std::min(length_bytes, kGranted + kGrantedBytes - address.value);
        return ram_.translate(address, length_bytes, access);
    }
    void written(std::span<const std::byte> host_memory) override { ram_.written(host_memory); }
    std::atomic<bool> on{false};

private:
    memory::IdentityDmaSpace ram_;
};

/// The granted page at an address of its own.
class Agent final : public TranslationAgent {
    std::vector<AddressTranslation> translate(memory::Iova first, std::uint64_t length_bytes) override {
        if (length_bytes == 0 || (first.value | length_bytes) % 4096 != 0) std::abort();
        return {{first, memory::GuestAddress{kGranted}, kGrantedBytes, true, true}};
    }
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
                if (!channel_.send({1, static_cast<std::uint16_t>(command_of(step.command)), 0, 0, 0},
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
            if ((step.flags & 16) != 0 && question.command() == Command::kVersion) {
                Capabilities capabilities;
                capabilities.address_translation = true;
                const auto text = write_capabilities(capabilities);
                proper.insert(proper.end(), text.begin(), text.end());
            }
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
    Between dma(*ram);
    Agent agent; // outlives the device
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
                                         .retry = std::chrono::hours(1),
                                         .address_translation = true},
                                        dma);
    theirs.reset();
    if (!device) return 0;
    TranslatingDevice* const translating = (*device)->translating();
    dma.on = translating != nullptr;
    if (translating != nullptr) translating->set_agent(&agent);
    (void)(*device)->map_dma({.start = memory::Iova{kGranted}, .length_bytes = kGrantedBytes});
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
    if (translating != nullptr) translating->invalidate(std::array<AddressExtent, 300>{}, false);
    (*function)->reset();
    (void)(*function)->save();
    // Nothing but the granted page was touched.
    for (const auto byte : ram->span(memory::GuestAddress{0}, kGranted)) {
        if (byte != std::byte{0}) std::abort();
    }
    return 0;
}
