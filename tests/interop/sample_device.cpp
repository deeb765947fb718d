// The device of libvfio-user's sample `server`, by the classes that touka-device serves its functions with: what the
// sample `client` expects at a socket. Without libvfio-user's code; see libvfio_user.py for who runs it.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <iostream>
#include <span>
#include <thread>

#include "devices/passthrough/vfio_user/server.hpp"
#include "devices/passthrough/vfio_user/test_memory_bar.hpp"
#include "runtime/reactor.hpp"

namespace touka::interop {
namespace {

using devices::passthrough::MappableRegion;
using devices::passthrough::MappedDmaSpace;
using memory::Iova;
using std::chrono::system_clock;

constexpr std::uint64_t kClockBytes = 16, kMemoryBytes = 0x4000, kPageBytes = 0x1000;
/// The client grants so many pages at most, from address 0 on.
constexpr std::uint64_t kPages = 256;

struct SampleState {
    static constexpr std::uint16_t kVersion = 1;
    std::array<std::uint8_t, 64> header{}; // of the configuration space: the client reads 17 KiB of state, no more
    std::int64_t alarm_s = 0;
    std::array<std::uint8_t, kMemoryBytes> memory{};
    void describe(auto& archive) { archive(header, alarm_s, memory); }
};

/// BAR 0 is a clock: a time in seconds that is written is when the pin is raised and memory is written; what is read is
/// how long ago that is. BAR 1 is memory, two pages of which the client may map.
class SampleDevice final : public platform::PciFunction,
                           public devices::passthrough::RegionSharing,
                           private platform::IoHandler {
public:
    SampleDevice(MappedDmaSpace& space, runtime::Reactor& reactor)
        : PciFunction("sample", {.vendor_id = 0xDEAD,
                                 .device_id = 0xBEEF,
                                 .revision_id = 0,
                                 .class_code = 0,
                                 .subsystem_vendor_id = 0xCAFE,
                                 .subsystem_id = 0xBABE}),
          space_(space), timer_(reactor.make_timer([this] { ring(); })), reactor_(reactor) {
        define_bar(0, platform::BarKind::kMemory32, kClockBytes, *this);
        define_bar(1, platform::BarKind::kMemory32, kMemoryBytes, memory_bar_);
        set_interrupt_pin(1);
    }
    ~SampleDevice() override { detach(); }

    void pause() override { timer_->disarm(); }
    void resume() override {
        if (alarm_s_ != 0) arm();
    }
    void reset() override {
        PciFunction::reset();
        timer_->disarm();
        pin().set(false);
        alarm_s_ = 0;
    }
    [[nodiscard]] migration::Record save() const override {
        SampleState state{.alarm_s = alarm_s_};
        std::copy_n(config().save().begin(), state.header.size(), state.header.begin());
        std::memcpy(state.memory.data(), memory_.second.bytes().data(), kMemoryBytes);
        return migration::save_record("sample", state);
    }
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override {
        const auto state = migration::load_record<SampleState>(record);
        if (!state) return std::unexpected(state.error());
        alarm_s_ = state->alarm_s;
        std::memcpy(memory_.second.bytes().data(), state->memory.data(), kMemoryBytes);
        auto function = save_function();
        std::ranges::copy(state->header, function.config.begin());
        return restore_function(function);
    }

    [[nodiscard]] std::optional<MappableRegion> mappable(unsigned bar) override {
        if (bar != 1) return std::nullopt;
        return MappableRegion{memory_.first.get(), 0, {{0, kPageBytes}, {3 * kPageBytes, kPageBytes}}};
    }

private:
    static std::int64_t now_s() { return system_clock::to_time_t(system_clock::now()); }

    [[nodiscard]] std::uint64_t read(std::uint64_t offset, unsigned width_bytes) override {
        return offset == 0 && width_bytes == 8 ? static_cast<std::uint64_t>(now_s() - alarm_s_) : 0;
    }
    void write(std::uint64_t offset, unsigned width_bytes, std::uint64_t value) override {
        if (offset != 0 || width_bytes != 8) return;
        pin().set(false);
        alarm_s_ = static_cast<std::int64_t>(value);
        arm();
    }
    void arm() {
        const auto left = std::clamp<std::int64_t>(alarm_s_ - now_s(), 0, 3600);
        timer_->arm(reactor_.now_ns() + static_cast<std::uint64_t>(left) * 1'000'000'000);
    }

    void ring() {
        pin().set(true);
        move_memory();
    }
    /// By messages in the first page that was granted, and directly in the second.
    void move_memory() {
        const auto first = granted_from(0);
        if (!first) return complain("nothing is granted");
        std::array<std::byte, kPageBytes> written{}, seen{};
        written.fill(std::byte{'A'});
        const auto client = space_.remote();
        if (!client || !client->write(*first, written) || !client->read(*first, seen) || seen != written) {
            return complain("the client's memory is not what was written");
        }
        const auto second = granted_from(first->value + kPageBytes);
        if (!second || !space_.write(*second, written)) complain("the second page cannot be written");
    }
    std::optional<Iova> granted_from(std::uint64_t address) {
        for (; address < kPages * kPageBytes; address += kPageBytes) {
            if (!space_.find(Iova{address}, kPageBytes, memory::DmaAccess::kWrite).empty()) return Iova{address};
        }
        return std::nullopt;
    }
    static void complain(const char* what) { std::cerr << "sample device: " << what << std::endl; }

    MappedDmaSpace& space_;
    std::pair<runtime::UniqueFd, runtime::SharedMapping> memory_ =
        runtime::SharedMapping::create("bar1", kMemoryBytes).value();
    devices::passthrough::test::MemoryBar memory_bar_{memory_.second.bytes()};
    std::unique_ptr<runtime::Timer> timer_;
    runtime::Reactor& reactor_;
    std::int64_t alarm_s_ = 0; // since 1970; 0: none
};

int serve(const std::string& path) {
    MappedDmaSpace space("sample");
    runtime::Reactor reactor("sample");
    SampleDevice device(space, reactor);
    auto server = std::make_unique<devices::passthrough::VfioUserServer>(
        reactor, devices::passthrough::ServedDevice{device, space, &device},
        devices::passthrough::VfioUserServer::Settings{});
    std::expected<void, std::string> listening;
    reactor.run_and_wait([&] { listening = server->listen(path); });
    if (!listening) {
        std::cerr << "sample device: " << listening.error() << std::endl;
        return 1;
    }
    // One client: the sample server, too, ends when it has left.
    bool connected = false;
    for (bool served = false; !served || connected; std::this_thread::sleep_for(std::chrono::milliseconds(20))) {
        reactor.run_and_wait([&] { connected = server->connected(); });
        served = served || connected;
    }
    reactor.run_and_wait([&] { server.reset(); });
    return 0;
}

} // namespace
} // namespace touka::interop

int main(int argc, char** argv) {
    // As the sample server is called: [-v] SOCKET.
    if (argc < 2) {
        std::cerr << "usage: sample_device [-v] SOCKET" << std::endl;
        return 2;
    }
    return touka::interop::serve(argv[argc - 1]);
}
