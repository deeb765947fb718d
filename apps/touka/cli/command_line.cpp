#include "command_line.hpp"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <array>

#include "configuration/values.hpp"
#include "run_options.hpp"
#include "verify_options.hpp"
#include "version.hpp"

namespace touka::cli {
namespace {

constexpr std::size_t kHelpColumn = 34;

std::unexpected<CommandLineError> usage(std::string text, std::string hint = "touka help shows what there is") {
    return std::unexpected(CommandLineError{ExitStatus::kUsage, std::move(text), std::move(hint)});
}

/// All spellings of an app's flags.
std::vector<std::string> flag_names(const CLI::App& app) {
    std::vector<std::string> names{"--help"};
    for (const auto* option : app.get_options()) {
        for (const auto& name : option->get_lnames()) names.push_back("--" + name);
    }
    return names;
}

std::string suggestion(std::string_view word, const std::vector<std::string>& names) {
    const std::vector<std::string_view> views(names.begin(), names.end());
    const auto match = configuration::closest_match(word, views);
    return match.empty() ? std::string() : fmt::format("did you mean {}?", match);
}

/// What is wrong with an argument that nobody declared.
std::unexpected<CommandLineError> unexpected_argument(const std::string& argument, const CLI::App& app) {
    if (!argument.starts_with('-')) {
        return usage(fmt::format("unexpected argument \"{}\"", argument), fmt::format("touka help {}", app.get_name()));
    }
    const auto flag = argument.substr(0, argument.find('='));
    auto hint = suggestion(flag, flag_names(app));
    if (hint.empty()) hint = fmt::format("touka help {} lists the flags", app.get_name());
    return usage(fmt::format("unknown flag {}", flag), std::move(hint));
}

std::unexpected<CommandLineError> unknown_command(const std::string& word) {
    if (word.starts_with('-')) return usage(fmt::format("unknown flag {}", word));
    auto hint = suggestion(word, {"run", "verify", "target", "device", "slot", "devices", "help"});
    return usage(fmt::format("unknown command \"{}\"", word),
                 hint.empty() ? "touka help lists the commands" : std::move(hint));
}

/// The whole command line, declared.
class CommandLine {
public:
    CommandLine() {
        app_.name("touka");
        app_.get_formatter()->column_width(kHelpColumn);
        app_.get_formatter()->label("SUBCOMMAND", "COMMAND");
        app_.set_help_flag("-h,--help", "print this help");
        for (auto* command : commands()) {
            command->group("Commands");
            command->set_help_flag("-h,--help", "print this help");
            command->allow_extras();
        }
        app_.add_flag("--version", version_, "print the version");
        app_.allow_extras();
        declare_run_options(run_, options_);
        declare_verify_options(verify_, verify_options_);
        target_
            .add_option("action", target_options_.action, "ls: targets, units and sessions; reload: the configuration")
            ->type_name("ls|reload");
        target_.add_option("--socket", target_options_.socket, "its control socket (default touka-target.sock)")
            ->type_name("PATH");
        device_
            .add_option(
                "action", device_options_.action,
                "ls: functions and who has them; take-away FUNCTION: from its server;\nhand-over FUNCTION TO: to "
                "whoever connects to that socket")
            ->type_name("ls|take-away|hand-over");
        device_.add_option("function", device_options_.function, "as ls shows it")->type_name("DEVICE.NUMBER");
        device_.add_option("to", device_options_.to, "where the function is from now on")->type_name("PATH");
        device_.add_option("--socket", device_options_.socket, "its control socket (default touka-device.sock)")
            ->type_name("PATH");
        slot_
            .add_option("action", slot_options_.action,
                        "ls: slots and cards; plug CARD [SLOT]: a card as of --device, into the first free slot;\n"
                        "eject SLOT: asks the guest to let the card go, and takes it out then;\n"
                        "pull SLOT: takes it out, whatever the guest does with it")
            ->type_name("ls|plug|eject|pull");
        slot_.add_option("words", slot_words_, "the card, the slot's number as ls shows it")->type_name("CARD|SLOT");
        slot_.add_option("--wait", slot_options_.wait, "eject, pull: how long to wait for the end of it (default 30)")
            ->type_name("SECONDS");
        slot_.add_option("--socket", slot_options_.socket, "the machine's --control (default touka.sock)")
            ->type_name("PATH");
        help_.add_option("command", help_topic_, "what to explain")->type_name("COMMAND");
        app_.footer(fmt::format("touka help run shows all flags and examples.\n\n{}", kExitStatusHelp));
    }

