#include "device_answers.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace touka::device {

using nlohmann::json;

namespace {

std::string failure(const std::string& text) { return json{{"ok", false}, {"error", text}}.dump(); }

std::string list(DeviceService& service) {
    json functions = json::array();
    for (const FunctionReport& each : service.report()) {
        functions.push_back({{"device", each.device},
                             {"function", each.number},
                             {"socket", each.socket},
                             {"busy", each.busy},
                             {"faults", each.faults}});
        if (!each.busy) {
            functions.back()["connected"] = each.connected;
            functions.back()["grants"] = each.grants;
        }
        if (!each.last_fault) continue;
        const bool write = each.last_fault->access == memory::DmaAccess::kWrite;
        functions.back()["last-fault"] = {{"address", each.last_fault->address.value},
                                          {"access", write ? "write" : "read"}};
    }
    return json{{"ok", true}, {"functions", functions}}.dump();
}

template <class T>
std::optional<T> member(const json& request, const char* key) {
    const auto found = request.find(key);
    if (found == request.end()) return std::nullopt;
    if constexpr (std::is_same_v<T, std::string>) {
        return found->is_string() ? std::optional(found->get<std::string>()) : std::nullopt;
    } else {
        if (!found->is_number_unsigned() || found->get<std::uint64_t>() > 0xFFFF) return std::nullopt;
        return static_cast<T>(found->get<std::uint64_t>());
    }
}

} // namespace

std::string answer_control(const std::string& line, DeviceService& service) {
    const json request = json::parse(line, nullptr, false);
    if (!request.is_object()) return failure("not a JSON object");
    const auto command = member<std::string>(request, "command");
    if (command == "ls") return list(service);
    if (command != "take-away" && command != "hand-over") return failure("commands are ls, take-away and hand-over");
    const auto device = member<std::string>(request, "device");
    const auto function = member<std::uint16_t>(request, "function");
    const auto socket = member<std::string>(request, "socket");
    if (!device || !function) return failure("which \"device\" and which \"function\"?");
    if (command == "hand-over" && (!socket || socket->empty())) return failure("to which \"socket\"?");
    const auto done =
        command == "take-away" ? service.take_away(*device, *function) : service.hand_over(*device, *function, *socket);
    return done ? json{{"ok", true}}.dump() : failure(done.error());
}

} // namespace touka::device
