#include "configuration/toml_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace touka::configuration {
namespace {

std::string_view type_name(const toml::node& node) {
    switch (node.type()) {
        case toml::node_type::table: return "a table";
        case toml::node_type::array: return "an array";
        case toml::node_type::string: return "text";
        case toml::node_type::integer: return "a number";
        case toml::node_type::floating_point: return "a number with a fraction";
        case toml::node_type::boolean: return "true or false";
        case toml::node_type::none: break;
        default: return "a date or time";
    }
    return "nothing";
}

} // namespace

std::optional<std::string> TomlTable::text(std::string_view key) {
    const auto* node = find(key);
    if (node == nullptr) return std::nullopt;
    auto value = node->value_exact<std::string>();
    if (!value) fail_type(*node, key, "text", fmt::format("{} = \"...\"", key));
    return value;
}

std::string TomlTable::path(std::string_view key, std::string otherwise) {
    const std::string written = text(key).value_or(std::move(otherwise));
    if (written.empty()) return written;
    return (std::filesystem::path(file_).parent_path() / written).string(); // an absolute path stays as it is
}

std::optional<bool> TomlTable::boolean(std::string_view key) {
    const auto* node = find(key);
    if (node == nullptr) return std::nullopt;
    auto value = node->value_exact<bool>();
    if (!value) fail_type(*node, key, "true or false", fmt::format("{} = true", key));
    return value;
}

std::optional<std::uint32_t> TomlTable::number(std::string_view key, std::uint32_t least, std::uint32_t most) {
    const auto* node = find(key);
    if (node == nullptr) return std::nullopt;
    const auto value = node->value_exact<std::int64_t>();
    if (!value) {
        fail_type(*node, key, "a whole number", fmt::format("{} = {}", key, least));
        return std::nullopt;
    }
    if (*value < std::int64_t{least} || *value > std::int64_t{most}) {
        fail(*node, fmt::format("{}: {} is not in {} to {}", key, *value, least, most));
        return std::nullopt;
    }
    return static_cast<std::uint32_t>(*value);
}

std::vector<std::string> TomlTable::texts(std::string_view key) {
    const auto* node = find(key);
    if (node == nullptr) return {};
    std::vector<std::string> all;
    const auto* array = node->as_array();
    if (array == nullptr) {
        fail_type(*node, key, "a list of texts", fmt::format("{} = [\"...\"]", key));
        return {};
    }
    for (const auto& element : *array) {
        auto value = element.value_exact<std::string>();
        if (!value) {
            fail_type(element, key, "a list of texts", fmt::format("{} = [\"...\"]", key));
            return {};
        }
        all.push_back(*std::move(value));
    }
    return all;
}

std::optional<std::vector<std::uint32_t>> TomlTable::numbers(std::string_view key, std::uint32_t least,
                                                             std::uint32_t most) {
    const auto* node = find(key);
    if (node == nullptr) return std::nullopt;
    std::vector<std::uint32_t> all;
    const auto* array = node->as_array();
    if (array == nullptr) {
        fail_type(*node, key, "a list of whole numbers", fmt::format("{} = [{}]", key, least));
        return std::nullopt;
    }
    for (const auto& element : *array) {
        const auto value = element.value_exact<std::int64_t>();
        if (!value || *value < std::int64_t{least} || *value > std::int64_t{most}) {
            fail(element, fmt::format("{}: its elements are whole numbers from {} to {}", key, least, most));
            return std::nullopt;
        }
        all.push_back(static_cast<std::uint32_t>(*value));
    }
    return all;
}

std::vector<const toml::table*> TomlTable::tables(std::string_view key) {
    const auto* node = find(key);
    if (node == nullptr) return {};
    std::vector<const toml::table*> all;
    const auto* array = node->as_array();
    const auto is_table = [](const toml::node& element) { return element.is_table(); };
    if (array == nullptr || !std::all_of(array->begin(), array->end(), is_table)) {
        fail_type(*node, key, "an array of tables", fmt::format("[[{}]]", key));
        return {};
    }
    for (const auto& element : *array) all.push_back(element.as_table());
    return all;
}

void TomlTable::require(std::string_view key) {
    if (table_.get(key) == nullptr) fail_at(table_.source(), fmt::format("{}: \"{}\" is missing", what_, key), {});
}

void TomlTable::reject_unknown() {
    for (const auto& [key, value] : table_) {
        if (std::ranges::find(known_, key.str()) != known_.end()) continue;
        const auto place = what_.empty() ? std::string() : fmt::format(" of a {}", what_);
        const auto match = closest_match(key.str(), known_);
        fail_at(key.source(), fmt::format("unknown key \"{}\"{}", key.str(), place),
                match.empty() ? fmt::format("known are {}", fmt::join(known_, ", "))
                              : fmt::format("did you mean \"{}\"?", match));
        return;
    }
}

void TomlTable::fail(const toml::node& where, std::string text, std::string hint) {
    fail_at(where.source(), std::move(text), std::move(hint));
}

const toml::node* TomlTable::find(std::string_view key) {
    known_.push_back(key);
    return error_ ? nullptr : table_.get(key);
}

void TomlTable::fail_type(const toml::node& node, std::string_view key, std::string_view wanted,
                          std::string_view example) {
    fail(node, fmt::format("{} must be {}, not {}", key, wanted, type_name(node)), fmt::format("write {}", example));
}

void TomlTable::fail_at(const toml::source_region& where, std::string text, std::string hint) {
    if (error_) return;
    error_ = ConfigError{.file = file_,
                         .line = where.begin.line,
                         .column = where.begin.column,
                         .text = std::move(text),
                         .hint = std::move(hint)};
}

} // namespace touka::configuration
