#include "machine/scsi_flags.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

#include "machine/flag_options.hpp"

namespace touka::machine {

namespace {

using Problem = std::expected<void, std::string>;

/// "08+0a+28": operation codes, two hexadecimal digits each.
ValueOr<std::vector<std::uint32_t>> parse_codes(std::string_view text) {
    std::vector<std::uint32_t> codes;
    while (true) {
        const auto end = std::min(text.find('+'), text.size());
        std::uint32_t code = 0;
        const auto parsed = std::from_chars(text.data(), text.data() + end, code, 16);
        if (end == 0 || parsed.ec != std::errc{} || parsed.ptr != text.data() + end || code > 0xFF) {
            return std::unexpected("--scsi: allow: write operation codes in hexadecimal: allow=00+12+28");
        }
        codes.push_back(code);
        if (end == text.size()) return codes;
        text.remove_prefix(end + 1);
    }
}

Problem take_local(const FlagOption& option, LocalUnit& unit, bool& taken) {
    taken = true;
    if (option.key == "ro" && !option.has_value) {
        unit.disk.read_only = true;
    } else if (option.key == "direct" && !option.has_value) {
        unit.disk.direct = true;
    } else if (option.key == "removable" && !option.has_value) {
        unit.disk.removable = true;
    } else if (option.key == "serial" && option.has_value) {
        unit.serial = option.value;
    } else if (option.key == "state" && option.has_value) {
        unit.state = option.value;
    } else if ((option.key == "block" || option.key == "physical") && option.has_value) {
        const auto bytes = parse_number(option.value);
        if (!bytes || (*bytes != 512 && *bytes != 4096)) {
            return std::unexpected(fmt::format("--scsi: {} is 512 or 4096", option.key));
        }
        (option.key == "block" ? unit.disk.block_bytes : unit.disk.physical_block_bytes) =
            static_cast<std::uint32_t>(*bytes);
    } else {
        taken = false;
    }
    return {};
}

Problem take_iscsi(const FlagOption& option, IscsiUnit& unit, bool& taken) {
    taken = option.has_value && (option.key == "user" || option.key == "secret");
    if (taken) (option.key == "user" ? unit.user : unit.secret) = option.value;
    return {};
}

/// What is behind the unit, and how many words of the flag say so.
ValueOr<std::size_t> parse_kind(std::string_view kind, const std::vector<std::string>& parts, ScsiUnitConfig& unit) {
    const std::string first = parts.front().substr(kind.size() + 1);
    if (first.empty()) return std::unexpected(fmt::format("--scsi: nothing after {}:", kind));
    if (kind == "lu") {
        unit.behind = LocalUnit{.disk = {.path = first}, .serial = {}, .state = {}};
        return 1;
    }
    if (kind == "sg") {
        unit.behind = SgUnit{first};
        return 1;
    }
    const auto lun = parts.size() >= 3 ? parse_number(parts[2]) : ValueOr<std::uint64_t>(std::unexpected(""));
    if (!lun || *lun > 0x3FFF) return std::unexpected("--scsi: write iscsi:ADDRESS:PORT,TARGET,LUN");
    unit.behind = IscsiUnit{
        .portal = first, .target = parts[1], .lun = static_cast<std::uint32_t>(*lun), .user = {}, .secret = {}};
    return 3;
}

} // namespace

ValueOr<std::variant<ScsiUnitConfig, VhostUserSocket>> parse_scsi_flag(std::string_view text) {
    static constexpr std::array<std::string_view, 4> kKinds{"lu", "sg", "iscsi", "vhost-user"};
    static constexpr std::array<std::string_view, 10> kOptions{"block",  "physical", "ro",   "direct", "removable",
                                                               "serial", "state",    "user", "secret", "allow"};
    const auto parts = split_flag(text);
    const std::string kind = parts.front().substr(0, parts.front().find(':'));
    if (std::ranges::find(kKinds, kind) == kKinds.end() || kind == parts.front()) {
        return std::unexpected(fmt::format(
            "--scsi: \"{}\": write lu:PATH, sg:/dev/sgN, iscsi:ADDRESS:PORT,TARGET,LUN or vhost-user:SOCKET", text));
    }
    if (kind == "vhost-user") {
        if (parts.size() > 1) return std::unexpected("--scsi: vhost-user takes no options");
        return VhostUserSocket{parts.front().substr(kind.size() + 1)};
    }
    ScsiUnitConfig unit;
    const auto words = parse_kind(kind, parts, unit);
    if (!words) return std::unexpected(words.error());
    for (const auto& part : std::span(parts).subspan(*words)) {
        const FlagOption option = split_option(part);
        if (option.key == "allow" && option.has_value) {
            auto codes = parse_codes(option.value);
            if (!codes) return std::unexpected(codes.error());
            unit.allowed = *std::move(codes);
            continue;
        }
        bool taken = false;
        Problem problem;
        if (auto* local = std::get_if<LocalUnit>(&unit.behind)) problem = take_local(option, *local, taken);
        if (auto* iscsi = std::get_if<IscsiUnit>(&unit.behind)) problem = take_iscsi(option, *iscsi, taken);
        if (!problem) return std::unexpected(problem.error());
        if (!taken) return unknown_option("--scsi", part, kOptions);
    }
    return unit;
}

} // namespace touka::machine
