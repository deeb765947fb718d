#include "service_program.hpp"

#include <fmt/format.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <csignal>
#include <iostream>

namespace touka::service {

std::expected<Request, int> parse(const Program& program, int argc, char** argv) {
    CLI::App app(program.description);
    app.name(program.name);
    Request request;
    app.add_option("file", request.path, fmt::format("configuration ({})", program.manual))
        ->type_name(program.file)
        ->required();
    app.add_flag("--check", request.check, "only say whether the configuration is right");
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        std::cout << app.help();
        return std::unexpected(int{kStopped});
    } catch (const CLI::ParseError& error) {
        return std::unexpected(fail(program, kUsage, fmt::format("{} ({} --help)", error.what(), program.name)));
    }
    return request;
}

int fail(const Program& program, ExitStatus status, const std::string& text) {
    std::cerr << program.name << ": error: " << text << "\n";
    return status;
}

runtime::UniqueFd take_signals(std::initializer_list<int> signals) {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int signal : signals) ::sigaddset(&set, signal);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    return runtime::UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC));
}

int wait_for_signal(const runtime::UniqueFd& signals) {
    signalfd_siginfo signal{};
    while (::read(signals.get(), &signal, sizeof signal) != sizeof signal) continue;
    return static_cast<int>(signal.ssi_signo);
}

} // namespace touka::service
