// How every register in spec/ is written down: a raw integer with a tag, and fields that belong to the tag.
// Layout follows each register's own specification, cited where the register is defined (§ there).
#pragma once

#include <cstdint>
#include <type_traits>

namespace touka::spec {

/// Bits [Low, Low + Width) of the register named by Tag, read and written as Value.
template <class Tag, unsigned Low, unsigned Width, class Value = std::uint32_t>
struct Field {
    static constexpr unsigned kLow = Low;
    static constexpr unsigned kWidth = Width;
};

/// A register's value of type Raw; only fields with the same Tag fit it.
template <class RawType, class Tag>
struct Register {
    using Raw = RawType;
    Raw raw = 0;

    constexpr Register() = default;
    constexpr explicit Register(Raw r) : raw(r) {}
    constexpr bool operator==(const Register&) const = default;

    template <unsigned Low, unsigned Width, class Value>
    [[nodiscard]] constexpr Value get(Field<Tag, Low, Width, Value>) const {
        static_assert(Low + Width <= sizeof(Raw) * 8);
        return static_cast<Value>((static_cast<std::uint64_t>(raw) >> Low) & mask<Width>());
    }
    template <unsigned Low, unsigned Width, class Value>
    constexpr Register& set(Field<Tag, Low, Width, Value>, Value value) {
        static_assert(Low + Width <= sizeof(Raw) * 8);
        const auto cleared = static_cast<std::uint64_t>(raw) & ~(mask<Width>() << Low);
        raw = static_cast<Raw>(cleared | ((static_cast<std::uint64_t>(value) & mask<Width>()) << Low));
        return *this;
    }

private:
    template <unsigned Width>
    static constexpr std::uint64_t mask() {
        return Width == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << Width) - 1;
    }
};

} // namespace touka::spec
