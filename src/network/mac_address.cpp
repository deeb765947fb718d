#include "network/mac_address.hpp"

#include <fmt/format.h>

#include <charconv>

namespace touka::network {

namespace {

/// FNV-1a, 64 bits: fixed for ever, unlike std::hash. (draft-eastlake-fnv-17 §2)
class Hash {
public:
    void add(std::uint8_t byte) { value_ = (value_ ^ byte) * 0x100'0000'01B3; }
    [[nodiscard]] std::uint64_t value() const { return value_; }

private:
    std::uint64_t value_ = 0xCBF2'9CE4'8422'2325;
};

} // namespace

std::expected<MacAddress, std::string> parse_mac(std::string_view text) {
    constexpr std::size_t kLength = 17;
    const auto bad_form = [&] {
        return std::unexpected(fmt::format("\"{}\" is no MAC address; write it like 52:54:00:12:34:56", text));
    };
    if (text.size() != kLength) return bad_form();
    MacAddress address{};
    for (std::size_t i = 0; i < address.size(); ++i) {
        const std::string_view pair = text.substr(i * 3, 2);
        const auto parsed = std::from_chars(pair.begin(), pair.end(), address[i], 16);
        if (parsed.ec != std::errc{} || parsed.ptr != pair.end()) return bad_form();
        if (i + 1 < address.size() && text[i * 3 + 2] != ':') return bad_form();
    }
    if ((address[0] & spec::net::kMacGroup) != 0) {
        return std::unexpected(fmt::format("{} is a group address; a card needs one with an even first byte", text));
    }
    if (address == MacAddress{}) return std::unexpected(std::string("a card cannot have the address of all zeros"));
    return address;
}

std::string to_string(const MacAddress& address) { return fmt::format("{:02x}", fmt::join(address, ":")); }

MacAddress derive_mac(std::string_view machine_name, std::uint32_t card_index) {
    Hash hash;
    for (const char letter : machine_name) hash.add(static_cast<std::uint8_t>(letter));
    hash.add(0); // so that "a1", card 0, and "a", card 1, cannot meet
    for (unsigned shift = 0; shift < 32; shift += 8) hash.add(static_cast<std::uint8_t>(card_index >> shift));
    MacAddress address{};
    for (std::size_t i = 0; i < address.size(); ++i) address[i] = static_cast<std::uint8_t>(hash.value() >> (i * 8));
    address[0] = static_cast<std::uint8_t>((address[0] & ~spec::net::kMacGroup) | spec::net::kMacLocal);
    return address;
}

} // namespace touka::network
