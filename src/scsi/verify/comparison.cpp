#include "scsi/verify/comparison.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "scsi/verify/hex.hpp"
#include "scsi/verify/sense_fields.hpp"

namespace touka::scsi::verify {

namespace {

constexpr std::size_t kShownDataBytes = 8;

/// Some bytes from `offset` on, and where they are.
std::string excerpt(std::span<const std::uint8_t> bytes, std::size_t offset) {
    const auto rest = bytes.subspan(std::min(offset, bytes.size()));
    return fmt::format("{} at byte {}", to_hex(rest.first(std::min(rest.size(), kShownDataBytes))), offset);
}

class Comparer {
public:
    void field(std::string_view name, std::string outside, std::string inside) {
        if (outside != inside) found.push_back({std::string(name), std::move(outside), std::move(inside)});
    }
    void bytes(std::string_view name, std::span<const std::uint8_t> outside, std::span<const std::uint8_t> inside) {
        if (std::ranges::equal(outside, inside)) return;
        const auto [place, _] = std::ranges::mismatch(outside, inside);
        const auto offset = static_cast<std::size_t>(place - outside.begin());
        found.push_back({std::string(name), excerpt(outside, offset), excerpt(inside, offset)});
    }
    void sense(const Response& outside, const Response& inside);
    void residual(std::int64_t outside, std::int64_t inside, bool overflow);
    void data(const ReceivedData& outside, const ReceivedData& inside);

    std::vector<Difference> found;
};

void Comparer::sense(const Response& outside, const Response& inside) {
    if (outside.sense == inside.sense) return;
    const std::size_t before = found.size();
    const auto a = sense_fields(outside.sense), b = sense_fields(inside.sense);
    const auto attention = [](const Response& response, const std::optional<SenseFields>& fields) -> std::string {
        if (!is_unit_attention(response)) return "none";
        return fmt::format("{:02X}h/{:02X}h", fields->code, fields->qualifier);
    };
    field("unit attention", attention(outside, a), attention(inside, b));
    if (found.size() > before) return; // one side ended before the command proper
    const auto key = [](const auto& fields) { return fields ? fmt::format("{:X}h", fields->key) : "none"; };
    const auto code = [](const auto& fields) {
        return fields ? fmt::format("{:02X}h/{:02X}h", fields->code, fields->qualifier) : "none";
    };
    field("sense key", key(a), key(b));
    field("additional sense code", code(a), code(b));
    if (found.size() == before) bytes("sense data", outside.sense, inside.sense);
}

void Comparer::residual(std::int64_t outside, std::int64_t inside, bool overflow) {
    if (!overflow) outside = std::max<std::int64_t>(outside, 0), inside = std::max<std::int64_t>(inside, 0);
    field("residual", std::to_string(outside), std::to_string(inside));
}

void Comparer::data(const ReceivedData& outside, const ReceivedData& inside) {
    field("data length", std::to_string(outside.length_bytes), std::to_string(inside.length_bytes));
    const std::size_t common = std::min(outside.first.size(), inside.first.size());
    const std::size_t before = found.size();
    bytes("data", std::span(outside.first).first(common), std::span(inside.first).first(common));
    if (found.size() > before || outside.length_bytes != inside.length_bytes || outside.hash == inside.hash) return;
    const auto hash = [](const ReceivedData& received) {
        return fmt::format("SHA-256 {}... beyond byte {}", to_hex(std::span(received.hash).first(kShownDataBytes)),
                           received.first.size());
    };
    found.push_back({"data", hash(outside), hash(inside)});
}

/// One way has no word for more data than the buffer holds and failed; by the other the unit did what it was told.
bool is_overrun(const Response& failed, bool failed_overflow, const Response& other, bool other_overflow) {
    if (failed.delivery != Delivery::kFailed || failed_overflow || other.delivery != Delivery::kComplete) return false;
    return other_overflow ? other.residual < 0 : other.status == 0;
}

std::string delivered(const Response& response) { return std::string(delivery_name(response.delivery)); }

std::vector<std::string> attentions_of(const Recording& recording) {
    std::vector<std::string> list;
    for (const auto& sense : recording.attentions) {
        const auto fields = sense_fields(sense);
        list.push_back(fields ? fmt::format("{:02X}h/{:02X}h", fields->code, fields->qualifier) : to_hex(sense));
    }
    return list;
}

} // namespace

std::vector<Difference> compare(const Response& outside, const Response& inside, const Ways& ways) {
    if (ways.overrun && (is_overrun(inside, ways.inside_overflow, outside, ways.outside_overflow) ||
                         is_overrun(outside, ways.outside_overflow, inside, ways.inside_overflow))) {
        return {};
    }
    Comparer comparer;
    comparer.field("delivery", delivered(outside), delivered(inside));
    if (outside.delivery != Delivery::kComplete || inside.delivery != Delivery::kComplete) {
        // The same failure by both ways says nothing about the unit: it is no proof of sameness.
        if (comparer.found.empty()) comparer.found.push_back({"delivery", delivered(outside), delivered(inside)});
        return comparer.found;
    }
    comparer.field("status", fmt::format("{:02X}h", outside.status), fmt::format("{:02X}h", inside.status));
    comparer.sense(outside, inside);
    comparer.residual(outside.residual, inside.residual, ways.outside_overflow && ways.inside_overflow);
    comparer.data(outside.data, inside.data);
    return comparer.found;
}

Report compare(const Corpus& corpus, const Recording& outside, const Recording& inside) {
    Report report{.commands = corpus.commands.size(),
                  .outside_attentions = attentions_of(outside),
                  .inside_attentions = attentions_of(inside)};
    Ways ways{.outside_overflow = outside.tells_overflow, .inside_overflow = inside.tells_overflow};
    for (std::size_t i = 0; i < corpus.commands.size(); ++i) {
        std::vector<Difference> differences;
        const bool has_outside = i < outside.responses.size(), has_inside = i < inside.responses.size();
        if (has_outside && has_inside) {
            ways.overrun = corpus.commands[i].ignored.overrun;
            differences = compare(outside.responses[i], inside.responses[i], ways);
        } else {
            differences.push_back(
                {"delivery", has_outside ? "a response" : "no response", has_inside ? "a response" : "no response"});
        }
        if (!differences.empty()) report.different.push_back({i + 1, corpus.commands[i].name, std::move(differences)});
    }
    return report;
}

std::string to_text(const Report& report) {
    std::string text;
    const auto attentions = [&](std::string_view where, const std::vector<std::string>& list) {
        if (!list.empty())
            text += fmt::format("unit attentions before the first command {}: {}\n", where, fmt::join(list, ", "));
    };
    attentions("outside", report.outside_attentions);
    attentions("inside", report.inside_attentions);
    std::size_t width = std::string_view("command").size();
    for (const auto& command : report.different) width = std::max(width, command.name.size());
    if (!report.different.empty()) {
        text += fmt::format("{:>4}  {:{}}  {:21}  {:36}  {}\n", "#", "command", width, "field", "outside", "inside");
    }
    for (const auto& command : report.different) {
        for (const Difference& difference : command.differences) {
            text += fmt::format("{:>4}  {:{}}  {:21}  {:36}  {}\n", command.number, command.name, width,
                                difference.field, difference.outside, difference.inside);
        }
    }
    const std::size_t different = report.different.size();
    return text + fmt::format("{} {}, {} the same, {} {}\n", report.commands,
                              report.commands == 1 ? "command" : "commands", report.commands - different, different,
                              different == 1 ? "differs" : "differ");
}

} // namespace touka::scsi::verify
