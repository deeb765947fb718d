#include "shell_command.hpp"

#include <gtest/gtest.h>

namespace touka::cli {
namespace {

constexpr std::size_t kLimit = 1 << 20;

TEST(ShellCommand, FindsItsInputAndIsHeard) {
    const std::string input(200'000, 'x'); // more than a pipe holds
    EXPECT_EQ(run_by_shell("cat; echo end", input, kLimit), input + "end\n");
    EXPECT_EQ(run_by_shell("true", input, kLimit), ""); // also when it does not read
}

TEST(ShellCommand, SaysHowItFailed) {
    EXPECT_EQ(run_by_shell("exit 3", "", kLimit).error(), "exit status 3");
    EXPECT_EQ(run_by_shell("kill -9 $$", "", kLimit).error(), "ended by signal 9");
    EXPECT_EQ(run_by_shell("echo text; false", "", kLimit).error(), "exit status 1");
}

TEST(ShellCommand, MayNotPrintForEver) {
    EXPECT_EQ(run_by_shell("yes", "", kLimit).error(), "printed more than 1048576 bytes");
}

} // namespace
} // namespace touka::cli
