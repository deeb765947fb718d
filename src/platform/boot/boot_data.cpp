#include "platform/boot/boot_data.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "platform/boot/boot_layout.hpp"
#include "platform/boot/memory_map.hpp"

namespace touka::platform::boot {
namespace {

using spec::boot::BootParams;
using spec::boot::SetupDataHeader;

GuestAddress write_random_seed(const memory::GuestMemory& memory, std::span<const std::byte> seed) {
    const SetupDataHeader header{
        .next = 0, .type = spec::boot::kSetupRngSeed, .len = static_cast<std::uint32_t>(seed.size())};
    const auto to = memory.span(kSetupDataAddress, sizeof header + seed.size());
    std::memcpy(to.data(), &header, sizeof header);
    std::memcpy(to.data() + sizeof header, seed.data(), seed.size());
    return kSetupDataAddress;
}

} // namespace

std::expected<GuestAddress, BootError> write_command_line(const memory::GuestMemory& memory,
                                                          std::string_view command_line, std::uint64_t limit_bytes) {
    const auto limit = std::min<std::uint64_t>(limit_bytes, kCommandLineRoom - 1);
    if (command_line.size() > limit) {
        return std::unexpected(BootError{
            .kind = BootErrorKind::kCommandLineTooLong, .needed_bytes = command_line.size(), .available_bytes = limit});
    }
    const auto to = memory.span(kCommandLineAddress, command_line.size() + 1);
    std::memcpy(to.data(), command_line.data(), command_line.size());
    to.back() = std::byte{0};
    return kCommandLineAddress;
}

std::expected<AddressWindow, BootError> load_initrd(const memory::GuestMemory& memory, const Image* initrd,
                                                    GuestAddress kernel_end, std::uint64_t highest_byte) {
    if (initrd == nullptr) return AddressWindow{};
    const std::uint64_t size = initrd->size_bytes();
    const std::uint64_t ram_end = memory.ranges().front().length_bytes;
    const auto failure = [&](std::uint64_t needed_bytes) {
        return std::unexpected(BootError{.kind = BootErrorKind::kInitrdDoesNotFit,
                                         .file = initrd->name(),
                                         .needed_bytes = needed_bytes,
                                         .available_bytes = memory.size_bytes()});
    };
    const std::uint64_t kernel_pages_end = (kernel_end.value + spec::kPageSize - 1) / spec::kPageSize * spec::kPageSize;
    const std::uint64_t possible_end = std::min(memory::GuestMemory::kLowRamLimit - 1, highest_byte) + 1;
    if (possible_end < kernel_pages_end || size > possible_end - kernel_pages_end) return failure(0);
    const std::uint64_t end = std::min(possible_end, ram_end);
    if (end < kernel_pages_end || size > end - kernel_pages_end) return failure(kernel_pages_end + size);
    const GuestAddress start{(end - size) / spec::kPageSize * spec::kPageSize};
    if (start.value < kernel_pages_end) return failure(kernel_pages_end + size + spec::kPageSize);
    if (!initrd->read(0, memory.span(start, size))) {
        return std::unexpected(
            BootError{.kind = BootErrorKind::kUnreadable, .file = initrd->name(), .host_errno = EIO});
    }
    return AddressWindow{start, size};
}

GuestAddress write_zero_page(const memory::GuestMemory& memory, const PlatformLayout& layout,
                             const ZeroPageContents& contents, const BootParameters& parameters) {
    BootParams page{};
    page.hdr = contents.header;
    page.hdr.type_of_loader = spec::boot::kLoaderUndefined;
    // The 64-bit entry gets neither a real-mode heap nor segments to keep.
    page.hdr.loadflags = static_cast<std::uint8_t>(
        page.hdr.loadflags & ~(spec::boot::loadflags::CAN_USE_HEAP | spec::boot::loadflags::KEEP_SEGMENTS));
    page.hdr.heap_end_ptr = 0;
    page.hdr.cmd_line_ptr = static_cast<std::uint32_t>(contents.command_line.value);
    page.hdr.ramdisk_image = static_cast<std::uint32_t>(contents.initrd.start.value);
    page.hdr.ramdisk_size = static_cast<std::uint32_t>(contents.initrd.length_bytes);
    page.hdr.setup_data = 0;
    if (parameters.random_seed) page.hdr.setup_data = write_random_seed(memory, *parameters.random_seed).value;
    page.acpi_rsdp_addr = parameters.rsdp.value;
    std::size_t count = 0;
    for (const auto& [range, type] : make_memory_map(memory, layout)) {
        page.e820_table[count++] = {.addr = range.start.value, .size = range.length_bytes, .type = type};
    }
    page.e820_entries = static_cast<std::uint8_t>(count);
    std::memcpy(memory.span(kZeroPageAddress, sizeof page).data(), &page, sizeof page);
    return kZeroPageAddress;
}

} // namespace touka::platform::boot
