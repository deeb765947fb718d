#include "verify_options.hpp"

#include <fmt/format.h>

namespace touka::cli {
namespace {

constexpr std::string_view kExamples =
    "Examples:\n"
    "  touka verify iscsi://192.0.2.1/iqn.2026-01.com.example:array/0 --corpus disk.txt \\\n"
    "      --inside-command 'ssh guest touka-probe /dev/sda'\n"
    "  touka verify /dev/sg3 --corpus disk.txt --inside responses.txt\n"
    "\n"
    "The corpus overwrites the unit: see docs/verify.md.\n";

constexpr std::string_view kDefaultInitiator = "iqn.2026-01.touka:verify";

std::unexpected<CommandLineError> usage(std::string text, std::string hint) {
    return std::unexpected(CommandLineError{ExitStatus::kUsage, std::move(text), std::move(hint)});
}

} // namespace

void declare_verify_options(CLI::App& verify, VerifyOptions& options) {
    const auto text = [&](const std::string& flag, std::optional<std::string>& to, const std::string& type,
                          const std::string& help) { verify.add_option(flag, to, help)->type_name(type)->take_last(); };
    verify
        .add_option("outside", options.outside, "the unit from outside: /dev/sgN, /dev/sdX, or iscsi://HOST/TARGET/LUN")
        ->type_name("OUTSIDE");
    text("--corpus", options.corpus, "FILE", "the commands that are sent");
    text("--inside-command", options.inside_command, "COMMAND",
         "run by the shell with the corpus on its standard input; prints the responses:\n"
         "touka-probe in the guest");
    text("--inside", options.inside, "FILE", "responses that touka-probe has printed before");
    text("--initiator", options.initiator, "NAME",
         fmt::format("iSCSI name for a unit that is reached by iSCSI (default {})", kDefaultInitiator));
    verify.footer(fmt::format("{}\n{}", kExamples, kExitStatusHelp));
}

std::expected<VerifyCommand, CommandLineError> make_verify_command(const VerifyOptions& options) {
    if (!options.outside) return usage("no unit to compare with", "name it: touka verify /dev/sgN or iscsi://...");
    if (!options.corpus) return usage("no corpus", "add --corpus FILE: src/scsi/verify/corpus/disk.txt is one");
    if (!options.inside_command && !options.inside) {
        return usage("nothing says what the unit answers inside", "add --inside-command COMMAND or --inside FILE");
    }
    if (options.inside_command && options.inside) {
        return usage("--inside-command and --inside exclude each other", "leave one out");
    }
    return VerifyCommand{.outside = *options.outside,
                         .corpus = *options.corpus,
                         .inside_command = options.inside_command.value_or(""),
                         .inside = options.inside.value_or(""),
                         .initiator = options.initiator.value_or(std::string(kDefaultInitiator))};
}

} // namespace touka::cli
