#include "control_answer.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace touka::cli {

using nlohmann::json;

AnswerText read_answer(std::string_view program, const std::string& answer,
                       const std::function<AnswerText(const json&)>& format) {
    const json said = json::parse(answer, nullptr, false);
    if (said.is_object() && said.value("ok", json()) == json(true)) {
        try { // the other end is another program: what it leaves out is an error to tell, not one to die of
            return format(said);
        } catch (const json::exception&) {
        }
    } else if (said.is_object() && said.contains("error") && said["error"].is_string()) {
        return std::unexpected(said["error"].get<std::string>());
    }
    return std::unexpected(fmt::format("the answer is not one of {}'s", program));
}

ExitStatus print_answer(const AnswerText& text, std::ostream& output, Messages& messages) {
    if (!text) {
        messages.error(text.error());
        return ExitStatus::kFailed;
    }
    output << *text << std::flush;
    return output ? ExitStatus::kPoweredOff : ExitStatus::kFailed;
}

} // namespace touka::cli
