// A client that sends anything: the input is a list of messages, each with a descriptor of some kind or none, most
// after a correct introduction. Whatever came, the process lives, and the next client finds the function reset. Where
// the function asks for translations, the input's end is the answer.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>

#include "devices/passthrough/vfio_user/test_client.hpp"

using namespace touka;
using namespace touka::devices::passthrough;

namespace {

/// Before each message of the input.
struct Step {
    std::uint8_t command;
    std::uint8_t descriptor;
    std::uint8_t flags;
    std::uint8_t payload_bytes;
};

/// Commands beyond these are Touka's own, kTranslate and kInvalidateTranslations.
constexpr std::uint8_t kOwnCommands = 0x40;

Command command_of(std::uint8_t byte) {
    constexpr auto kFirst = static_cast<std::uint16_t>(Command::kTranslate);
    return static_cast<Command>(byte < kOwnCommands ? byte : kFirst + byte % 2);
}

/// Answers what is asked at a twin socket, always the same.
class Twin {
public:
    Twin(runtime::UniqueFd socket, std::span<const std::byte> answer)
        : channel_(std::move(socket)), thread_([this, answer] {
              pollfd ready{channel_.fd(), POLLIN, 0};
              while (::poll(&ready, 1, 1000) != 0) {
                  const auto question = channel_.receive();
                  if (!question) return;
                  if (!*question || !(*question)->wants_reply()) continue;
                  (void)channel_.send(
                      {(*question)->header.message_id, (*question)->header.command, 0, spec::vfio_user::kTypeReply, 0},
                      answer);
              }
          }) {}

private:
    MessageChannel channel_;
    std::jthread thread_; // ends with the other end of the socket
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const bool answers = size > 0 && (*data & 3) == 3;
    test::TestServer server(std::chrono::milliseconds(answers ? 50 : 1));
    std::unique_ptr<Twin> twin;
    {
        test::TestClient client(server.connect());
        auto ram = runtime::SharedMapping::create("ram", 0x10000).value();
        const runtime::Notification event;
        if (size > 0 && (*data & 1) != 0) {
            auto capabilities = test::TestClient::wide();
            capabilities.twin_socket = capabilities.address_translation = answers;
            auto greeting = client.introduce(capabilities);
            if (!greeting) std::abort();
            const auto end = std::as_bytes(std::span(data, size)).last(std::min<std::size_t>(size, 48));
            if (answers) twin = std::make_unique<Twin>(std::move(greeting->descriptors.at(0)), end);
        }
        while (size >= sizeof(Step)) {
            Step step;
            std::memcpy(&step, data, sizeof step);
            data += sizeof step;
            size -= sizeof step;
            const std::size_t length = std::min<std::size_t>(step.payload_bytes, size);
            std::vector<int> descriptors;
            if (step.descriptor % 4 == 1) descriptors.push_back(ram.first.get());
            if (step.descriptor % 4 == 2) descriptors.assign(step.descriptor / 4, event.fd());
            if (step.descriptor % 4 == 3) descriptors.push_back(2);
            if (descriptors.size() > 64) descriptors.resize(64);
            client.send(command_of(step.command), std::as_bytes(std::span(data, length)), descriptors,
                        step.flags & 0x31u);
            data += length;
            size -= length;
            server.reactor.run_and_wait([] {});
        }
    }
    server.wait_until_idle();
    test::TestClient next(server.connect());
    if (!next.introduce()) std::abort();
    if (next.read<std::uint16_t>(spec::vfio::VFIO_PCI_CONFIG_REGION_INDEX, 4) != 0) std::abort();
    if (server.space.grant_count() != 0) std::abort();
    return 0;
}
