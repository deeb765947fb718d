// Saved state as bytes. A state struct says its fields once, in `describe`, for writing and reading alike:
//     struct RtcState {
//         static constexpr std::uint16_t kVersion = 1;
//         std::array<std::uint8_t, 128> cmos{};
//         void describe(auto& archive) { archive(cmos); }
//     };
// Little-endian, no padding, lengths before contents. A reader never trusts a length.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace touka::migration {

/// Appends fields to a byte vector.
class ArchiveWriter {
public:
    static constexpr bool kReading = false;
    template <class... Fields>
    void operator()(Fields&... fields) {
        (field(fields), ...);
    }
    [[nodiscard]] std::vector<std::byte> take() { return std::move(bytes_); }

private:
    template <class T>
        requires(std::integral<T> || std::is_enum_v<T>)
    void field(T& value) {
        auto raw = static_cast<std::uint64_t>(value);
        for (std::size_t i = 0; i < sizeof(T); ++i, raw >>= 8) bytes_.push_back(static_cast<std::byte>(raw));
    }
    template <class T, std::size_t N>
    void field(std::array<T, N>& values) {
        for (auto& value : values) field(value);
    }
    template <class T>
    void field(std::vector<T>& values) {
        length(values.size());
        for (auto& value : values) field(value);
    }
    void field(std::string& text) {
        length(text.size());
        for (const char c : text) bytes_.push_back(static_cast<std::byte>(c));
    }
    template <class T>
    void field(std::optional<T>& value) {
        bool present = value.has_value();
        field(present);
        if (present) field(*value);
    }
    template <class T>
        requires requires(T& t, ArchiveWriter& a) { t.describe(a); }
    void field(T& state) {
        state.describe(*this);
    }
    void field(std::byte& value) { bytes_.push_back(value); }
    void length(std::size_t count) {
        auto value = static_cast<std::uint32_t>(count);
        field(value);
    }

    std::vector<std::byte> bytes_;
};

/// Reads fields in the order that they were written. After the first failure all reads leave fields as they were.
class ArchiveReader {
public:
    static constexpr bool kReading = true;
    explicit ArchiveReader(std::span<const std::byte> bytes) : rest_(bytes) {}
    template <class... Fields>
    void operator()(Fields&... fields) {
        (field(fields), ...);
    }
    /// Everything was there, and nothing is left over.
    [[nodiscard]] bool complete() const { return good_ && rest_.empty(); }

private:
    bool take(std::size_t count) {
        good_ = good_ && rest_.size() >= count;
        return good_;
    }
    template <class T>
        requires(std::integral<T> || std::is_enum_v<T>)
    void field(T& value) {
        if (!take(sizeof(T))) return;
        std::uint64_t raw = 0;
        for (std::size_t i = 0; i < sizeof(T); ++i) raw |= std::to_integer<std::uint64_t>(rest_[i]) << (8 * i);
        value = static_cast<T>(raw);
        rest_ = rest_.subspan(sizeof(T));
    }
    template <class T, std::size_t N>
    void field(std::array<T, N>& values) {
        for (auto& value : values) field(value);
    }
    template <class T>
    void field(std::vector<T>& values) {
        const std::size_t count = length();
        values.clear();
        for (std::size_t i = 0; i < count && good_; ++i) field(values.emplace_back());
    }
    void field(std::string& text) {
        const std::size_t count = length();
        text.clear();
        for (std::size_t i = 0; i < count && good_; ++i) {
            text.push_back(0);
            field(text.back());
        }
    }
    template <class T>
    void field(std::optional<T>& value) {
        bool present = false;
        field(present);
        value.reset();
        if (present && good_) field(value.emplace());
    }
    template <class T>
        requires requires(T& t, ArchiveReader& a) { t.describe(a); }
    void field(T& state) {
        state.describe(*this);
    }
    void field(std::byte& value) {
        if (!take(1)) return;
        value = rest_[0];
        rest_ = rest_.subspan(1);
    }
    /// A count that the remaining bytes can hold: every element takes at least one byte.
    std::size_t length() {
        std::uint32_t count = 0;
        field(count);
        if (count > rest_.size()) good_ = false;
        return good_ ? count : 0;
    }

    std::span<const std::byte> rest_;
    bool good_ = true;
};

} // namespace touka::migration