    std::expected<Command, CommandLineError> parse(std::span<const std::string> arguments) {
        try {
            app_.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend())); // CLI11 wants them reversed
        } catch (const CLI::CallForHelp&) {
            return PrintCommand{app_.help()};
        } catch (const CLI::ArgumentMismatch& error) {
            const std::string_view text = error.what();
            return usage(fmt::format("{} needs a value", text.substr(0, text.find(':'))), help_hint("touka help run"));
        } catch (const CLI::ParseError& error) {
            // Whatever stood there too: a word that nobody knows is the likelier cause.
            if (auto unknown = find_unknown(); !unknown) return std::unexpected(unknown.error());
            return usage(error.what(), help_hint("touka help"));
        }
        if (help_.parsed()) return help();
        if (auto unknown = find_unknown(); !unknown) return std::unexpected(unknown.error());
        if (version_) return PrintCommand{fmt::format("touka {}\n", kVersion)};
        if (verify_.parsed()) {
            auto verify = make_verify_command(verify_options_);
            if (!verify) return std::unexpected(std::move(verify.error()));
            return *std::move(verify);
        }
        if (target_.parsed()) {
            if (target_options_.action == "ls" || target_options_.action == "reload") return target_options_;
            return usage(fmt::format("touka target does not know \"{}\"", target_options_.action),
                         "write touka target ls");
        }
        if (device_.parsed()) return device();
        if (slot_.parsed()) return slot();
        if (devices_.parsed()) return DevicesCommand{};
        if (!run_.parsed()) return usage("no command given");
        auto run = make_run_command(options_);
        if (!run) return std::unexpected(std::move(run.error()));
        return *std::move(run);
    }

private:
    [[nodiscard]] std::array<CLI::App*, 7> commands() {
        return {&run_, &verify_, &target_, &device_, &slot_, &devices_, &help_};
    }

    [[nodiscard]] std::expected<Command, CommandLineError> device() const {
        const DeviceCommand& given = device_options_;
        const bool whole = (given.action == "ls" && given.function.empty()) ||
                           (given.action == "take-away" && !given.function.empty() && given.to.empty()) ||
                           (given.action == "hand-over" && !given.to.empty());
        if (whole) return given;
        return usage("touka device wants ls, take-away FUNCTION or hand-over FUNCTION SOCKET", "touka help device");
    }

    [[nodiscard]] std::expected<Command, CommandLineError> slot() const {
        SlotCommand given = slot_options_;
        const std::size_t words = slot_words_.size();
        const bool plugs = given.action == "plug";
        if (plugs && words >= 1) given.card = slot_words_[0];
        if (words > (plugs ? 1 : 0)) given.slot = slot_words_[plugs ? 1 : 0];
        const bool whole = (given.action == "ls" && words == 0) || (plugs && (words == 1 || words == 2)) ||
                           ((given.action == "eject" || given.action == "pull") && words == 1);
        if (whole) return given;
        return usage("touka slot wants ls, plug CARD [SLOT], eject SLOT or pull SLOT", "touka help slot");
    }

    /// Where more is said about the command that was given.
    [[nodiscard]] std::string help_hint(std::string otherwise) {
        for (const auto* command : commands()) {
            if (command->parsed() && command != &help_) return "touka help " + command->get_name();
        }
        return otherwise;
    }
    [[nodiscard]] std::expected<void, CommandLineError> find_unknown() {
        for (const auto* command : commands()) {
            if (const auto rest = command->remaining(); !rest.empty())
                return unexpected_argument(rest.front(), *command);
        }
        if (const auto rest = app_.remaining(); !rest.empty()) return unknown_command(rest.front());
        return {};
    }

    std::expected<Command, CommandLineError> help() {
        CommandLine fresh; // of a command line with no command
        for (std::size_t i = 0; i < commands().size(); ++i) {
            const CLI::App& command = *commands()[i];
            if (&command == &help_) continue;
            // CLI11 takes the name of a command after "help" for that command.
            if (command.parsed() || help_topic_ == command.get_name()) {
                return PrintCommand{fresh.commands()[i]->help("touka")};
            }
        }
        if (help_topic_.empty()) return PrintCommand{fresh.app_.help()};
        return unknown_command(help_topic_);
    }

    CLI::App app_{"Touka runs virtual machines, with or without KVM."};
    CLI::App& run_ = *app_.add_subcommand("run", "run a virtual machine in the foreground");
    CLI::App& verify_ = *app_.add_subcommand("verify", "compare a SCSI unit inside a guest with itself outside");
    CLI::App& target_ = *app_.add_subcommand("target", "ask a running touka-target");
    CLI::App& device_ = *app_.add_subcommand("device", "ask a running touka-device");
    CLI::App& slot_ = *app_.add_subcommand("slot", "ask a running machine: plug cards in, take them out");
    CLI::App& devices_ = *app_.add_subcommand("devices", "list what of the host a machine can be given");
    CLI::App& help_ = *app_.add_subcommand("help", "explain a command");
    RunOptions options_;
    VerifyOptions verify_options_;
    TargetCommand target_options_{.action = {}, .socket = "touka-target.sock"};
    DeviceCommand device_options_{.action = {}, .function = {}, .to = {}, .socket = "touka-device.sock"};
    SlotCommand slot_options_{.action = {}, .card = {}, .slot = {}, .wait = {}, .socket = "touka.sock"};
    std::vector<std::string> slot_words_;
    std::string help_topic_;
    bool version_ = false;
};

} // namespace

std::expected<Command, CommandLineError> parse_command_line(std::span<const std::string> arguments) {
    return CommandLine().parse(arguments);
}

} // namespace touka::cli
