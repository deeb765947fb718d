#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "platform/address_space.hpp"

namespace touka::platform {

/// What a function's Expansion ROM Base Address points to: an image that is read and never written. Behind its end is
/// nothing. Any thread. (PCI Local Bus 3.0 §6.2.5.2, §6.3.1)
class ExpansionRom final : public IoHandler {
public:
    static constexpr std::uint64_t kSmallestBytes = 2048, kLargestBytes = std::uint64_t{16} << 20;

    /// @param image 1 to kLargestBytes.
    explicit ExpansionRom(std::vector<std::byte> image) : image_(std::move(image)) {}

    /// What the register decodes: a power of two.
    [[nodiscard]] std::uint64_t length_bytes() const {
        return std::max<std::uint64_t>(std::bit_ceil(image_.size()), kSmallestBytes);
    }
    [[nodiscard]] std::uint64_t read(std::uint64_t offset, unsigned width_bytes) override {
        std::uint64_t value = ~std::uint64_t{0};
        if (offset < image_.size()) {
            std::memcpy(&value, image_.data() + offset, std::min<std::size_t>(width_bytes, image_.size() - offset));
        }
        return value;
    }
    void write(std::uint64_t, unsigned, std::uint64_t) override {}

private:
    std::vector<std::byte> image_;
};

} // namespace touka::platform
