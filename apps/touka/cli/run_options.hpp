// The flags of `touka run`: how they are written, and what they change in a configuration.
#pragma once

#include <CLI/App.hpp>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "command_line.hpp"

namespace touka::cli {

/// Flags as they were written; empty optionals were not.
struct RunOptions {
    std::optional<std::string> file;
    std::optional<std::string> kernel, initrd, append, memory, cpus, engine, name, console, shutdown_grace, dump_blocks,
        switch_engine_at, wwpn, slots, control;
    std::vector<std::string> disks, networks, scsi_units, cards;
    bool no_rng = false, iommu = false, balloon = false, no_reboot = false, quiet = false, stats = false;
    bool verify_translation = false, perf_map = false;
};

/// Declares the flags, their help and the examples on the subcommand. `options` outlives it.
void declare_run_options(CLI::App& run, RunOptions& options);

/// Puts configuration file and flags together and checks the result.
[[nodiscard]] std::expected<RunCommand, CommandLineError> make_run_command(const RunOptions& options);

} // namespace touka::cli
