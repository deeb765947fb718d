// The flags of `touka verify`.
#pragma once

#include <CLI/App.hpp>
#include <expected>
#include <optional>
#include <string>

#include "command_line.hpp"

namespace touka::cli {

/// Flags as they were written; empty optionals were not.
struct VerifyOptions {
    std::optional<std::string> outside, corpus, inside_command, inside, initiator;
};

/// Declares the flags and their help on the subcommand. `options` outlives it.
void declare_verify_options(CLI::App& verify, VerifyOptions& options);

[[nodiscard]] std::expected<VerifyCommand, CommandLineError> make_verify_command(const VerifyOptions& options);

} // namespace touka::cli
