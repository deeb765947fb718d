#include "platform/pci/config_space.hpp"

namespace touka::platform {

using spec::pci::kConfigBytes;

namespace {

constexpr std::uint8_t byte_of(std::uint64_t value, unsigned index) {
    return static_cast<std::uint8_t>(value >> (8 * index));
}

constexpr std::uint8_t blend(std::uint8_t kept, std::uint8_t taken, std::uint8_t mask) {
    return static_cast<std::uint8_t>((kept & ~mask) | (taken & mask));
}

} // namespace

void ConfigSpace::define(std::uint32_t offset, unsigned width_bytes, std::uint64_t value, std::uint64_t writable,
                         std::uint64_t clear_by_one) {
    for (unsigned i = 0; i < width_bytes; ++i) {
        bytes_.at(offset + i) = reset_bytes_.at(offset + i) = byte_of(value, i);
        writable_.at(offset + i) = byte_of(writable, i);
        clear_by_one_.at(offset + i) = byte_of(clear_by_one, i);
    }
}

std::uint64_t ConfigSpace::read(std::uint32_t offset, unsigned width_bytes) const {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < width_bytes; ++i) {
        const std::uint8_t byte = offset + i < kConfigBytes ? bytes_[offset + i] : 0xFF;
        value |= std::uint64_t{byte} << (8 * i);
    }
    return value;
}

void ConfigSpace::write(std::uint32_t offset, unsigned width_bytes, std::uint64_t value) {
    for (unsigned i = 0; i < width_bytes && offset + i < kConfigBytes; ++i) {
        std::uint8_t& byte = bytes_[offset + i];
        const std::uint8_t written = byte_of(value, i);
        byte = blend(byte, written, writable_[offset + i]);
        byte = static_cast<std::uint8_t>(byte & ~(written & clear_by_one_[offset + i]));
    }
}

void ConfigSpace::set(std::uint32_t offset, unsigned width_bytes, std::uint64_t value) {
    for (unsigned i = 0; i < width_bytes && offset + i < kConfigBytes; ++i) bytes_[offset + i] = byte_of(value, i);
}

void ConfigSpace::restore(const SavedBytes& saved) {
    for (std::size_t i = 0; i < saved.size(); ++i) {
        const auto changeable = static_cast<std::uint8_t>(writable_[i] | clear_by_one_[i]);
        bytes_[i] = blend(reset_bytes_[i], saved[i], changeable);
    }
}

} // namespace touka::platform
