#include <fmt/format.h>

#include <csignal>
#include <iostream>

#include "runtime/control_socket.hpp"
#include "service/device_answers.hpp"
#include "service/device_config.hpp"
#include "service/device_service.hpp"
#include "service_program.hpp"

using namespace touka;

namespace {

const service::Program kProgram{.name = "touka-device",
                                .description = "Serves PCI Express devices over vfio-user. SIGTERM ends the program.",
                                .file = "DEVICE.TOML",
                                .manual = "docs/device.md"};

int serve(const device::ServiceConfig& config, const runtime::UniqueFd& signals) {
    auto devices = device::DeviceService::start(config);
    if (!devices) return service::fail(kProgram, service::kConfiguration, devices.error());
    runtime::Reactor control_reactor("control");
    auto control = runtime::ControlSocket::open(control_reactor, config.control_socket, [&](const std::string& line) {
        return device::answer_control(line, **devices);
    });
    if (!control) return service::fail(kProgram, service::kConfiguration, control.error());
    for (const device::FunctionReport& each : (*devices)->report()) {
        if (each.socket.empty()) continue;
        std::cerr << fmt::format("touka-device: {}.{} at {}", each.device, each.number, each.socket) << std::endl;
    }
    (void)service::wait_for_signal(signals);
    control->reset();
    return service::kStopped;
}

} // namespace

int main(int argc, char** argv) {
    const auto request = service::parse(kProgram, argc, argv);
    if (!request) return request.error();
    const runtime::UniqueFd signals = service::take_signals({SIGTERM, SIGINT});
    const auto config = device::load_service(request->path);
    if (!config) return service::fail(kProgram, service::kConfiguration, describe(config.error()));
    if (request->check) return service::kStopped;
    return serve(*config, signals);
}
