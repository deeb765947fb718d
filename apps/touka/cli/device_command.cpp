#include "device_command.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "configuration/values.hpp"
#include "control_answer.hpp"
#include "control_client.hpp"

namespace touka::cli {

using nlohmann::json;

namespace {

constexpr std::uint64_t kFunctionLimit = 0xFFFF;

std::string table(const json& functions) {
    std::string text =
        fmt::format("{:<20} {:<10} {:>7} {:>7}  {}\n", "function", "server", "grants", "faults", "socket");
    for (const json& each : functions) {
        const std::string name =
            fmt::format("{}.{}", each.at("device").get<std::string>(), each.at("function").get<unsigned>());
        const auto socket = each.at("socket").get<std::string>();
        std::string server = "waits", grants = "-"; // for I/O that does not end
        if (!each.at("busy").get<bool>()) {
            server = each.at("connected").get<bool>() ? "has it" : "-";
            grants = fmt::to_string(each.at("grants").get<std::uint64_t>());
        }
        text += fmt::format("{:<20} {:<10} {:>7} {:>7}  {}\n", name, server, grants,
                            each.at("faults").get<std::uint64_t>(), socket.empty() ? "-" : socket);
    }
    return text;
}

} // namespace

std::expected<std::string, std::string> device_question(const DeviceCommand& command) {
    if (command.action == "ls") return json{{"command", "ls"}}.dump();
    const std::size_t dot = command.function.rfind('.');
    const auto number = dot == std::string::npos ? configuration::ValueOr<std::uint64_t>(std::unexpected(""))
                                                 : configuration::parse_number(command.function.substr(dot + 1));
    if (!number || *number > kFunctionLimit || dot == 0) {
        return std::unexpected(
            fmt::format("\"{}\" is not a function: write DEVICE.NUMBER, as touka device ls does", command.function));
    }
    json question{{"command", command.action}, {"device", command.function.substr(0, dot)}, {"function", *number}};
    if (command.action == "hand-over") question["socket"] = command.to;
    return question.dump();
}

std::expected<std::string, std::string> format_device_answer(const std::string& action, const std::string& answer) {
    return read_answer("touka-device", answer, [&action](const json& said) -> AnswerText {
        return action == "ls" ? table(said.at("functions")) : "done\n";
    });
}

ExitStatus run_device(const DeviceCommand& command, std::ostream& output, Messages& messages) {
    const auto question = device_question(command);
    if (!question) {
        messages.error(question.error());
        return ExitStatus::kUsage;
    }
    const auto answer = ask("touka-device", command.socket, *question);
    return print_answer(answer ? format_device_answer(command.action, *answer) : std::unexpected(answer.error()),
                        output, messages);
}

} // namespace touka::cli
