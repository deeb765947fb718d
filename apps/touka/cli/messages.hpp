#pragma once

#include <ostream>
#include <string_view>

namespace touka::cli {

/// What the program says beside its output: on stderr, each line marked as its own.
class Messages {
public:
    /// @param to outlives this.  @param color emphasize with terminal escape sequences.
    Messages(std::ostream& to, bool color) : to_(to), color_(color) {}

    /// @param hint what to do about it; empty: none.
    void error(std::string_view text, std::string_view hint = {});
    void note(std::string_view text);

private:
    void line(std::string_view mark, std::string_view escape, std::string_view text);

    std::ostream& to_;
    bool color_;
};

/// Whether messages to this file descriptor are coloured: it is a terminal that can, and NO_COLOR (no-color.org) is
/// not set or empty.
[[nodiscard]] bool wants_color(int fd);

} // namespace touka::cli
