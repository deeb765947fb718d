// A front-end that sends anything: the input is a list of messages, each with a descriptor of some kind or none, and
// doorbells in between. Whatever came, the process lives, and the next connection finds a device.
#include <sys/mman.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "devices/virtio/scsi.hpp"
#include "devices/virtio/test_unit.hpp"
#include "devices/virtio/vhost_user/back_end.hpp"
#include "devices/virtio/vhost_user/test_front_end.hpp"

using namespace touka;
using namespace touka::devices::virtio;

namespace {

/// Before each message of the input: what it is, and how long its payload.
struct Step {
    std::uint8_t request;
    std::uint8_t descriptor;
    std::uint8_t flags;
    std::uint8_t payload_bytes;
};

class Machine {
public:
    Machine() {
        ring_.kick.signal();
        for (std::uint64_t at = 0; at < test::SharedRam::kBytes; at += 512) ram_.store(at, std::uint64_t{0x0001'0001});
    }
    void connect() {
        auto [ours, theirs] = test::TestFrontEnd::connection();
        front_end_ = std::make_unique<test::TestFrontEnd>(ram_, std::move(ours));
        reactor_.run_and_wait([&, socket = std::make_shared<runtime::UniqueFd>(std::move(theirs))] {
            auto scsi =
                std::make_unique<Scsi>(ScsiConfiguration{{spec::scsi::ProtocolIdentifier::kFibreChannel, "1"}, 1});
            scsi->attach(0, target_, 1, {{scsi::Lun::from_number(0), &unit_}});
            back_end_ = std::make_unique<VhostUserBackEnd>(reactor_, std::move(*socket), std::move(scsi),
                                                           [this] { back_end_.reset(); });
        });
    }
    void send(const Step& step, std::span<const std::uint8_t> payload) {
        if (step.request == 255) {
            ring_.kick.signal();
            reactor_.run_and_wait([] {});
            return;
        }
        std::vector<int> descriptors;
        if (step.descriptor % 4 == 1) descriptors.push_back(ram_.file.first.get());
        if (step.descriptor % 4 == 2) descriptors.push_back(ring_.kick.fd());
        if (step.descriptor % 4 == 3) descriptors.push_back(2);
        (void)front_end_->send_bytes(static_cast<VhostUserRequest>(step.request), step.flags & 8u,
                                     std::as_bytes(payload), descriptors);
        reactor_.run_and_wait([] {});
    }
    void disconnect() {
        front_end_.reset();
        for (bool there = true; there;) reactor_.run_and_wait([&] { there = back_end_ != nullptr; });
    }
    void check_alive() {
        disconnect();
        connect();
        const auto answer = front_end_->ask(VhostUserRequest::kGetQueueNum, std::uint64_t{0});
        if (!answer || answer->as<std::uint64_t>() != 3u) std::abort();
        disconnect();
    }

private:
    test::SharedRam ram_;
    test::TestUnit unit_;
    scsi::Target target_;
    runtime::Reactor reactor_{"vhost-user"};
    std::unique_ptr<test::TestFrontEnd> front_end_;
    test::TestFrontEnd::Ring ring_;
    std::unique_ptr<VhostUserBackEnd> back_end_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Machine machine;
    machine.connect();
    while (size >= sizeof(Step)) {
        Step step;
        std::memcpy(&step, data, sizeof step);
        data += sizeof step;
        size -= sizeof step;
        const std::size_t length = std::min<std::size_t>(step.payload_bytes, size);
        machine.send(step, {data, length});
        data += length;
        size -= length;
    }
    machine.check_alive();
    return 0;
}
