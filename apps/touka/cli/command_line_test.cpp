#include "command_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdio>
#include <fstream>

namespace touka::cli {
namespace {

using testing::HasSubstr;

std::expected<Command, CommandLineError> parse(const std::vector<std::string>& arguments) {
    return parse_command_line(arguments);
}
/// Of a command line that must be right.
RunCommand run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "run");
    auto command = parse(arguments);
    EXPECT_TRUE(command.has_value()) << command.error().text;
    return command ? std::get<RunCommand>(*command) : RunCommand{};
}
CommandLineError failure(const std::vector<std::string>& arguments) {
    const auto command = parse(arguments);
    EXPECT_FALSE(command.has_value());
    return command ? CommandLineError{} : command.error();
}
std::string printed(const std::vector<std::string>& arguments) {
    const auto command = parse(arguments);
    EXPECT_TRUE(command.has_value()) << command.error().text;
    return command ? std::get<PrintCommand>(*command).text : "";
}

/// A configuration file that goes away with the test.
class ConfigFile {
public:
    explicit ConfigFile(std::string_view text) { std::ofstream(path_) << text; }
    ~ConfigFile() { std::remove(path_.c_str()); }
    ConfigFile(const ConfigFile&) = delete;
    ConfigFile& operator=(const ConfigFile&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_ = testing::TempDir() + "touka-command-line-" + std::to_string(::getpid()) + ".toml";
};

TEST(CommandLine, FillsTheConfigurationFromFlags) {
    const auto command = run({"--kernel", "k",        "--initrd",  "i",          "--append",    "console=ttyS0 quiet",
                              "--disk",   "a.raw,ro", "--disk",    "b.raw",      "--net",       "user",
                              "--memory", "1.5G",     "--cpus=2",  "--engine",   "interpreter", "--name",
                              "n",        "--no-rng", "--balloon", "--console",  "virtio",      "--shutdown-grace",
                              "5",        "--quiet",  "--stats",   "--no-reboot"});
    const auto& config = command.config;
    EXPECT_EQ(config.kernel, "k");
    EXPECT_EQ(config.initrd, "i");
    EXPECT_EQ(config.command_line, "console=ttyS0 quiet");
    ASSERT_EQ(config.disks.size(), 2u);
    EXPECT_TRUE(config.disks[0].read_only);
    EXPECT_EQ(config.disks[1].path, "b.raw");
    EXPECT_EQ(config.networks.size(), 1u);
    EXPECT_EQ(config.memory_bytes, 1536ull << 20);
    EXPECT_EQ(config.cpu_count, 2u);
    EXPECT_EQ(config.engine, machine::EngineChoice::kInterpreter);
    EXPECT_EQ(config.name, "n");
    EXPECT_FALSE(config.entropy);
    EXPECT_TRUE(config.balloon);
    EXPECT_TRUE(config.virtio_console);
    EXPECT_EQ(config.shutdown_grace_s, 5u);
    EXPECT_TRUE(command.quiet && command.stats && command.no_reboot);
}

TEST(CommandLine, VerifiesTheTranslatorAlone) {
    EXPECT_TRUE(run({"--kernel", "k", "--engine", "translator", "--verify-translation"}).config.verify_translation);
    EXPECT_FALSE(run({"--kernel", "k", "--engine", "translator"}).config.verify_translation);
    EXPECT_EQ(failure({"run", "--kernel", "k", "--engine", "interpreter", "--verify-translation"}).text,
              "only the translator can be verified");
}

TEST(CommandLine, VerifiesAUnitOutsideAndInside) {
    const auto command = parse({"verify", "/dev/sg3", "--corpus", "c.txt", "--inside-command", "ssh guest probe"});
    ASSERT_TRUE(command) << command.error().text;
    const auto& verify = std::get<VerifyCommand>(*command);
    EXPECT_EQ(verify.outside, "/dev/sg3");
    EXPECT_EQ(verify.corpus, "c.txt");
    EXPECT_EQ(verify.inside_command, "ssh guest probe");
    EXPECT_EQ(verify.inside, "");
    EXPECT_FALSE(verify.initiator.empty());
    EXPECT_EQ(failure({"verify", "u", "--corpus", "c"}).text, "nothing says what the unit answers inside");
    EXPECT_EQ(failure({"verify", "u", "--corpus"}).hint, "touka help verify");
    EXPECT_EQ(failure({"verify", "u", "v", "--corpus", "c"}).text, "unexpected argument \"v\"");
}

TEST(CommandLine, SwitchesBetweenTheSoftwareEnginesAtTimesThatAscend) {
    const auto moments = [](std::string engine, std::string at) {
        return run({"--kernel", "k", "--engine", std::move(engine), "--switch-engine-at", std::move(at)})
            .config.engine_switches_ms;
    };
    EXPECT_EQ(moments("translator", "2s"), std::vector<std::uint64_t>{2000});
    EXPECT_EQ(moments("interpreter", "500ms,2s,1m"), (std::vector<std::uint64_t>{500, 2000, 60'000}));
    const auto text = [](std::string at) {
        return failure({"run", "--kernel", "k", "--engine", "translator", "--switch-engine-at", std::move(at)}).text;
    };
    for (const char* bad :
         {"", "2", "s", "2h", "1.5s", "-2s", "2s,", "2s,,4s", "99999999999999999999s", "18446744073709551615s"})
        EXPECT_THAT(text(bad), HasSubstr("is not a time: write 500ms, 2s or 1m")) << bad;
    EXPECT_THAT(text("4s,2s"), HasSubstr("each time must be later than the one before"));
    EXPECT_THAT(text("2s,2s"), HasSubstr("each time must be later than the one before"));
    for (const char* engine : {"kvm", "auto"}) {
        const auto error = failure({"run", "--kernel", "k", "--engine", engine, "--switch-engine-at", "2s"});
        EXPECT_EQ(error.status, ExitStatus::kUsage);
        EXPECT_THAT(error.text, HasSubstr("only the software engines can be switched"));
        EXPECT_THAT(error.hint, HasSubstr("--engine translator or --engine interpreter"));
    }
}

TEST(CommandLine, TakesLogsOfTheTranslatorsCodeForTheTranslatorAlone) {
    const auto logs =
        run({"--kernel", "k", "--engine", "translator", "--dump-blocks", "b", "--perf-map"}).config.translation_logs;
    EXPECT_EQ(logs.blocks, "b");
    EXPECT_TRUE(logs.perf_map);
    EXPECT_EQ(failure({"run", "--kernel", "k", "--perf-map"}).hint, "add --engine translator");
    EXPECT_EQ(failure({"run", "--kernel", "k", "--engine", "kvm", "--dump-blocks", "b"}).status, ExitStatus::kUsage);
}

TEST(CommandLine, FlagsWinOverTheFileAndDevicesAreAdded) {
    const ConfigFile file("kernel = \"/k\"\nmemory = \"2G\"\ncpus = 3\n"
                          "[[device]]\ntype = \"disk\"\npath = \"/a\"\n[[device]]\ntype = \"net\"\n");
    const auto config = run({"--disk", "/b", file.path(), "-m", "4G"}).config;
    EXPECT_EQ(config.kernel, "/k");
    EXPECT_EQ(config.memory_bytes, 4ull << 30);
    EXPECT_EQ(config.cpu_count, 3u);
    EXPECT_EQ(config.disks.size(), 2u);
    EXPECT_EQ(config.networks.size(), 1u);
    EXPECT_TRUE(run({file.path(), "--net", "none"}).config.networks.empty());
}

TEST(CommandLine, TheLastOfARepeatedFlagCounts) {
    EXPECT_EQ(run({"--kernel", "k", "--cpus", "1", "--cpus", "4"}).config.cpu_count, 4u);
}

TEST(CommandLine, SuggestsTheFlagThatWasMeant) {
    const auto error = failure({"run", "--memroy", "1G", "--kernel", "k"});
    EXPECT_EQ(error.status, ExitStatus::kUsage);
    EXPECT_EQ(error.text, "unknown flag --memroy");
    EXPECT_EQ(error.hint, "did you mean --memory?");
    EXPECT_EQ(failure({"run", "--kernal=k"}).hint, "did you mean --kernel?");
    EXPECT_EQ(failure({"run", "--zzzzzzzz"}).hint, "touka help run lists the flags");
}

TEST(CommandLine, SuggestsTheCommandThatWasMeant) {
    EXPECT_EQ(failure({"rnu", "--kernel", "k"}).text, "unknown command \"rnu\"");
    EXPECT_EQ(failure({"rnu"}).hint, "did you mean run?");
    EXPECT_EQ(failure({}).text, "no command given");
    EXPECT_EQ(failure({"help", "rum"}).hint, "did you mean run?");
}

TEST(CommandLine, SaysWhichValueMakesNoSense) {
    EXPECT_EQ(failure({"run", "--kernel", "k", "--memory", "1024"}).text,
              "--memory: \"1024\" has no unit: write a size like 512M, 2G or 1.5G");
    EXPECT_EQ(failure({"run", "--kernel", "k", "--cpus", "0"}).text, "--cpus: 0 is not in 1 to 255");
    EXPECT_EQ(failure({"run", "--kernel", "k", "--cpus", "two"}).text, "--cpus: \"two\" is not a whole number");
    EXPECT_EQ(failure({"run", "--kernel", "k", "--engine", "qemu"}).status, ExitStatus::kUsage);
    EXPECT_EQ(failure({"run", "--kernel", "k", "--disk", "d,rw"}).status, ExitStatus::kUsage);
    EXPECT_EQ(failure({"run", "--kernel"}).text, "--kernel needs a value");
    EXPECT_EQ(failure({"run", "--kernel", "k", "--quiet=maybe"}).status, ExitStatus::kUsage);
    EXPECT_EQ(failure({"run", "a", "b"}).text, "unexpected argument \"b\"");
    EXPECT_EQ(failure({"run"}).text, "no kernel to boot");
}

TEST(CommandLine, GivesFilesAStatusOfTheirOwn) {
    EXPECT_EQ(failure({"run", "/nowhere/vm.toml"}).status, ExitStatus::kConfiguration);
    const ConfigFile file("cpus = = 2\n");
    const auto error = failure({"run", file.path()});
    EXPECT_EQ(error.status, ExitStatus::kConfiguration);
    EXPECT_THAT(error.text, HasSubstr(file.path() + ":1:8: "));
}

TEST(CommandLine, PrintsVersionAndHelp) {
    EXPECT_THAT(printed({"--version"}), testing::MatchesRegex("touka [0-9]+\\.[0-9]+\\.[0-9]+\n"));
    for (const auto& text : {printed({"help"}), printed({"--help"}), printed({"-h"})}) {
        EXPECT_THAT(text, HasSubstr("run a virtual machine"));
        EXPECT_THAT(text, HasSubstr("Exit status:"));
    }
    for (const auto& text : {printed({"help", "run"}), printed({"run", "--help"}), printed({"run", "-h"})}) {
        EXPECT_THAT(text, HasSubstr("--kernel PATH"));
        EXPECT_THAT(text, HasSubstr("Examples:"));
        EXPECT_THAT(text, HasSubstr("Exit status:"));
    }
}

TEST(CommandLine, ASlotCommandNamesWhatItIsAbout) {
    const auto command = parse({"slot", "plug", "nvme:/a", "3", "--socket", "m.sock"});
    ASSERT_TRUE(command.has_value()) << command.error().text;
    const auto& plug = std::get<SlotCommand>(*command);
    EXPECT_EQ(plug.card, "nvme:/a");
    EXPECT_EQ(plug.slot, "3");
    EXPECT_EQ(plug.socket, "m.sock");
    const auto eject = std::get<SlotCommand>(parse({"slot", "eject", "2", "--wait", "5"}).value());
    EXPECT_EQ(eject.slot, "2");
    EXPECT_EQ(eject.wait, "5");
    EXPECT_EQ(eject.socket, "touka.sock");
    EXPECT_TRUE(parse({"slot", "ls"}).has_value());
    EXPECT_TRUE(parse({"slot", "plug", "nvme:/a"}).has_value());
    for (const std::vector<std::string>& wrong : {std::vector<std::string>{"slot"},
                                                  {"slot", "plug"},
                                                  {"slot", "plug", "nvme:/a", "1", "2"},
                                                  {"slot", "eject"},
                                                  {"slot", "pull", "1", "2"},
                                                  {"slot", "ls", "1"}}) {
        EXPECT_EQ(failure(wrong).status, ExitStatus::kUsage);
    }
}

TEST(CommandLine, ADeviceCommandNamesWhatItIsAbout) {
    const auto command = parse({"device", "hand-over", "fast.1", "/run/b.sock", "--socket", "d.sock"});
    ASSERT_TRUE(command.has_value()) << command.error().text;
    const auto& device = std::get<DeviceCommand>(*command);
    EXPECT_EQ(device.function, "fast.1");
    EXPECT_EQ(device.to, "/run/b.sock");
    EXPECT_EQ(device.socket, "d.sock");
    EXPECT_TRUE(parse({"device", "ls"}).has_value());
    EXPECT_TRUE(std::holds_alternative<DevicesCommand>(parse({"devices"}).value()));
    for (const std::vector<std::string>& wrong :
         {std::vector<std::string>{"device"}, {"device", "take-away"}, {"device", "hand-over", "fast.1"}}) {
        EXPECT_EQ(failure(wrong).status, ExitStatus::kUsage);
    }
}

} // namespace
} // namespace touka::cli
