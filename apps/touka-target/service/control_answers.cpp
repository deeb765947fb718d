#include "control_answers.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace touka::target {

using nlohmann::json;

namespace {

json describe(const fabric::TargetConfig& target) {
    json luns = json::array();
    for (const auto& lun : target.luns) luns.push_back({{"lun", lun.number}, {"unit", lun.unit}});
    json access = json::array();
    for (const auto& entry : target.access) access.push_back(entry.initiator);
    return {{"name", target.name}, {"luns", luns}, {"access", access}};
}

json describe(const TargetService::UnitReport& unit) {
    const auto& counters = unit.counters;
    return {{"name", unit.name},
            {"commands", counters.commands},
            {"check_conditions", counters.check_conditions},
            {"reservation_conflicts", counters.reservation_conflicts},
            {"aborted_tasks", counters.aborted_tasks},
            {"given_up_tasks", counters.given_up_tasks},
            {"data_in_bytes", counters.data_in_bytes},
            {"data_out_bytes", counters.data_out_bytes}};
}

json describe(const scsi::iscsi::SessionInfo& session) {
    const auto& counters = session.counters;
    return {{"initiator", session.parameters.initiator_name},
            {"target", session.parameters.target_name},
            {"peer", session.peer_address},
            {"isid", fmt::format("{:012x}", session.isid)},
            {"tsih", session.tsih},
            {"port", session.relative_port},
            {"commands", counters.commands},
            {"data_in_bytes", counters.data_in_bytes},
            {"data_out_bytes", counters.data_out_bytes},
            {"ready_to_transfers", counters.ready_to_transfers},
            {"digest_errors", counters.digest_errors},
            {"rejects", counters.rejects}};
}

template <class List>
json describe_all(const List& list) {
    json all = json::array();
    for (const auto& element : list) all.push_back(describe(element));
    return all;
}

json failure(std::string text) { return {{"ok", false}, {"error", std::move(text)}}; }

} // namespace

std::string answer_control(const std::string& line, const std::function<TargetService::Report()>& report,
                           const std::function<std::expected<void, std::string>()>& reload) {
    const json request = json::parse(line, nullptr, false);
    const bool has_command = request.is_object() && request.contains("command") && request["command"].is_string();
    const std::string command = has_command ? request["command"].get<std::string>() : std::string();
    json answer = failure("unknown command; known are ls and reload");
    if (!has_command) {
        answer = failure("not a request: write {\"command\":\"ls\"}");
    } else if (command == "ls") {
        const auto all = report();
        answer = {{"ok", true},
                  {"portals", all.portals},
                  {"targets", describe_all(all.targets)},
                  {"units", describe_all(all.units)},
                  {"sessions", describe_all(all.sessions)}};
    } else if (command == "reload") {
        const auto reloaded = reload();
        answer = reloaded ? json{{"ok", true}} : failure(reloaded.error());
    }
    return answer.dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace touka::target
