#include "scsi/verify/corpus.hpp"

#include <algorithm>
#include <optional>
#include <unordered_set>
#include <utility>

#include "scsi/verify/hex.hpp"

namespace touka::scsi::verify {

namespace {

using Wrong = std::optional<std::string>; // nothing when all is well

/// Words of a line, one after the other.
class Words {
public:
    explicit Words(std::string_view line) : rest_(line) { skip_blanks(); }
    [[nodiscard]] bool empty() const { return rest_.empty(); }
    [[nodiscard]] std::string_view rest() const { return rest_; }
    std::string_view next() {
        const std::string_view word = rest_.substr(0, rest_.find_first_of(" \t"));
        rest_.remove_prefix(word.size());
        skip_blanks();
        return word;
    }

private:
    void skip_blanks() {
        const auto first = rest_.find_first_not_of(" \t");
        rest_.remove_prefix(first == std::string_view::npos ? rest_.size() : first);
    }
    std::string_view rest_;
};

std::string quoted(std::string_view word) { return "\"" + std::string(word) + "\""; }

/// "12" or "0x0C".
template <class Number>
std::optional<Number> number(std::string_view word) {
    if (word.starts_with("0x") || word.starts_with("0X")) return whole_number<Number>(word.substr(2), 16);
    return whole_number<Number>(word);
}

class Parser {
public:
    explicit Parser(std::string_view file_name) : file_name_(file_name) {}

    std::expected<Corpus, std::string> parse(std::string_view text) {
        while (!text.empty()) {
            ++line_;
            std::string_view line = text.substr(0, text.find('\n'));
            text.remove_prefix(std::min(text.size(), line.size() + 1));
            line = line.substr(0, line.find('#'));
            while (!line.empty() && (line.back() == ' ' || line.back() == '\t' || line.back() == '\r')) {
                line.remove_suffix(1);
            }
            Words words(line);
            if (words.empty()) continue;
            if (const Wrong wrong = take(words)) return error(line_, *wrong);
        }
        if (const Wrong wrong = finish_command()) return error(command_line_, *wrong);
        if (corpus_.commands.empty()) return error(line_, "there is no command");
        return std::move(corpus_);
    }

private:
    [[nodiscard]] std::unexpected<std::string> error(std::size_t line, const std::string& what) const {
        return std::unexpected(file_name_ + ":" + std::to_string(line) + ": " + what);
    }

    Wrong take(Words& words) {
        const std::string_view key = words.next();
        if (key == "name") return take_name(words.rest());
        if (corpus_.commands.empty()) return "a command begins with a line \"name ...\"";
        Command& command = corpus_.commands.back();
        if (key == "cdb") return take_cdb(command, words);
        if (key == "in") return take_in(command, words);
        if (key == "out") return take_out(command, words);
        if (key == "ignore") return take_ignored(command.ignored, words);
        return quoted(key) + " is none of name, cdb, in, out, ignore";
    }

    Wrong take_name(std::string_view name) {
        if (Wrong wrong = finish_command()) return *wrong + " (the command before this line)";
        if (name.empty()) return "a command needs a name";
        for (const char c : name) {
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return "a name has no control characters";
        }
        if (!names_.insert(std::string(name)).second) return "a second command named " + quoted(name);
        if (corpus_.commands.size() == Corpus::kCommandLimit) return "too many commands";
        corpus_.commands.push_back({.name = std::string(name)});
        command_line_ = line_;
        has_in_ = has_out_ = false;
        return std::nullopt;
    }
    [[nodiscard]] Wrong finish_command() const {
        if (corpus_.commands.empty() || !corpus_.commands.back().cdb.empty()) return std::nullopt;
        return quoted(corpus_.commands.back().name) + " has no cdb";
    }

