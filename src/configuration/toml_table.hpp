// Reads one TOML table key by key, and complains about what nobody asked for.
#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "configuration/config_error.hpp"
#include "configuration/values.hpp"

namespace touka::configuration {

/// Keeps the first error; after it, reads give nothing.
class TomlTable {
public:
    /// @param table outlives this.  @param what for messages: "disk device"; empty: the top of the file.
    TomlTable(const toml::table& table, std::string file, std::string what = {})
        : table_(table), file_(std::move(file)), what_(std::move(what)) {}

    [[nodiscard]] std::optional<std::string> text(std::string_view key);
    /// Text that is a path, relative to the file's folder. @param otherwise of a key that is absent; empty stays empty.
    [[nodiscard]] std::string path(std::string_view key, std::string otherwise = {});
    [[nodiscard]] std::optional<bool> boolean(std::string_view key);
    /// A whole number in [least, most].
    [[nodiscard]] std::optional<std::uint32_t> number(std::string_view key, std::uint32_t least, std::uint32_t most);
    [[nodiscard]] std::vector<std::string> texts(std::string_view key);
    /// A list of whole numbers in [least, most]; nothing when the key is absent.
    [[nodiscard]] std::optional<std::vector<std::uint32_t>> numbers(std::string_view key, std::uint32_t least,
                                                                    std::uint32_t most);
    /// The elements of an array of tables; none when the key is absent.
    [[nodiscard]] std::vector<const toml::table*> tables(std::string_view key);
    /// Text that `parse` understands.  @param parse string_view -> ValueOr<T>.
    template <class Parse>
    auto parsed(std::string_view key, Parse parse) -> std::optional<typename decltype(parse(key))::value_type> {
        const auto written = text(key);
        if (!written) return std::nullopt;
        auto value = parse(*written);
        if (!value) {
            fail(*table_.get(key), std::string(key) + ": " + value.error());
            return std::nullopt;
        }
        return *std::move(value);
    }

    /// The key must be there.
    void require(std::string_view key);
    /// To be called when all keys were read: any other is an error with a suggestion.
    void reject_unknown();
    void fail(const toml::node& where, std::string text, std::string hint = {});
    [[nodiscard]] const std::optional<ConfigError>& error() const { return error_; }

private:
    const toml::node* find(std::string_view key);
    void fail_type(const toml::node& node, std::string_view key, std::string_view wanted, std::string_view example);
    void fail_at(const toml::source_region& where, std::string text, std::string hint);

    const toml::table& table_;
    std::string file_;
    std::string what_;
    std::vector<std::string_view> known_;
    std::optional<ConfigError> error_;
};

} // namespace touka::configuration
