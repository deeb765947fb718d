#include "slot_command.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "configuration/values.hpp"
#include "control_answer.hpp"
#include "control_client.hpp"
#include "machine/card_flags.hpp"
#include "slot_protocol.hpp"

namespace touka::cli {

using nlohmann::json;

namespace {

/// The machine has another current folder.
std::string whole_path(const std::string& path) {
    std::error_code failed;
    const auto whole = std::filesystem::absolute(path, failed);
    return failed ? path : whole.string();
}

std::expected<std::string, std::string> whole_card(const std::string& text) {
    auto card = machine::parse_card_flag(text);
    if (!card) return std::unexpected(card.error());
    if (auto* nvme = std::get_if<machine::NvmeDevice>(&*card)) {
        nvme->disk.path = whole_path(nvme->disk.path);
        if (!nvme->metadata.empty()) nvme->metadata = whole_path(nvme->metadata);
    }
    const auto whole_rom = [](std::string& rom) {
        if (!rom.empty() && rom != machine::kNoRom) rom = whole_path(rom);
    };
    if (auto* remote = std::get_if<machine::VfioUserDevice>(&*card)) {
        remote->socket = whole_path(remote->socket);
        whole_rom(remote->rom);
    }
    if (auto* host = std::get_if<machine::VfioDevice>(&*card)) whole_rom(host->rom);
    return machine::card_flag(*card);
}

std::string state_of(const json& slot) {
    const auto state = slot.at("state").get<std::string>();
    if (state == "empty") return "-";
    if (state == "leaving") return "card leaving";
    if (!slot.at("answers").get<bool>()) return "no server";
    if (slot.at("removal_asked").get<bool>()) return "asked to go";
    return slot.at("power").get<bool>() ? "on" : "off";
}

std::string table(const json& slots) {
    std::string text = fmt::format("{:>4}  {:<12} {:<10} {:<10} {}\n", "slot", "state", "power", "attention", "card");
    for (const json& each : slots) {
        const auto card = each.at("card").get<std::string>();
        text += fmt::format("{:>4}  {:<12} {:<10} {:<10} {}\n", each.at("slot").get<unsigned>(), state_of(each),
                            each.at("power_indicator").get<std::string>(),
                            each.at("attention_indicator").get<std::string>(), card.empty() ? "-" : card);
    }
    return text;
}

std::expected<std::string, std::string> removal(const SlotCommand& command, const json& said) {
    if (said.at("state").get<std::string>() == "out") {
        return fmt::format("the card in slot {} is out\n", said.at("slot").get<unsigned>());
    }
    if (command.action == "pull") {
        return std::unexpected(fmt::format("slot {}: what the card had under way on the host is not over yet",
                                           said.at("slot").get<unsigned>()));
    }
    return std::unexpected(fmt::format("the guest has not let the card in slot {} go yet; when it does, the card is "
                                       "taken out (touka slot pull does not wait for it)",
                                       said.at("slot").get<unsigned>()));
}

} // namespace

std::expected<std::string, std::string> slot_question(const SlotCommand& command) {
    json question{{"command", command.action}};
    if (command.action == "plug") {
        const auto card = whole_card(command.card);
        if (!card) return std::unexpected(card.error());
        question["card"] = *card;
    }
    if (!command.slot.empty()) {
        const auto number = configuration::parse_number(command.slot);
        if (!number || *number == 0 || *number > machine::kCardSlotLimit) {
            return std::unexpected(
                fmt::format("\"{}\" is not a slot: write its number, as touka slot ls does", command.slot));
        }
        question["slot"] = *number;
    }
    if (!command.wait.empty()) {
        const auto seconds = configuration::parse_number(command.wait);
        if (!seconds || *seconds > kLongestWait_s) {
            return std::unexpected(fmt::format("--wait is a number of seconds up to {}", kLongestWait_s));
        }
        question["wait"] = *seconds;
    }
    return question.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::expected<std::string, std::string> format_slot_answer(const SlotCommand& command, const std::string& answer) {
    return read_answer("touka run", answer, [&command](const json& said) -> AnswerText {
        if (command.action == "ls") return table(said.at("slots"));
        if (command.action == "plug") return fmt::format("in slot {}\n", said.at("slot").get<unsigned>());
        return removal(command, said);
    });
}

ExitStatus run_slot(const SlotCommand& command, std::ostream& output, Messages& messages) {
    const auto question = slot_question(command);
    if (!question) {
        messages.error(question.error());
        return ExitStatus::kUsage;
    }
    const auto answer = ask("touka run", command.socket, *question);
    return print_answer(answer ? format_slot_answer(command, *answer) : std::unexpected(answer.error()), output,
                        messages);
}

} // namespace touka::cli
