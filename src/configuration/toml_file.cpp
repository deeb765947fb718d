#include "configuration/toml_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "runtime/unique_fd.hpp"

namespace touka::configuration {

namespace {

constexpr std::size_t kFileBytesLimit = 1 << 20; // a configuration is a page of text; anything bigger is a mistake

std::expected<std::string, ConfigError> read_file(const std::string& path) {
    const auto failure = [&](std::string text) {
        return std::unexpected(ConfigError{.file = path, .text = std::move(text)});
    };
    const runtime::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return failure(errno == ENOENT ? "no such file" : fmt::format("cannot be opened: {}", strerror(errno)));
    std::string text;
    std::array<char, 4096> buffer{};
    for (;;) {
        const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return failure(fmt::format("cannot be read: {}", strerror(errno)));
        if (count == 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(count));
        if (text.size() > kFileBytesLimit) return failure("too big to be a configuration");
    }
}

} // namespace

std::expected<toml::table, ConfigError> parse_toml_text(std::string_view text, const std::string& file) {
    try {
        return toml::parse(text, file);
    } catch (const toml::parse_error& error) {
        const auto where = error.source().begin;
        return std::unexpected(ConfigError{
            .file = file, .line = where.line, .column = where.column, .text = std::string(error.description())});
    }
}

std::expected<toml::table, ConfigError> load_toml_file(const std::string& path) {
    const auto text = read_file(path);
    if (!text) return std::unexpected(text.error());
    return parse_toml_text(*text, path);
}

} // namespace touka::configuration
