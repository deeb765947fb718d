#include "configuration/config_error.hpp"

#include <fmt/format.h>

namespace touka::configuration {

std::string describe(const ConfigError& error) {
    std::string text;
    if (!error.file.empty()) text += error.file + ":";
    if (error.line != 0) text += fmt::format("{}:{}:", error.line, error.column);
    if (!text.empty()) text += " ";
    text += error.text;
    if (!error.hint.empty()) text += fmt::format(" ({})", error.hint);
    return text;
}

} // namespace touka::configuration
