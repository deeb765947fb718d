#include "machine/flag_options.hpp"

#include <fmt/format.h>

#include "configuration/values.hpp"

namespace touka::machine {

std::vector<std::string> split_flag(std::string_view text) {
    std::vector<std::string> parts(1);
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != ',') {
            parts.back().push_back(text[i]);
        } else if (i + 1 < text.size() && text[i + 1] == ',') {
            parts.back().push_back(',');
            ++i;
        } else {
            parts.emplace_back();
        }
    }
    return parts;
}

FlagOption split_option(std::string_view text) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) return {text, {}, false};
    return {text.substr(0, equals), text.substr(equals + 1), true};
}

std::unexpected<std::string> unknown_option(std::string_view flag, std::string_view option,
                                            std::span<const std::string_view> known) {
    if (const auto match = configuration::closest_match(option, known); !match.empty()) {
        return std::unexpected(fmt::format("{}: unknown option \"{}\", did you mean \"{}\"?", flag, option, match));
    }
    return std::unexpected(fmt::format("{}: unknown option \"{}\"", flag, option));
}

} // namespace touka::machine
