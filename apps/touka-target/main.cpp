#include <fmt/format.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <csignal>
#include <cstdlib>
#include <iostream>

#include "runtime/control_socket.hpp"
#include "runtime/unique_fd.hpp"
#include "service/control_answers.hpp"
#include "service/target_service.hpp"

using namespace touka;

namespace {

enum Exit : int { kStopped = 0, kFailed = 1, kUsage = 2, kConfiguration = 3 };

int fail(Exit status, const std::string& text) {
    std::cerr << "touka-target: error: " << text << "\n";
    return status;
}

/// SIGTERM and SIGINT end the program, SIGHUP reloads; blocked before any other thread is made.
runtime::UniqueFd block_signals() {
    sigset_t signals;
    ::sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals, signal);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    return runtime::UniqueFd(::signalfd(-1, &signals, SFD_CLOEXEC));
}

int serve(const std::string& path, const fabric::ServiceConfig& config, const runtime::UniqueFd& signals) {
    auto service = target::TargetService::start(
        config, [](const std::string& text) { std::cerr << "touka-target: " << text << std::endl; });
    if (!service) return fail(kConfiguration, service.error());
    const auto reload = [&]() -> std::expected<void, std::string> {
        const auto fresh = fabric::load_service(path);
        if (!fresh) return std::unexpected(describe(fresh.error()));
        return (*service)->reload(*fresh);
    };
    runtime::Reactor control_reactor("control");
    auto control = runtime::ControlSocket::open(control_reactor, config.control_socket, [&](const std::string& line) {
        return target::answer_control(line, [&] { return (*service)->report(); }, reload);
    });
    if (!control) return fail(kConfiguration, control.error());
    for (const std::string& portal : (*service)->report().portals) {
        std::cerr << "touka-target: listening on " << portal << std::endl;
    }
    for (signalfd_siginfo signal{}; ::read(signals.get(), &signal, sizeof signal) == sizeof signal;) {
        if (signal.ssi_signo != SIGHUP) break;
        const auto reloaded = reload();
        std::cerr << "touka-target: " << (reloaded ? "reloaded" : "not reloaded: " + reloaded.error()) << std::endl;
    }
    control->reset();
    // What the host never returns cannot be waited for: it ends with the process.
    if (!(*service)->close()) std::_Exit(kStopped);
    return kStopped;
}

} // namespace

int main(int argc, char** argv) {
    CLI::App app("Serves SCSI units over iSCSI. SIGHUP reads the configuration again, SIGTERM ends the program.");
    app.name("touka-target");
    std::string path;
    bool check = false;
    app.add_option("file", path, "configuration (docs/target.md)")->type_name("TARGET.TOML")->required();
    app.add_flag("--check", check, "only say whether the configuration is right");
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        std::cout << app.help();
        return kStopped;
    } catch (const CLI::ParseError& error) {
        return fail(kUsage, fmt::format("{} (touka-target --help)", error.what()));
    }
    const runtime::UniqueFd signals = block_signals();
    const auto config = fabric::load_service(path);
    if (!config) return fail(kConfiguration, describe(config.error()));
    if (check) return kStopped;
    return serve(path, *config, signals);
}
