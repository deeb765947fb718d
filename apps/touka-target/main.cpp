#include <csignal>
#include <cstdlib>
#include <iostream>

#include "runtime/control_socket.hpp"
#include "service/control_answers.hpp"
#include "service/target_service.hpp"
#include "service_program.hpp"

using namespace touka;

namespace {

const service::Program kProgram{
    .name = "touka-target",
    .description = "Serves SCSI units over iSCSI. SIGHUP reads the configuration again, SIGTERM ends the program.",
    .file = "TARGET.TOML",
    .manual = "docs/target.md"};

int serve(const std::string& path, const fabric::ServiceConfig& config, const runtime::UniqueFd& signals) {
    auto target = target::TargetService::start(
        config, [](const std::string& text) { std::cerr << "touka-target: " << text << std::endl; });
    if (!target) return service::fail(kProgram, service::kConfiguration, target.error());
    const auto reload = [&]() -> std::expected<void, std::string> {
        const auto fresh = fabric::load_service(path);
        if (!fresh) return std::unexpected(describe(fresh.error()));
        return (*target)->reload(*fresh);
    };
    runtime::Reactor control_reactor("control");
    auto control = runtime::ControlSocket::open(control_reactor, config.control_socket, [&](const std::string& line) {
        return target::answer_control(line, [&] { return (*target)->report(); }, reload);
    });
    if (!control) return service::fail(kProgram, service::kConfiguration, control.error());
    for (const std::string& portal : (*target)->report().portals) {
        std::cerr << "touka-target: listening on " << portal << std::endl;
    }
    while (service::wait_for_signal(signals) == SIGHUP) {
        const auto reloaded = reload();
        std::cerr << "touka-target: " << (reloaded ? "reloaded" : "not reloaded: " + reloaded.error()) << std::endl;
    }
    control->reset();
    // What the host never returns cannot be waited for: it ends with the process.
    if (!(*target)->close()) std::_Exit(service::kStopped);
    return service::kStopped;
}

} // namespace

int main(int argc, char** argv) {
    const auto request = service::parse(kProgram, argc, argv);
    if (!request) return request.error();
    const runtime::UniqueFd signals = service::take_signals({SIGTERM, SIGINT, SIGHUP});
    const auto config = fabric::load_service(request->path);
    if (!config) return service::fail(kProgram, service::kConfiguration, describe(config.error()));
    if (request->check) return service::kStopped;
    return serve(request->path, *config, signals);
}
