#include "platform/acpi/aml/term.hpp"

#include <cassert>

#include "spec/acpi/aml.hpp"

namespace touka::platform::acpi::aml {
namespace {

namespace op = spec::acpi::aml;

void append(Bytes& to, std::span<const std::uint8_t> bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

Bytes joined(std::initializer_list<std::span<const std::uint8_t>> parts) {
    Bytes all;
    for (const auto part : parts) append(all, part);
    return all;
}

void append_little_endian(Bytes& to, std::uint64_t value, unsigned count_bytes) {
    for (unsigned i = 0; i < count_bytes; ++i) to.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

/// Opcode, package length, then what it covers.
Bytes packaged(std::span<const std::uint8_t> opcode, std::initializer_list<std::span<const std::uint8_t>> parts) {
    const Bytes content = joined(parts);
    return joined({opcode, package_length(content.size()), content});
}

constexpr std::uint8_t kDevice[] = {op::kExtOpPrefix, op::kDeviceOp};

Bytes one(std::uint8_t opcode) { return {opcode}; }

template <class Kind = Term>
Kind make(Bytes bytes) {
    Kind made;
    made.bytes = std::move(bytes);
    return made;
}

std::uint8_t hex_digit(char c) {
    if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
    assert(c >= 'A' && c <= 'F');
    return static_cast<std::uint8_t>(c - 'A' + 10);
}

} // namespace

Body::Body(std::initializer_list<Term> terms) : Body(std::span(terms.begin(), terms.size())) {}
Body::Body(std::span<const Term> terms) {
    for (const auto& term : terms) append(bytes_, term.bytes);
}

Bytes package_length(std::size_t content_bytes) {
    if (content_bytes + 1 <= op::kPkgLengthOneByteLimit) return {static_cast<std::uint8_t>(content_bytes + 1)};
    unsigned follow_count = 1;
    if (content_bytes + 2 > op::kPkgLengthTwoByteLimit) follow_count = 2;
    if (content_bytes + 3 > op::kPkgLengthThreeByteLimit) follow_count = 3;
    const std::size_t length = content_bytes + 1 + follow_count;
    assert(length <= op::kPkgLengthFourByteLimit);
    Bytes bytes{static_cast<std::uint8_t>(follow_count << 6 | (length & 0xF))};
    append_little_endian(bytes, length >> 4, follow_count);
    return bytes;
}

Bytes name_string(std::string_view path) {
    Bytes bytes;
    while (!path.empty() && (path.front() == '\\' || path.front() == '^')) {
        bytes.push_back(static_cast<std::uint8_t>(path.front()));
        path.remove_prefix(1);
    }
    Bytes segments;
    std::size_t count = 0;
    while (!path.empty()) {
        const auto segment = path.substr(0, path.find('.'));
        assert(!segment.empty() && segment.size() <= 4);
        for (std::size_t i = 0; i < 4; ++i) {
            segments.push_back(static_cast<std::uint8_t>(i < segment.size() ? segment[i] : '_'));
        }
        path.remove_prefix(segment.size() < path.size() ? segment.size() + 1 : path.size());
        ++count;
    }
    if (count == 0) bytes.push_back(0); // NullName
    if (count == 2) bytes.push_back(op::kDualNamePrefix);
    if (count > 2) append(bytes, Bytes{op::kMultiNamePrefix, static_cast<std::uint8_t>(count)});
    append(bytes, segments);
    return bytes;
}

Value integer(std::uint64_t value) {
    if (value == 0) return make<Value>({op::kZeroOp});
    if (value == 1) return make<Value>({op::kOneOp});
    if (value == ~std::uint64_t{0}) return make<Value>({op::kOnesOp});
    Bytes bytes;
    if (value <= 0xFF) {
        bytes = {op::kBytePrefix};
        append_little_endian(bytes, value, 1);
    } else if (value <= 0xFFFF) {
        bytes = {op::kWordPrefix};
        append_little_endian(bytes, value, 2);
    } else if (value <= 0xFFFF'FFFF) {
        bytes = {op::kDwordPrefix};
        append_little_endian(bytes, value, 4);
    } else {
        bytes = {op::kQwordPrefix};
        append_little_endian(bytes, value, 8);
    }
    return make<Value>(std::move(bytes));
}

Value string(std::string_view text) {
    Bytes bytes{op::kStringPrefix};
    for (const char c : text) bytes.push_back(static_cast<std::uint8_t>(c));
    bytes.push_back(0);
    return make<Value>(std::move(bytes));
}

Value buffer(std::span<const std::uint8_t> contents) {
    return make<Value>(packaged(one(op::kBufferOp), {integer(contents.size()).bytes, contents}));
}

Value package(std::span<const Value> elements) {
    assert(elements.size() <= 0xFF);
    Bytes content{static_cast<std::uint8_t>(elements.size())};
    for (const auto& element : elements) append(content, element.bytes);
    return make<Value>(packaged(one(op::kPackageOp), {content}));
}
Value package(std::initializer_list<Value> elements) { return package(std::span(elements.begin(), elements.size())); }

Value eisa_id(std::string_view id) {
    assert(id.size() == 7);
    std::uint32_t number = 0; // big-endian: three letters of five bits, four hexadecimal digits
    for (std::size_t i = 0; i < 3; ++i) number = number << 5 | (static_cast<std::uint32_t>(id[i] - 'A' + 1) & 0x1F);
    for (std::size_t i = 3; i < 7; ++i) number = number << 4 | hex_digit(id[i]);
    Bytes bytes{op::kDwordPrefix};
    append_little_endian(bytes, __builtin_bswap32(number), 4);
    return make<Value>(std::move(bytes));
}

Value uuid(std::string_view text) {
    // aabbccdd-eeff-gghh-iijj-kkllmmnnoopp is stored as dd cc bb aa ff ee hh gg ii jj kk ll mm nn oo pp.
    constexpr std::size_t kTextPosition[] = {6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34};
    assert(text.size() == 36);
    Bytes bytes;
    for (const auto position : kTextPosition) {
        bytes.push_back(static_cast<std::uint8_t>(hex_digit(text[position]) << 4 | hex_digit(text[position + 1])));
    }
    return buffer(bytes);
}

Place path(std::string_view object) { return make<Place>(name_string(object)); }
Place local(unsigned index) {
    assert(index <= 7);
    return make<Place>({static_cast<std::uint8_t>(op::kLocal0Op + index)});
}
Place arg(unsigned index) {
    assert(index <= 6);
    return make<Place>({static_cast<std::uint8_t>(op::kArg0Op + index)});
}

Term name(std::string_view object, const Value& value) {
    return make(joined({one(op::kNameOp), name_string(object), value.bytes}));
}
Term scope(std::string_view object, const Body& body) {
    return make(packaged(one(op::kScopeOp), {name_string(object), body.bytes()}));
}
Term device(std::string_view object, const Body& body) {
    return make(packaged(kDevice, {name_string(object), body.bytes()}));
}
Term method(std::string_view object, unsigned argument_count, const Body& body) {
    assert(argument_count <= 7);
    const Bytes flags{static_cast<std::uint8_t>(argument_count)};
    return make(packaged(one(op::kMethodOp), {name_string(object), flags, body.bytes()}));
}
Term create_dword_field(const Value& source_buffer, std::uint64_t byte_index, std::string_view field) {
    return make(
        joined({one(op::kCreateDWordFieldOp), source_buffer.bytes, integer(byte_index).bytes, name_string(field)}));
}

Term if_then(const Value& predicate, const Body& body) {
    return make(packaged(one(op::kIfOp), {predicate.bytes, body.bytes()}));
}
Term otherwise(const Body& body) { return make(packaged(one(op::kElseOp), {body.bytes()})); }
Term give_back(const Value& value) { return make(joined({one(op::kReturnOp), value.bytes})); }
Term store(const Value& value, const Place& target) {
    return make(joined({one(op::kStoreOp), value.bytes, target.bytes}));
}
Term and_into(const Value& left, const Value& right, const Place& target) {
    return make(joined({one(op::kAndOp), left.bytes, right.bytes, target.bytes}));
}
Term or_into(const Value& left, const Value& right, const Place& target) {
    return make(joined({one(op::kOrOp), left.bytes, right.bytes, target.bytes}));
}
Value equal(const Value& left, const Value& right) {
    return make<Value>(joined({one(op::kLequalOp), left.bytes, right.bytes}));
}
Value negate(const Value& value) { return make<Value>(joined({one(op::kLnotOp), value.bytes})); }

} // namespace touka::platform::acpi::aml
