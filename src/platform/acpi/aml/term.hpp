// A typed builder of ACPI Machine Language: each function encodes one production of the grammar, and the types say
// where its result may stand. (ACPI Specification 6.4 §20.2)
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

namespace touka::platform::acpi::aml {

using Bytes = std::vector<std::uint8_t>;

/// A TermObj: something that can stand in a scope or a method body.
struct Term {
    Bytes bytes;
};
/// A TermArg: a Term that has a value.
struct Value : Term {};
/// A SuperName: a Value that can also be stored to.
struct Place : Value {};

/// Terms one after the other, where a body is expected.
class Body {
public:
    Body(std::initializer_list<Term> terms);
    explicit Body(std::span<const Term> terms);
    [[nodiscard]] const Bytes& bytes() const { return bytes_; }

private:
    Bytes bytes_;
};

/// PkgLength before `content_bytes` bytes: it counts itself. (§20.2.4)  @pre content_bytes < 2^28 - 4.
[[nodiscard]] Bytes package_length(std::size_t content_bytes);
/// NameString: "\\_SB.PCI0", "^COM1", "_HID". Segments shorter than four characters are padded with '_'. (§20.2.2)
[[nodiscard]] Bytes name_string(std::string_view path);

// Data objects (§20.2.3, §20.2.5.4)
/// The shortest encoding of the number.
[[nodiscard]] Value integer(std::uint64_t value);
/// @param text ASCII, without zeros.
[[nodiscard]] Value string(std::string_view text);
[[nodiscard]] Value buffer(std::span<const std::uint8_t> contents);
/// At most 255 elements.
[[nodiscard]] Value package(std::span<const Value> elements);
[[nodiscard]] Value package(std::initializer_list<Value> elements);
/// EISAID: "PNP0A08" as the compressed number that _HID and _CID take. (§19.6.36)
[[nodiscard]] Value eisa_id(std::string_view id);
/// ToUUID: "33DB4D5B-1FF7-401C-9657-7441C03DD766" as the 16 bytes of the buffer. (§19.6.142)
[[nodiscard]] Value uuid(std::string_view text);

// Names and places
[[nodiscard]] Place path(std::string_view name);
[[nodiscard]] Place local(unsigned index); ///< Local0 to Local7
[[nodiscard]] Place arg(unsigned index);   ///< Arg0 to Arg6

// Objects (§20.2.5.1, §20.2.5.2)
[[nodiscard]] Term name(std::string_view object, const Value& value);
[[nodiscard]] Term scope(std::string_view object, const Body& body);
[[nodiscard]] Term device(std::string_view object, const Body& body);
/// @param argument_count 0 to 7.
[[nodiscard]] Term method(std::string_view object, unsigned argument_count, const Body& body);
[[nodiscard]] Term create_dword_field(const Value& source_buffer, std::uint64_t byte_index, std::string_view field);

// Statements and operators (§20.2.5.3, §20.2.5.4)
[[nodiscard]] Term if_then(const Value& predicate, const Body& body);
[[nodiscard]] Term otherwise(const Body& body); ///< Else; right after an if_then
[[nodiscard]] Term give_back(const Value& value);
[[nodiscard]] Term store(const Value& value, const Place& target);
[[nodiscard]] Term and_into(const Value& left, const Value& right, const Place& target);
[[nodiscard]] Term or_into(const Value& left, const Value& right, const Place& target);
[[nodiscard]] Value equal(const Value& left, const Value& right);
[[nodiscard]] Value negate(const Value& value); ///< LNot

} // namespace touka::platform::acpi::aml
