// How an IscsiUnit's configuration becomes that of its session.
#include <iscsi/iscsi.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "scsi/passthrough/iscsi_unit.hpp"
#include "spec/scsi/lun.hpp"

namespace touka::scsi {

namespace {

struct ContextDeleter {
    void operator()(iscsi_context* context) const { iscsi_destroy_context(context); }
};
struct UrlDeleter {
    void operator()(iscsi_url* url) const { iscsi_destroy_url(url); }
};

/// The number that 16 hexadecimal digits are.
std::expected<std::uint64_t, std::string> parse_wwpn(const std::string& text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (text.size() != 16 || error != std::errc{} || end != text.data() + text.size()) {
        return std::unexpected("a WWPN has 16 hexadecimal digits, not \"" + text + "\"");
    }
    return value;
}

/// The low 24 bits of a WWPN tell ports of one vendor apart; the upper ones are folded in.
std::uint32_t isid_of(std::uint64_t wwpn) {
    return static_cast<std::uint32_t>((wwpn ^ wwpn >> 24 ^ wwpn >> 48) & 0xFF'FFFF);
}

void prefer(std::string& value, const std::string& configured) {
    if (!configured.empty()) value = configured;
}

} // namespace

std::expected<std::unique_ptr<IscsiUnit>, std::string> IscsiUnit::create(runtime::Reactor& reactor,
                                                                         IscsiUnitConfiguration configuration) {
    std::ranges::transform(configuration.initiator_wwpn, configuration.initiator_wwpn.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const auto wwpn = parse_wwpn(configuration.initiator_wwpn);
    if (!wwpn) return std::unexpected(wwpn.error());
    IscsiSessionConfiguration session;
    session.initiator_name = "naa." + configuration.initiator_wwpn;

    const std::unique_ptr<iscsi_context, ContextDeleter> context(iscsi_create_context(session.initiator_name.c_str()));
    if (!context) return std::unexpected("out of memory");
    const std::unique_ptr<iscsi_url, UrlDeleter> url(iscsi_parse_full_url(context.get(), configuration.url.c_str()));
    if (!url) return std::unexpected(iscsi_get_error(context.get()));
    if (url->lun < 0 || url->lun > static_cast<int>(spec::scsi::Lun::kLargestNumber)) {
        return std::unexpected("LUN " + std::to_string(url->lun) + " is not one of 0 to 16383");
    }
    const auto lun = static_cast<std::uint32_t>(url->lun);
    session.portal = url->portal;
    session.target_name = url->target;
    session.user = url->user;
    session.password = url->passwd;
    session.target_user = url->target_user;
    session.target_password = url->target_passwd;
    prefer(session.user, configuration.user);
    prefer(session.password, configuration.password);
    prefer(session.target_user, configuration.target_user);
    prefer(session.target_password, configuration.target_password);
    session.header_digest = configuration.header_digest;
    if (configuration.url.find("header_digest=crc32c") != std::string::npos)
        session.header_digest = IscsiHeaderDigest::kCrc32c;
    if (configuration.url.find("header_digest=none") != std::string::npos)
        session.header_digest = IscsiHeaderDigest::kNone;
    session.isid_random = isid_of(*wwpn);
    session.isid_qualifier = static_cast<std::uint16_t>(lun);
    const auto lun_field = static_cast<std::uint16_t>(spec::scsi::Lun::from_number(lun).value >> 48);
    return std::unique_ptr<IscsiUnit>(new IscsiUnit(reactor, configuration, std::move(session), lun_field));
}

} // namespace touka::scsi
