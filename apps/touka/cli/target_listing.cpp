#include "target_listing.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "control_answer.hpp"
#include "control_client.hpp"

namespace touka::cli {

using nlohmann::json;

namespace {

std::string format(const json& listing) {
    std::string text;
    for (const std::string portal : listing.at("portals")) text += fmt::format("portal  {}\n", portal);
    for (const json& target : listing.at("targets")) {
        text += fmt::format("\ntarget  {}\n", target.at("name").get<std::string>());
        for (const json& lun : target.at("luns")) {
            text += fmt::format("  LUN {:<5} {}\n", lun.at("lun").get<unsigned>(), lun.at("unit").get<std::string>());
        }
        const auto access = target.at("access").get<std::vector<std::string>>();
        text +=
            fmt::format("  for       {}\n", access.empty() ? "everybody" : fmt::format("{}", fmt::join(access, ", ")));
    }
    text += fmt::format("\n{:<16} {:>12} {:>12} {:>12} {:>10} {:>10} {:>10}\n", "unit", "commands", "in KiB", "out KiB",
                        "checks", "conflicts", "given up");
    for (const json& unit : listing.at("units")) {
        text += fmt::format(
            "{:<16} {:>12} {:>12} {:>12} {:>10} {:>10} {:>10}\n", unit.at("name").get<std::string>(),
            unit.at("commands").get<std::uint64_t>(), unit.at("data_in_bytes").get<std::uint64_t>() / 1024,
            unit.at("data_out_bytes").get<std::uint64_t>() / 1024, unit.at("check_conditions").get<std::uint64_t>(),
            unit.at("reservation_conflicts").get<std::uint64_t>(), unit.at("given_up_tasks").get<std::uint64_t>());
    }
    for (const json& session : listing.at("sessions")) {
        text += fmt::format("\nsession {} from {}\n  to {}, port {}, {} commands\n",
                            session.at("initiator").get<std::string>(), session.at("peer").get<std::string>(),
                            session.at("target").get<std::string>(), session.at("port").get<unsigned>(),
                            session.at("commands").get<std::uint64_t>());
    }
    return text;
}

} // namespace

std::expected<std::string, std::string> format_target_answer(const std::string& action, const std::string& answer) {
    return read_answer("touka-target", answer,
                       [&action](const json& said) -> AnswerText { return action == "ls" ? format(said) : "done\n"; });
}

ExitStatus run_target(const TargetCommand& command, std::ostream& output, Messages& messages) {
    const auto answer = ask("touka-target", command.socket, json{{"command", command.action}}.dump());
    return print_answer(answer ? format_target_answer(command.action, *answer) : std::unexpected(answer.error()),
                        output, messages);
}

} // namespace touka::cli
