#include "machine/card_flags.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <span>

#include "machine/flag_options.hpp"

namespace touka::machine {

namespace {

ValueOr<CardConfig> parse_nvme(const std::vector<std::string>& parts, const std::string& path) {
    static constexpr std::array<std::string_view, 6> kOptions{"vfs", "serial", "metadata", "ro", "direct", "ats"};
    NvmeDevice card{.disk = {.path = path, .serial = {}}};
    for (const auto& part : std::span(parts).subspan(1)) {
        const auto [key, value, has_value] = split_option(part);
        if (key == "ro" && !has_value) {
            card.disk.read_only = true;
        } else if (key == "direct" && !has_value) {
            card.disk.direct = true;
        } else if (key == "ats" && (value == "on" || value == "off")) {
            card.address_translation = value == "on";
        } else if (key == "serial" && has_value) {
            card.disk.serial = value;
        } else if (key == "metadata" && has_value) {
            card.metadata = value;
        } else if (key == "vfs" && has_value) {
            const auto count = parse_number(value);
            if (!count || *count > kVirtualFunctionLimit) {
                return std::unexpected(fmt::format("--device: vfs is a number up to {}", kVirtualFunctionLimit));
            }
            card.virtual_functions = static_cast<std::uint32_t>(*count);
        } else {
            return unknown_option("--device", part, kOptions);
        }
    }
    return card;
}

/// What is after the name, option by option. @param take (card, key, value) -> whether that is one.
template <class Card>
ValueOr<CardConfig> parse_passed(const std::vector<std::string>& parts, Card card,
                                 std::span<const std::string_view> options, auto take) {
    for (const auto& part : std::span(parts).subspan(1)) {
        const auto [key, value, has_value] = split_option(part);
        if (value.empty() || !take(card, key, value)) return unknown_option("--device", part, options);
    }
    return card;
}

bool take_rom(auto& card, std::string_view key, std::string_view value) {
    if (key != "rom") return false;
    card.rom = value;
    return true;
}

ValueOr<CardConfig> parse_vfio_user(const std::vector<std::string>& parts, const std::string& socket) {
    static constexpr std::array<std::string_view, 2> kOptions{"ats", "rom"};
    return parse_passed(parts, VfioUserDevice{.socket = socket}, kOptions, [](auto& card, auto key, auto value) {
        if (key != "ats" || (value != "on" && value != "off")) return take_rom(card, key, value);
        card.address_translation = value == "on";
        return true;
    });
}

ValueOr<CardConfig> parse_vfio(const std::vector<std::string>& parts, const std::string& written) {
    static constexpr std::array<std::string_view, 2> kOptions{"iommufd", "rom"};
    auto address = parse_host_address(written);
    if (!address) return std::unexpected("--device: " + address.error());
    return parse_passed(parts, VfioDevice{.address = *std::move(address)}, kOptions,
                        [](auto& card, auto key, auto value) {
                            if (key != "iommufd") return take_rom(card, key, value);
                            if (value != "on" && value != "off" && value != "auto") return false;
                            card.iommufd = value == "auto" ? std::nullopt : std::optional(value == "on");
                            return true;
                        });
}

/// In a flag a comma is written twice.
std::string escaped(std::string_view text) {
    std::string result;
    for (const char c : text) result.append(c == ',' ? 2 : 1, c);
    return result;
}

std::string flag_of(const NvmeDevice& card) {
    std::string text = "nvme:" + escaped(card.disk.path);
    if (card.virtual_functions != 0) text += fmt::format(",vfs={}", card.virtual_functions);
    if (!card.disk.serial.empty()) text += ",serial=" + escaped(card.disk.serial);
    if (!card.metadata.empty()) text += ",metadata=" + escaped(card.metadata);
    if (card.disk.read_only) text += ",ro";
    if (card.disk.direct) text += ",direct";
    if (card.address_translation) text += ",ats=on";
    return text;
}
std::string rom_option(const std::string& rom) { return rom.empty() ? rom : ",rom=" + escaped(rom); }
std::string flag_of(const VfioUserDevice& card) {
    return "vfio-user:" + escaped(card.socket) + (card.address_translation ? ",ats=on" : "") + rom_option(card.rom);
}
std::string flag_of(const VfioDevice& card) {
    const char* const iommufd = !card.iommufd ? "" : *card.iommufd ? ",iommufd=on" : ",iommufd=off";
    return "vfio:" + card.address + iommufd + rom_option(card.rom);
}
std::string flag_of(const EmptySlot&) { return {}; }

} // namespace

std::string card_flag(const CardConfig& card) {
    return std::visit([](const auto& kind) { return flag_of(kind); }, card);
}

ValueOr<std::string> parse_host_address(std::string_view text) {
    constexpr std::string_view kPattern = "xxxx:xx:xx.o";
    const std::string whole = std::ranges::count(text, ':') == 1 ? "0000:" + std::string(text) : std::string(text);
    const auto fits = [](char character, char pattern) {
        if (pattern == 'x') return std::isxdigit(static_cast<unsigned char>(character)) != 0;
        return pattern == 'o' ? character >= '0' && character <= '7' : character == pattern;
    };
    if (!std::ranges::equal(whole, kPattern, fits)) {
        return std::unexpected(fmt::format("\"{}\" is not a PCI address: write it as 0000:03:00.1; touka devices lists "
                                           "what there is",
                                           text));
    }
    std::string address(whole);
    std::ranges::transform(address, address.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return address;
}

ValueOr<CardConfig> parse_card_flag(std::string_view text) {
    const auto parts = split_flag(text);
    const std::size_t colon = parts.front().find(':');
    const std::string kind = parts.front().substr(0, colon);
    const std::string rest = colon == std::string::npos ? std::string() : parts.front().substr(colon + 1);
    if ((kind != "nvme" && kind != "vfio-user" && kind != "vfio") || rest.empty()) {
        return std::unexpected(
            fmt::format("--device: \"{}\": write nvme:PATH, vfio-user:SOCKET or vfio:0000:03:00.1", text));
    }
    if (kind == "nvme") return parse_nvme(parts, rest);
    if (kind == "vfio-user") return parse_vfio_user(parts, rest);
    return parse_vfio(parts, rest);
}

} // namespace touka::machine
