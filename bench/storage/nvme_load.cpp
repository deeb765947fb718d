// Random reads from an NVMe function that another process has, by vfio-user: as a user-space driver that polls does
// them, without a virtual machine.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <chrono>

#include "load.hpp"
#include "nvme_driver.hpp"

using namespace touka::bench;

namespace {

constexpr auto kPatience = std::chrono::seconds(5);

int run(const std::string& socket, const LoadOptions& options) {
    const auto connected = NvmeDriver::connect(socket);
    if (!connected) return fail(socket + ": " + connected.error());
    NvmeDriver& driver = **connected;
    LoadRun load(options);
    const auto start = [&](std::uint16_t place) {
        driver.put_read(place, load.next_offset(), kReadBytes, std::uint64_t{place} * kReadBytes);
    };
    for (std::uint16_t place = 0; place < options.depth; ++place) start(place);
    unsigned in_flight = options.depth;
    auto last = std::chrono::steady_clock::now();
    while (in_flight > 0) {
        driver.ring();
        unsigned looks = 0;
        while (driver.take_ended([&](std::uint16_t place, bool good) {
            if (load.ended(good)) {
                start(place);
            } else {
                --in_flight;
            }
        }) == 0) {
            __builtin_ia32_pause();
            if (++looks % 4096 == 0 && std::chrono::steady_clock::now() > last + kPatience) {
                return fail("the device does not answer");
            }
        }
        if (looks > 0) last = std::chrono::steady_clock::now();
    }
    return load.report();
}

} // namespace

int main(int argc, char** argv) {
    CLI::App app("Random reads from an NVMe function over vfio-user, for ./dev bench direct.");
    std::string socket;
    app.add_option("socket", socket, "where the function is served")->required();
    const LoadOptions options(app, NvmeDriver::kQueueSize / 2);
    CLI11_PARSE(app, argc, argv);
    return run(socket, options);
}
