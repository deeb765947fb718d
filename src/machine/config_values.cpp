#include "machine/config_values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <limits>
#include <vector>

namespace touka::machine {
namespace {
constexpr std::uint64_t kMiB = 1024 * 1024;
}

ValueOr<std::uint64_t> parse_memory_size(std::string_view text) {
    const auto bytes = parse_size(text);
    if (!bytes) return bytes;
    if (*bytes < kMiB) return std::unexpected(fmt::format("\"{}\" is less than 1M of memory", text));
    return *bytes / kMiB * kMiB;
}

ValueOr<std::vector<std::uint64_t>> parse_moments_ms(std::string_view text) {
    std::vector<std::uint64_t> moments;
    for (std::size_t start = 0; start <= text.size();) {
        const std::size_t end = std::min(text.find(',', start), text.size());
        const auto moment = parse_duration_ms(text.substr(start, end - start));
        if (!moment) return std::unexpected(moment.error());
        if (!moments.empty() && *moment <= moments.back())
            return std::unexpected(fmt::format("\"{}\": each time must be later than the one before", text));
        moments.push_back(*moment);
        start = end + 1;
    }
    return moments;
}

ValueOr<EngineChoice> parse_engine(std::string_view text) {
    if (text == "auto") return EngineChoice::kAuto;
    if (text == "kvm") return EngineChoice::kKvm;
    if (text == "translator") return EngineChoice::kTranslator;
    if (text == "interpreter") return EngineChoice::kInterpreter;
    return std::unexpected(fmt::format("\"{}\" is not an engine: auto, kvm, translator or interpreter", text));
}

ValueOr<std::string> parse_mac(std::string_view text) {
    constexpr std::size_t kLength = 17;
    std::array<unsigned, 6> bytes{};
    bool good = text.size() == kLength;
    for (std::size_t i = 0; good && i < bytes.size(); ++i) {
        const char* first = text.data() + 3 * i;
        const auto parsed = std::from_chars(first, first + 2, bytes[i], 16);
        good = parsed.ec == std::errc{} && parsed.ptr == first + 2 && (i == 5 || text[3 * i + 2] == ':');
    }
    if (!good) return std::unexpected(fmt::format("\"{}\" is not a MAC address like 52:54:00:12:34:56", text));
    if ((bytes[0] & 1) != 0 || std::ranges::count(bytes, 0u) == 6) {
        return std::unexpected(fmt::format("\"{}\" is no address of one card: the first byte must be even", text));
    }
    return fmt::format("{:02x}", fmt::join(bytes, ":"));
}

} // namespace touka::machine
