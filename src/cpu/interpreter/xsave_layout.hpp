// Where the components of an XSAVE area are. (Intel SDM vol. 1 rev. 084 §13.2, §13.4; AMD64 APM vol. 2 rev. 3.42
// §11.5.3)
#pragma once

#include <array>
#include <cstdint>

#include "cpu/cpuid.hpp"

namespace touka::cpu::interpreter {

/// As CPUID leaf Dh tells it to the guest, which is as the host's processor has it: an area that one engine has stored
/// is another's to load.
class XsaveLayout {
public:
    /// Room for AVX-512 as Intel's processors place it.
    static constexpr unsigned kMaxComponents = 8;

    XsaveLayout() = default;
    explicit XsaveLayout(const CpuidTable& table);

    /// Bits of XCR0 that the processor has. x87 and SSE are always among them.
    [[nodiscard]] std::uint64_t components() const { return components_; }
    /// From the area's start. @param component 2 ..< kMaxComponents.
    [[nodiscard]] std::uint32_t standard_offset(unsigned component) const { return places_[component].offset; }
    /// In an area whose XCOMP_BV names `form`, of which `component` is one.
    [[nodiscard]] std::uint32_t compacted_offset(std::uint64_t form, unsigned component) const;
    /// Of an area that has room for these components.
    [[nodiscard]] std::uint32_t standard_bytes(std::uint64_t components) const;
    [[nodiscard]] std::uint32_t compacted_bytes(std::uint64_t form) const;

private:
    struct Place {
        std::uint32_t offset = 0; ///< standard form
        std::uint32_t length_bytes = 0;
        bool aligned = false; ///< compacted form: to 64 bytes
    };

    /// Where `component` begins when `end` is where the one before it ends.
    [[nodiscard]] std::uint32_t compacted_start(std::uint32_t end, unsigned component) const;

    std::uint64_t components_ = 3;
    std::array<Place, kMaxComponents> places_{};
};

} // namespace touka::cpu::interpreter
