#include "scsi/reservation/reservation_text.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace touka::scsi {

namespace {

using spec::scsi::ProtocolIdentifier;

constexpr std::string_view kCheckKey = "check = \"";
constexpr std::size_t kCheckDigits = 8;
constexpr std::string_view kCheckEnd = "\"\n";

struct ProtocolText {
    ProtocolIdentifier protocol;
    std::string_view text;
};
constexpr std::array<ProtocolText, 4> kProtocols{{{ProtocolIdentifier::kFibreChannel, "fibre-channel"},
                                                  {ProtocolIdentifier::kIscsi, "iscsi"},
                                                  {ProtocolIdentifier::kSas, "sas"},
                                                  {ProtocolIdentifier::kNone, "none"}}};

/// CRC-32 of IEEE 802.3, bit by bit: the text is short and seldom written.
std::uint32_t crc32(std::string_view text) {
    std::uint32_t crc = 0xFFFF'FFFF;
    for (const char c : text) {
        crc ^= static_cast<std::uint8_t>(c);
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xEDB8'8320 : 0);
    }
    return ~crc;
}

/// A TOML basic string, or for names with bytes that such a string cannot have their hexadecimal digits.
std::string initiator_line(std::string_view name) {
    const bool printable = std::ranges::all_of(name, [](char c) { return c >= 0x20 && c < 0x7F; });
    std::string text;
    for (const char c : name) {
        if (!printable) {
            text += fmt::format("{:02x}", static_cast<std::uint8_t>(c));
            continue;
        }
        if (c == '"' || c == '\\') text += '\\';
        text += c;
    }
    return fmt::format("{} = \"{}\"\n", printable ? "initiator" : "initiator-bytes", text);
}

std::string registration_text(const PersistentReservationsState& state, const NexusName& nexus, ReservationKey key) {
    const auto protocol = std::ranges::find(kProtocols, nexus.initiator.protocol, &ProtocolText::protocol);
    std::string text = "\n[[registration]]\n";
    text += fmt::format("protocol = \"{}\"\n", protocol != kProtocols.end() ? protocol->text : "none");
    text += initiator_line(nexus.initiator.name);
    text += fmt::format("target-port = {}\nkey = \"0x{:016x}\"\n", nexus.target_port, key);
    if (state.reservation && state.reservation->holder == nexus) text += "holder = true\n";
    return text;
}

std::optional<std::uint64_t> hexadecimal(std::string_view text) {
    std::uint64_t value = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<std::string> name_of(const toml::table& table) {
    if (const auto name = table["initiator"].value_exact<std::string>()) return name;
    const auto digits = table["initiator-bytes"].value_exact<std::string>();
    if (!digits || digits->size() % 2 != 0) return std::nullopt;
    std::string name;
    for (std::size_t i = 0; i < digits->size(); i += 2) {
        const auto byte = hexadecimal(std::string_view(*digits).substr(i, 2));
        if (!byte) return std::nullopt;
        name += static_cast<char>(*byte);
    }
    return name;
}

/// @return what is wrong, or nothing when the registration was taken over.
std::optional<std::string_view> read_registration(const toml::table& table, PersistentReservationsState& state) {
    const std::string protocol_text = table["protocol"].value_exact<std::string>().value_or("");
    const auto protocol = std::ranges::find(kProtocols, std::string_view(protocol_text), &ProtocolText::text);
    if (protocol == kProtocols.end()) return "a registration of an unknown protocol";
    auto name = name_of(table);
    if (!name) return "a registration without initiator";
    const auto port = table["target-port"].value_exact<std::int64_t>();
    if (!port || *port < 1 || *port > UINT16_MAX) return "a registration without target port";
    const auto key_text = table["key"].value_exact<std::string>();
    const auto key =
        key_text && key_text->starts_with("0x") ? hexadecimal(std::string_view(*key_text).substr(2)) : std::nullopt;
    if (!key || *key == 0) return "a registration without key";

    const NexusName nexus{{protocol->protocol, *std::move(name)}, static_cast<RelativeTargetPort>(*port)};
    if (!state.registrations.emplace(nexus, *key).second) return "a registration twice";
    if (!table.contains("holder")) return std::nullopt;
    if (!table["holder"].value_exact<bool>().value_or(false)) return "a holder that is none";
    if (!state.reservation || is_all_registrants(state.reservation->type)) return "a holder of no reservation";
    if (state.reservation->holder != NexusName{}) return "two holders";
    state.reservation->holder = nexus;
    return std::nullopt;
}

std::optional<std::string_view> read_state(const toml::table& root, PersistentReservationsState& state) {
    const auto persists = root["persists"].value_exact<bool>();
    if (!persists) return "no word whether it persists";
    state.persists = *persists;
    if (const auto* node = root.get("type")) {
        const std::int64_t code = node->value_exact<std::int64_t>().value_or(0);
        const auto type = code >= 0 && code <= 0xF ? reservation_type(static_cast<std::uint8_t>(code)) : std::nullopt;
        if (!type) return "a reservation of an unknown type";
        state.reservation = PersistentReservation{.type = *type};
    }
    if (const auto* registrations = root["registration"].as_array()) {
        for (const auto& node : *registrations) {
            const auto* table = node.as_table();
            if (table == nullptr) return "a registration that is none";
            if (const auto wrong = read_registration(*table, state)) return wrong;
        }
    }
    if (!state.reservation) return std::nullopt;
    const bool held = is_all_registrants(state.reservation->type)
                          ? !state.registrations.empty()
                          : state.registrations.contains(state.reservation->holder);
    return held ? std::nullopt : std::optional<std::string_view>("a reservation that nobody holds");
}

} // namespace

std::string reservation_text(const PersistentReservationsState& state) {
    std::string text = fmt::format("# Persistent reservations of a logical unit. Written by Touka; a changed file is "
                                   "refused.\nversion = {}\npersists = {}\n",
                                   kReservationTextVersion, state.persists);
    if (state.persists) {
        if (state.reservation) text += fmt::format("type = {}\n", static_cast<int>(state.reservation->type));
        for (const auto& [nexus, key] : state.registrations) text += registration_text(state, nexus, key);
    }
    return fmt::format("{}{:08x}{}", kCheckKey, crc32(text), kCheckEnd) + text;
}

std::expected<PersistentReservationsState, StoreError> parse_reservation_text(std::string_view text,
                                                                              const std::string& file) {
    const auto refuse = [&](StoreError::Kind kind, std::string_view what) {
        return std::unexpected(StoreError{
            kind, fmt::format("{}: {}; reservations of initiators would be lost, so the unit does not start with it. "
                              "Restore the file, or remove it when no initiator relies on its reservation.",
                              file, what)});
    };
    const std::size_t head = kCheckKey.size() + kCheckDigits + kCheckEnd.size();
    if (text.size() < head || !text.starts_with(kCheckKey)) return refuse(StoreError::Kind::kDamaged, "damaged");
    const std::string_view body = text.substr(head);
    if (text.substr(0, head) != fmt::format("{}{:08x}{}", kCheckKey, crc32(body), kCheckEnd)) {
        return refuse(StoreError::Kind::kDamaged, "damaged: its check value is another");
    }
    try {
        const toml::table root = toml::parse(body, file);
        const auto version = root["version"].value_exact<std::int64_t>().value_or(0);
        if (version > kReservationTextVersion) {
            return refuse(StoreError::Kind::kNewer, fmt::format("written by a later version ({})", version));
        }
        if (version < 1) return refuse(StoreError::Kind::kDamaged, "damaged: no version");
        PersistentReservationsState state;
        if (const auto wrong = read_state(root, state)) {
            return refuse(StoreError::Kind::kDamaged, fmt::format("damaged: {}", *wrong));
        }
        return state;
    } catch (const toml::parse_error& error) {
        return refuse(StoreError::Kind::kDamaged, fmt::format("damaged: {}", error.description()));
    }
}

} // namespace touka::scsi
