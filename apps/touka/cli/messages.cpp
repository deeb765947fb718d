#include "messages.hpp"

#include <unistd.h>

#include <cstdlib>

namespace touka::cli {
namespace {

constexpr std::string_view kRed = "\x1b[1;31m", kBold = "\x1b[1m", kReset = "\x1b[0m";

} // namespace

void Messages::error(std::string_view text, std::string_view hint) {
    line("error: ", kRed, text);
    if (!hint.empty()) line("hint: ", kBold, hint);
}

void Messages::note(std::string_view text) { line("", "", text); }

void Messages::line(std::string_view mark, std::string_view escape, std::string_view text) {
    to_ << "touka: ";
    if (color_ && !escape.empty())
        to_ << escape << mark << kReset;
    else
        to_ << mark;
    to_ << text << '\n';
    to_.flush();
}

bool wants_color(int fd) {
    const char* no_color = std::getenv("NO_COLOR");
    const char* terminal = std::getenv("TERM");
    return (no_color == nullptr || *no_color == '\0') && terminal != nullptr && std::string_view(terminal) != "dumb" &&
           ::isatty(fd) == 1;
}

} // namespace touka::cli
