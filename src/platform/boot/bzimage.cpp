#include "platform/boot/bzimage.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "platform/boot/boot_data.hpp"
#include "platform/boot/entry_state.hpp"
#include "platform/boot/memory_map.hpp"
#include "spec/boot/linux_boot.hpp"

namespace touka::platform::boot {
namespace {

using spec::boot::SetupHeader;

constexpr std::uint64_t kHeaderStart = 0x202; // where jump_offset counts from

/// Where the parts of the image lie in the file, all checked against each other and the file's size.
struct Plan {
    SetupHeader header{};
    std::uint64_t code_offset = 0; ///< of the protected-mode code in the file
    std::uint64_t code_bytes = 0;
    GuestAddress load_address;
    std::uint64_t needed_bytes = 0; ///< from the load address
};

std::expected<SetupHeader, BootErrorKind> read_header(const Image& kernel) {
    // The header may be shorter than ours (older protocols) or longer (newer ones); what it lacks stays zero.
    std::array<std::byte, sizeof(SetupHeader)> bytes{};
    constexpr auto kUpToVersion = offsetof(SetupHeader, realmode_swtch);
    if (kernel.size_bytes() < spec::boot::kSetupHeaderOffset + kUpToVersion ||
        !kernel.read(spec::boot::kSetupHeaderOffset, std::span(bytes).first(kUpToVersion))) {
        return std::unexpected(BootErrorKind::kNotAKernel);
    }
    SetupHeader header{};
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.boot_flag != spec::boot::kBootFlag || header.header != spec::boot::kHeaderMagic) {
        return std::unexpected(BootErrorKind::kNotAKernel);
    }
    if (header.version < spec::boot::kProtocol2_12) return std::unexpected(BootErrorKind::kNot64Bit);
    const std::uint64_t length = kHeaderStart + header.jump_offset - spec::boot::kSetupHeaderOffset;
    const auto known = std::span(bytes).first(std::min<std::uint64_t>(length, bytes.size()));
    if (known.size() <= offsetof(SetupHeader, init_size)) return std::unexpected(BootErrorKind::kDamaged);
    if (!kernel.read(spec::boot::kSetupHeaderOffset, known)) return std::unexpected(BootErrorKind::kTruncated);
    std::memcpy(&header, bytes.data(), sizeof header);
    return header;
}

std::expected<Plan, BootError> make_plan(const Image& kernel) {
    const auto failure = [&](BootErrorKind kind, std::uint64_t needed_bytes = 0) {
        return std::unexpected(BootError{
            .kind = kind, .file = kernel.name(), .needed_bytes = needed_bytes, .available_bytes = kernel.size_bytes()});
    };
    const auto header = read_header(kernel);
    if (!header) return failure(header.error(), spec::boot::kSetupHeaderOffset + sizeof(SetupHeader));
    Plan plan;
    plan.header = *header;
    const auto& h = plan.header;
    if ((h.xloadflags & spec::boot::xloadflags::XLF_KERNEL_64) == 0 ||
        (h.loadflags & spec::boot::loadflags::LOADED_HIGH) == 0) {
        return failure(BootErrorKind::kNot64Bit);
    }
    const std::uint64_t setup_sectors = h.setup_sects == 0 ? 4 : h.setup_sects;
    plan.code_offset = (setup_sectors + 1) * spec::boot::kSectorSize;
    // At most 2^36 bytes: no sum below wraps. The last paragraph may be shorter in the file.
    const std::uint64_t promised_bytes = std::uint64_t{h.syssize} * 16;
    if (promised_bytes <= spec::boot::kEntry64Offset) return failure(BootErrorKind::kDamaged);
    if (kernel.size_bytes() < plan.code_offset + promised_bytes - 15) {
        return failure(BootErrorKind::kTruncated, plan.code_offset + promised_bytes);
    }
    plan.code_bytes = std::min(promised_bytes, kernel.size_bytes() - plan.code_offset);
    if (std::uint64_t{h.payload_offset} + h.payload_length > plan.code_bytes) return failure(BootErrorKind::kDamaged);
    if (h.pref_address < kHighMemoryStart || h.pref_address > memory::GuestMemory::kLowRamLimit) {
        return failure(BootErrorKind::kDamaged);
    }
    plan.load_address = GuestAddress{h.pref_address};
    plan.needed_bytes = std::max<std::uint64_t>(h.init_size, plan.code_bytes);
    if (h.pref_address + plan.needed_bytes > memory::GuestMemory::kLowRamLimit) return failure(BootErrorKind::kDamaged);
    return plan;
}

/// The kernel's own name; empty where the image has none or an odd one.
std::string read_version(const Image& kernel, const SetupHeader& header) {
    std::array<char, 128> text{};
    if (header.kernel_version == 0) return {};
    if (!kernel.read(std::uint64_t{header.kernel_version} + 0x200, std::as_writable_bytes(std::span(text)))) return {};
    const auto end = std::ranges::find(text, '\0');
    const auto printable = [](char c) { return c >= ' ' && c <= '~'; };
    if (end == text.end() || !std::all_of(text.begin(), end, printable)) return {};
    return {text.begin(), end};
}

} // namespace

std::expected<LoadedKernel, BootError> load_bzimage(const memory::GuestMemory& memory, const PlatformLayout& layout,
                                                    const Image& kernel, const Image* initrd,
                                                    const BootParameters& parameters) {
    auto plan = make_plan(kernel);
    if (!plan) return std::unexpected(plan.error());
    auto& header = plan->header;
    const GuestAddress kernel_end = plan->load_address + plan->needed_bytes;
    if (memory.span(plan->load_address, plan->needed_bytes).empty()) {
        return std::unexpected(BootError{.kind = BootErrorKind::kTooLittleMemory,
                                         .file = kernel.name(),
                                         .needed_bytes = kernel_end.value,
                                         .available_bytes = memory.size_bytes()});
    }
    const auto command_line = write_command_line(memory, parameters.command_line, header.cmdline_size);
    if (!command_line) return std::unexpected(command_line.error());
    const auto initrd_place = load_initrd(memory, initrd, kernel_end, header.initrd_addr_max);
    if (!initrd_place) return std::unexpected(initrd_place.error());
    if (!kernel.read(plan->code_offset, memory.span(plan->load_address, plan->code_bytes))) {
        return std::unexpected(BootError{.kind = BootErrorKind::kUnreadable, .file = kernel.name(), .host_errno = EIO});
    }
    header.code32_start = static_cast<std::uint32_t>(plan->load_address.value);
    const auto zero_page = write_zero_page(
        memory, layout, {.header = header, .command_line = *command_line, .initrd = *initrd_place}, parameters);
    return LoadedKernel{
        .entry = make_long_mode_entry(memory, plan->load_address + spec::boot::kEntry64Offset, zero_page),
        .format = KernelFormat::kBzImage,
        .kernel = {plan->load_address, plan->needed_bytes},
        .initrd = *initrd_place,
        .version = read_version(kernel, header),
    };
}

} // namespace touka::platform::boot
