// touka-probe UNIT: sends the commands of a corpus, read from standard input, to a SCSI device and prints how each
// ended, a line each as it ends. For guests, where `touka verify` has it started (docs/verify.md).
// Exit status: 0 all were sent, 1 the device or the output cannot be used, 2 wrong command line, 3 wrong corpus.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <expected>
#include <string>
#include <string_view>

#include "scsi/verify/sg_sender.hpp"

using namespace touka::scsi::verify;

namespace {

constexpr std::size_t kCorpusLimitBytes = 64u << 20;

int fail(int status, const std::string& what) {
    std::fprintf(stderr, "touka-probe: %s\n", what.c_str());
    return status;
}

std::expected<std::string, std::string> read_standard_input() {
    std::string text;
    char buffer[16'384];
    for (;;) {
        const ssize_t count = ::read(STDIN_FILENO, buffer, sizeof buffer);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return std::unexpected(std::string("standard input: ") + std::strerror(errno));
        if (count == 0) return text;
        text.append(buffer, static_cast<std::size_t>(count));
        if (text.size() > kCorpusLimitBytes) return std::unexpected("standard input: too long for a corpus");
    }
}

bool print(const std::string& text) { return std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0; }

/// Each line at once: when a command takes the guest down, the last line shows which.
bool print_responses(const Corpus& corpus, CommandSender& sender) {
    Recording recording;
    recording.tells_overflow = sender.tells_overflow();
    if (!print(header_text(recording))) return false;
    for (const auto& sense : drain_unit_attentions(sender)) {
        if (!print(attention_text(sense))) return false;
    }
    std::size_t number = 0;
    for (const Command& command : corpus.commands) {
        if (!print(response_text(++number, record(command, sender.send(command))))) return false;
    }
    return true;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2 || argv[1][0] == '-')
        return fail(2, "usage: touka-probe UNIT <CORPUS, where UNIT is /dev/sgN or /dev/sdX");
    const auto text = read_standard_input();
    if (!text) return fail(3, text.error());
    const auto corpus = parse_corpus(*text, "corpus");
    if (!corpus) return fail(3, corpus.error());
    const auto sender = SgSender::open(argv[1]);
    if (!sender) return fail(1, sender.error());
    if (!print_responses(*corpus, **sender)) return fail(1, "standard output cannot be written");
    return 0;
}
