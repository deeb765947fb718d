#include <fmt/format.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <csignal>
#include <iostream>

#include "runtime/control_socket.hpp"
#include "runtime/unique_fd.hpp"
#include "service/device_answers.hpp"
#include "service/device_config.hpp"
#include "service/device_service.hpp"

using namespace touka;

namespace {

enum Exit : int { kStopped = 0, kFailed = 1, kUsage = 2, kConfiguration = 3 };

int fail(Exit status, const std::string& text) {
    std::cerr << "touka-device: error: " << text << "\n";
    return status;
}

/// SIGTERM and SIGINT end the program; blocked before any other thread is made.
runtime::UniqueFd block_signals() {
    sigset_t signals;
    ::sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT}) ::sigaddset(&signals, signal);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    return runtime::UniqueFd(::signalfd(-1, &signals, SFD_CLOEXEC));
}

int serve(const device::ServiceConfig& config, const runtime::UniqueFd& signals) {
    auto service = device::DeviceService::start(config);
    if (!service) return fail(kConfiguration, service.error());
    runtime::Reactor control_reactor("control");
    auto control = runtime::ControlSocket::open(control_reactor, config.control_socket, [&](const std::string& line) {
        return device::answer_control(line, **service);
    });
    if (!control) return fail(kConfiguration, control.error());
    for (const device::FunctionReport& each : (*service)->report()) {
        if (!each.socket.empty()) {
            std::cerr << fmt::format("touka-device: {}.{} at {}", each.device, each.number, each.socket) << std::endl;
        }
    }
    signalfd_siginfo signal{};
    while (::read(signals.get(), &signal, sizeof signal) != sizeof signal) continue;
    control->reset();
    return kStopped;
}

} // namespace

int main(int argc, char** argv) {
    CLI::App app("Serves PCI Express devices over vfio-user. SIGTERM ends the program.");
    app.name("touka-device");
    std::string path;
    bool check = false;
    app.add_option("file", path, "configuration (docs/device.md)")->type_name("DEVICE.TOML")->required();
    app.add_flag("--check", check, "only say whether the configuration is right");
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        std::cout << app.help();
        return kStopped;
    } catch (const CLI::ParseError& error) {
        return fail(kUsage, fmt::format("{} (touka-device --help)", error.what()));
    }
    const runtime::UniqueFd signals = block_signals();
    const auto config = device::load_service(path);
    if (!config) return fail(kConfiguration, describe(config.error()));
    if (check) return kStopped;
    return serve(*config, signals);
}
