#include "slot_protocol.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "machine/card_flags.hpp"

namespace touka::cli {

using machine::SlotReport;
using nlohmann::json;
using Indicator = platform::HotPlugSlot::Indicator;

namespace {

std::optional<std::string> text_of(const json& request, const char* key) {
    const auto found = request.find(key);
    if (found == request.end() || !found->is_string()) return std::nullopt;
    return found->get<std::string>();
}

std::optional<std::uint32_t> number_of(const json& request, const char* key, std::uint32_t most) {
    const auto found = request.find(key);
    if (found == request.end() || !found->is_number_unsigned() || found->get<std::uint64_t>() > most) {
        return std::nullopt;
    }
    return static_cast<std::uint32_t>(found->get<std::uint64_t>());
}

const char* name_of(SlotReport::State state) {
    switch (state) {
        case SlotReport::State::kEmpty: return "empty";
        case SlotReport::State::kOccupied: return "occupied";
        case SlotReport::State::kLeaving: return "leaving";
    }
    std::unreachable();
}

const char* name_of(Indicator indicator) {
    switch (indicator) {
        case Indicator::kOn: return "on";
        case Indicator::kBlinking: return "blinking";
        case Indicator::kOff: return "off";
    }
    std::unreachable();
}

std::expected<ControlQuestion, std::string> parse_plug(const json& request) {
    const auto card = text_of(request, "card");
    if (!card) return std::unexpected("which \"card\"? It is written as of --device");
    auto parsed = machine::parse_card_flag(*card);
    if (!parsed) return std::unexpected(parsed.error());
    machine::PlugCard plug{.card = *std::move(parsed), .slot = std::nullopt};
    if (request.contains("slot")) {
        const auto slot = number_of(request, "slot", machine::kCardSlotLimit);
        if (!slot) return std::unexpected("\"slot\" is the number of a slot");
        plug.slot = static_cast<std::uint16_t>(*slot);
    }
    return ControlQuestion{.question = std::move(plug), .wait_s = 0};
}

} // namespace

std::expected<ControlQuestion, std::string> parse_control_question(const std::string& line) {
    const json request = json::parse(line, nullptr, false);
    if (!request.is_object()) return std::unexpected("not a JSON object");
    const auto command = text_of(request, "command");
    if (command == "ls") return ControlQuestion{.question = machine::ListSlots{}, .wait_s = 0};
    if (command == "plug") return parse_plug(request);
    if (command != "eject" && command != "pull") return std::unexpected("commands are ls, plug, eject and pull");
    const auto slot = number_of(request, "slot", machine::kCardSlotLimit);
    if (!slot) return std::unexpected("which \"slot\"?");
    const auto wait_s = request.contains("wait") ? number_of(request, "wait", kLongestWait_s) : kUsualWait_s;
    if (!wait_s) return std::unexpected(fmt::format("\"wait\" is a number of seconds up to {}", kLongestWait_s));
    const auto number = static_cast<std::uint16_t>(*slot);
    if (command == "eject") return ControlQuestion{.question = machine::EjectCard{number}, .wait_s = *wait_s};
    return ControlQuestion{.question = machine::PullCard{number}, .wait_s = *wait_s};
}

std::string control_failure(const std::string& text) {
    return json{{"ok", false}, {"error", text}}.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string format_slots(const machine::SlotAnswer& answer) {
    json slots = json::array();
    for (const SlotReport& each : answer.slots) {
        slots.push_back({{"slot", each.number},
                         {"state", name_of(each.state)},
                         {"card", machine::card_flag(each.card)},
                         {"answers", each.answers},
                         {"power", each.view.powered},
                         {"power_indicator", name_of(each.view.power)},
                         {"attention_indicator", name_of(each.view.attention)},
                         {"removal_asked", each.removal_asked}});
    }
    return json{{"ok", true}, {"slots", slots}}.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string format_plugged(const machine::SlotAnswer& answer) {
    return json{{"ok", true}, {"slot", answer.slot}}.dump();
}

std::string format_removal(std::uint16_t slot, bool out) {
    return json{{"ok", true}, {"slot", slot}, {"state", out ? "out" : "waiting"}}.dump();
}

} // namespace touka::cli
