#pragma once

#include <cstdint>
#include <string>

namespace touka::configuration {

/// What is wrong with a configuration, and where it was written.
struct ConfigError {
    std::string file{};       ///< empty: it came from the command line
    std::uint32_t line = 0;   ///< from 1; 0: unknown
    std::uint32_t column = 0; ///< from 1; 0: unknown
    std::string text;         ///< what is wrong
    std::string hint{};       ///< what to do; empty where the text says it all
};

/// "FILE:LINE:COLUMN: TEXT (HINT)", without the parts that are not known.
[[nodiscard]] std::string describe(const ConfigError& error);

} // namespace touka::configuration
