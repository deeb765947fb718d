#include "scsi/verify/recording.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "scsi/verify/hex.hpp"

namespace touka::scsi::verify {

namespace {

constexpr std::string_view kTitle = "touka-responses 1 overflow=";
constexpr std::array kDeliveries{Delivery::kComplete, Delivery::kFailed, Delivery::kTimeout, Delivery::kRefused};

std::string data_text(const ReceivedData& data) {
    std::string text = std::to_string(data.length_bytes) + ":" + to_hex(data.first);
    if (!data.complete()) text += ":" + to_hex(data.hash);
    return text;
}

/// Cuts the next piece off, up to `end`, which goes too.
std::string_view cut(std::string_view& text, char end) {
    const std::string_view piece = text.substr(0, text.find(end));
    text.remove_prefix(std::min(text.size(), piece.size() + 1));
    return piece;
}

/// The value of "key=value", the next word.
std::optional<std::string_view> value_of(std::string_view& line, std::string_view key) {
    const std::string_view word = cut(line, ' ');
    if (!word.starts_with(key) || !word.substr(key.size()).starts_with('=')) return std::nullopt;
    return word.substr(key.size() + 1);
}

std::optional<ReceivedData> parse_data(std::string_view text) {
    ReceivedData data;
    const auto length = whole_number<std::uint64_t>(cut(text, ':'));
    auto first = from_hex(cut(text, ':'));
    if (!length || !first || *length > Command::kDataLimitBytes) return std::nullopt;
    data.length_bytes = *length;
    data.first = *std::move(first);
    if (data.first.size() != std::min<std::uint64_t>(*length, ReceivedData::kShownBytes)) return std::nullopt;
    if (data.complete()) return text.empty() ? std::optional(data) : std::nullopt;
    const auto hash = from_hex(text);
    if (!hash || hash->size() != data.hash.size()) return std::nullopt;
    std::ranges::copy(*hash, data.hash.begin());
    return data;
}

std::optional<std::vector<std::uint8_t>> parse_sense(std::string_view text) {
    auto sense = from_hex(text);
    if (sense && sense->size() > Recording::kSenseLimitBytes) return std::nullopt;
    return sense;
}

std::optional<Response> parse_response(std::string_view line) {
    const std::string_view word = cut(line, ' ');
    const auto* const delivery = std::ranges::find(kDeliveries, word, delivery_name);
    if (delivery == kDeliveries.end()) return std::nullopt;
    Response response{.delivery = *delivery};
    if (*delivery != Delivery::kComplete) return line.empty() ? std::optional(response) : std::nullopt;
    const auto status = value_of(line, "status");
    const auto residual = value_of(line, "residual");
    const auto sense = value_of(line, "sense");
    const auto data = value_of(line, "data");
    if (!status || !residual || !sense || !data || !line.empty()) return std::nullopt;
    const auto status_byte = from_hex(*status);
    const auto residual_number = whole_number<std::int64_t>(*residual);
    auto sense_bytes = parse_sense(*sense);
    auto received = parse_data(*data);
    if (!status_byte || status_byte->size() != 1 || !residual_number || !sense_bytes || !received) return std::nullopt;
    response.status = status_byte->front();
    response.residual = *residual_number;
    response.sense = *std::move(sense_bytes);
    response.data = *std::move(received);
    return response;
}

/// @return what is wrong with the line.
std::optional<std::string> take_line(Recording& recording, std::string_view line) {
    const std::string_view word = cut(line, ' ');
    if (word == "attention" && recording.responses.empty()) {
        auto sense = parse_sense(line);
        if (!sense || sense->empty()) return "not sense data";
        if (recording.attentions.size() == Recording::kAttentionLimit) return "too many unit attentions";
        recording.attentions.push_back(*std::move(sense));
        return std::nullopt;
    }
    const std::size_t number = recording.responses.size() + 1;
    if (whole_number<std::size_t>(word) != number) return "response " + std::to_string(number) + " should follow";
    if (number > Corpus::kCommandLimit) return "too many responses";
    auto response = parse_response(line);
    if (!response) return "not a response";
    recording.responses.push_back(*std::move(response));
    return std::nullopt;
}

} // namespace

std::string_view delivery_name(Delivery delivery) {
    switch (delivery) {
        case Delivery::kComplete: return "complete";
        case Delivery::kFailed: return "failed";
        case Delivery::kTimeout: return "timeout";
        case Delivery::kRefused: break;
    }
    return "refused";
}

std::string header_text(const Recording& recording) {
    return std::string(kTitle) + (recording.tells_overflow ? "yes\n" : "no\n");
}

std::string attention_text(const std::vector<std::uint8_t>& sense) { return "attention " + to_hex(sense) + "\n"; }

std::string response_text(std::size_t number, const Response& response) {
    std::string text = std::to_string(number) + " " + std::string(delivery_name(response.delivery));
    if (response.delivery == Delivery::kComplete) {
        text += " status=" + to_hex(std::array{response.status}) + " residual=" + std::to_string(response.residual);
        text += " sense=" + to_hex(response.sense) + " data=" + data_text(response.data);
    }
    return text + "\n";
}

std::string to_text(const Recording& recording) {
    std::string text = header_text(recording);
    for (const auto& sense : recording.attentions) text += attention_text(sense);
    std::size_t number = 0;
    for (const Response& response : recording.responses) text += response_text(++number, response);
    return text;
}

std::expected<Recording, std::string> parse_recording(std::string_view text, std::string_view file_name) {
    Recording recording;
    for (std::size_t line_number = 1; !text.empty() || line_number == 1; ++line_number) {
        std::string_view line = cut(text, '\n');
        if (line.ends_with('\r')) line.remove_suffix(1); // a terminal was between
        std::optional<std::string> wrong;
        if (line_number > 1) {
            wrong = take_line(recording, line);
        } else if (line == std::string(kTitle) + "yes") {
            recording.tells_overflow = true;
        } else if (line != std::string(kTitle) + "no") {
            wrong = "not the responses that touka-probe prints";
        }
        if (wrong) return std::unexpected(std::string(file_name) + ":" + std::to_string(line_number) + ": " + *wrong);
    }
    return recording;
}

} // namespace touka::scsi::verify
