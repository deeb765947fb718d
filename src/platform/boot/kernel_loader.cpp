#include "platform/boot/kernel_loader.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "platform/boot/boot_layout.hpp"
#include "platform/boot/bzimage.hpp"
#include "platform/boot/elf_kernel.hpp"
#include "spec/boot/elf64.hpp"

namespace touka::platform::boot {
namespace {

/// First bytes of what people download kernels in.
bool is_compressed(std::span<const std::byte> start) {
    using namespace std::string_view_literals;
    constexpr std::array kMagics{"\x1F\x8B"sv,         "\xFD\x37zXZ\0"sv,    "BZh"sv,
                                 "\x28\xB5\x2F\xFD"sv, "\x04\x22\x4D\x18"sv, "\x89LZO"sv};
    return std::ranges::any_of(kMagics, [&](std::string_view magic) {
        return start.size() >= magic.size() && std::memcmp(start.data(), magic.data(), magic.size()) == 0;
    });
}

} // namespace

std::expected<LoadedKernel, BootError> load_kernel(const memory::GuestMemory& memory, const PlatformLayout& layout,
                                                   const Image& kernel, const Image* initrd,
                                                   const BootParameters& parameters) {
    if (memory.ranges().front().length_bytes < kSmallestMemory) {
        return std::unexpected(BootError{.kind = BootErrorKind::kTooLittleMemory,
                                         .file = kernel.name(),
                                         .needed_bytes = kSmallestMemory,
                                         .available_bytes = memory.size_bytes()});
    }
    std::array<std::byte, 8> start{};
    const auto head = std::span(start).first(std::min<std::size_t>(start.size(), kernel.size_bytes()));
    if (!kernel.read(0, head))
        return std::unexpected(BootError{.kind = BootErrorKind::kUnreadable, .file = kernel.name(), .host_errno = EIO});
    const auto& magic = spec::boot::kElfMagic;
    if (head.size() >= magic.size() && std::memcmp(head.data(), magic.data(), magic.size()) == 0) {
        return load_elf_kernel(memory, layout, kernel, initrd, parameters);
    }
    if (is_compressed(head))
        return std::unexpected(BootError{.kind = BootErrorKind::kCompressedKernel, .file = kernel.name()});
    return load_bzimage(memory, layout, kernel, initrd, parameters);
}

std::expected<LoadedKernel, BootError> load_kernel(const memory::GuestMemory& memory, const PlatformLayout& layout,
                                                   const std::string& kernel_path, const std::string& initrd_path,
                                                   const BootParameters& parameters) {
    auto kernel = FileImage::open(kernel_path);
    if (!kernel) return std::unexpected(kernel.error());
    if (initrd_path.empty()) return load_kernel(memory, layout, *kernel, nullptr, parameters);
    const auto initrd = FileImage::open(initrd_path);
    if (!initrd) return std::unexpected(initrd.error());
    return load_kernel(memory, layout, *kernel, &*initrd, parameters);
}

} // namespace touka::platform::boot
