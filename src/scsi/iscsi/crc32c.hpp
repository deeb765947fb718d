#pragma once

#include <cstdint>
#include <span>

namespace touka::scsi::iscsi {

/// CRC32C, the digest of headers and data. (RFC 7143 §13.1, RFC 3720 appendix B.4 for its values)
/// Takes bytes piece by piece; the processor's instruction where it has one.
class Crc32c {
public:
    void add(std::span<const std::uint8_t> bytes) { state_ = update(state_, bytes); }
    /// As the four bytes go over the wire: least significant first.
    [[nodiscard]] std::uint32_t value() const { return ~state_; }

private:
    static std::uint32_t update(std::uint32_t state, std::span<const std::uint8_t> bytes);

    std::uint32_t state_ = 0xFFFF'FFFF;
};

[[nodiscard]] inline std::uint32_t crc32c(std::span<const std::uint8_t> bytes) {
    Crc32c crc;
    crc.add(bytes);
    return crc.value();
}

/// Appends the digest to where it goes.
inline void store_digest(std::span<std::uint8_t, 4> to, std::uint32_t digest) {
    for (std::uint8_t& byte : to) {
        byte = static_cast<std::uint8_t>(digest);
        digest >>= 8;
    }
}
[[nodiscard]] inline std::uint32_t load_digest(std::span<const std::uint8_t, 4> from) {
    return static_cast<std::uint32_t>(from[0] | from[1] << 8 | from[2] << 16) | std::uint32_t{from[3]} << 24;
}

/// The way without the instruction, for tests.
[[nodiscard]] std::uint32_t crc32c_by_table(std::uint32_t state, std::span<const std::uint8_t> bytes);

} // namespace touka::scsi::iscsi