    static Wrong append_bytes(std::vector<std::uint8_t>& to, Words& words, std::size_t limit) {
        if (words.empty()) return "bytes are missing";
        while (!words.empty()) {
            const std::string_view word = words.next();
            const auto byte = whole_number<std::uint8_t>(word, 16);
            if (!byte || word.size() != 2) return quoted(word) + " is not a byte in two hexadecimal digits";
            if (to.size() == limit) return "more than " + std::to_string(limit) + " bytes";
            to.push_back(*byte);
        }
        return std::nullopt;
    }
    static Wrong take_cdb(Command& command, Words& words) {
        if (!command.cdb.empty()) return "a second cdb";
        return append_bytes(command.cdb, words, Command::kCdbLimitBytes);
    }
    static Wrong take_length(std::uint32_t& length, Words& words) {
        const std::string_view word = words.next();
        const auto value = number<std::uint32_t>(word);
        if (!value) return quoted(word) + " is not a number of bytes";
        if (*value > Command::kDataLimitBytes) {
            return quoted(word) + " is more than " + std::to_string(Command::kDataLimitBytes) + " bytes";
        }
        length = *value;
        return std::nullopt;
    }
    static Wrong no_more(const Words& words) {
        if (words.empty()) return std::nullopt;
        return "unexpected " + quoted(words.rest());
    }

    Wrong take_in(Command& command, Words& words) {
        if (has_out_) return "a command has in or out, not both";
        if (std::exchange(has_in_, true)) return "a second in";
        if (Wrong wrong = take_length(command.in_bytes, words)) return wrong;
        return no_more(words);
    }

    Wrong take_out(Command& command, Words& words) {
        if (has_in_) return "a command has in or out, not both";
        has_out_ = true;
        const std::size_t before = command.out.size();
        const std::string_view kind = words.next();
        Wrong wrong = quoted(kind) + " is none of pattern, hex";
        if (kind == "hex") wrong = append_bytes(command.out, words, Command::kDataLimitBytes);
        if (kind == "pattern") wrong = append_pattern(command.out, words);
        if (wrong) return wrong;
        out_bytes_ += command.out.size() - before;
        if (out_bytes_ > Corpus::kOutLimitBytes) return "too much data in all";
        return no_more(words);
    }
    static Wrong append_pattern(std::vector<std::uint8_t>& out, Words& words) {
        std::uint32_t length = 0;
        if (Wrong wrong = take_length(length, words)) return wrong;
        const std::string_view word = words.next();
        const auto value = number<std::uint8_t>(word);
        if (!value) return quoted(word) + " is not the value of a byte";
        if (out.size() + length > Command::kDataLimitBytes) {
            return "more than " + std::to_string(Command::kDataLimitBytes) + " bytes";
        }
        out.resize(out.size() + length, *value);
        return std::nullopt;
    }

    static Wrong take_ignored(Ignored& ignored, Words& words) {
        const std::string_view what = words.next();
        if (what == "bytes") return take_ranges(ignored, words);
        if (what == "data")
            ignored.data = true;
        else if (what == "target-ports")
            ignored.target_ports = true;
        else if (what == "sense")
            ignored.sense = true;
        else if (what == "overrun")
            ignored.overrun = true;
        else if (what == "residual")
            ignored.residual = true;
        else
            return quoted(what) + " is none of bytes, data, target-ports, sense, residual, overrun";
        return no_more(words);
    }
    static Wrong take_ranges(Ignored& ignored, Words& words) {
        if (words.empty()) return "which bytes?";
        while (!words.empty()) {
            const std::string_view word = words.next();
            const auto dash = word.find('-');
            const auto first = number<std::uint32_t>(word.substr(0, dash));
            auto last = first;
            if (dash != std::string_view::npos) {
                const std::string_view end = word.substr(dash + 1);
                last = end.empty() ? ByteRange::kToTheEnd : number<std::uint32_t>(end);
            }
            if (!first || !last || *last < *first) return quoted(word) + " is not a range of bytes: write 4, 4-7 or 4-";
            ignored.bytes.push_back({*first, *last});
        }
        return std::nullopt;
    }

    std::string file_name_;
    Corpus corpus_;
    std::unordered_set<std::string> names_;
    std::size_t line_ = 0, command_line_ = 0;
    std::size_t out_bytes_ = 0;
    bool has_in_ = false, has_out_ = false;
};

} // namespace

std::expected<Corpus, std::string> parse_corpus(std::string_view text, std::string_view file_name) {
    return Parser(file_name).parse(text);
}

} // namespace touka::scsi::verify
