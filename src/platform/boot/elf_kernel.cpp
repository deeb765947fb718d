#include "platform/boot/elf_kernel.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "platform/boot/boot_data.hpp"
#include "platform/boot/entry_state.hpp"
#include "platform/boot/memory_map.hpp"
#include "platform/boot/pvh_start_info.hpp"
#include "spec/boot/elf64.hpp"
#include "spec/boot/linux_boot.hpp"
#include "spec/boot/pvh.hpp"

namespace touka::platform::boot {
namespace {

using spec::boot::Elf64Ehdr;
using spec::boot::Elf64Phdr;
using spec::boot::ElfNhdr;

constexpr std::size_t kProgramHeaderLimit = 64; // kernels have five or so; bounds the work that a file can ask for
constexpr std::uint64_t kNoteBytesLimit = 64 * 1024;

std::expected<Elf64Ehdr, BootErrorKind> read_file_header(const Image& kernel) {
    Elf64Ehdr header{};
    if (!kernel.read_object(0, header)) return std::unexpected(BootErrorKind::kTruncated);
    if (header.e_ident[spec::boot::EI_CLASS] == spec::boot::ELFCLASS32 && header.e_machine == spec::boot::EM_386) {
        return std::unexpected(BootErrorKind::kNot64Bit);
    }
    if (header.e_ident[spec::boot::EI_CLASS] != spec::boot::ELFCLASS64 ||
        header.e_ident[spec::boot::EI_DATA] != spec::boot::ELFDATA2LSB || header.e_machine != spec::boot::EM_X86_64 ||
        (header.e_type != spec::boot::ET_EXEC && header.e_type != spec::boot::ET_DYN)) {
        return std::unexpected(BootErrorKind::kNotAKernel);
    }
    if (header.e_phentsize != sizeof(Elf64Phdr) || header.e_phnum == 0 || header.e_phnum > kProgramHeaderLimit) {
        return std::unexpected(BootErrorKind::kDamaged);
    }
    return header;
}

std::uint64_t padded(std::uint32_t bytes) { return (std::uint64_t{bytes} + 3) / 4 * 4; }

/// The PVH entry address out of one note segment.
std::optional<std::uint64_t> find_pvh_entry(std::span<const std::byte> notes) {
    while (notes.size() >= sizeof(ElfNhdr)) {
        ElfNhdr note{};
        std::memcpy(&note, notes.data(), sizeof note);
        notes = notes.subspan(sizeof note);
        const std::uint64_t name_bytes = padded(note.n_namesz), desc_bytes = padded(note.n_descsz);
        if (name_bytes > notes.size() || desc_bytes > notes.size() - name_bytes) return std::nullopt;
        const auto name = notes.first(note.n_namesz), desc = notes.subspan(name_bytes, note.n_descsz);
        notes = notes.subspan(name_bytes + desc_bytes);
        if (note.n_type != spec::boot::XEN_ELFNOTE_PHYS32_ENTRY || name.size() != 4 ||
            std::memcmp(name.data(), "Xen", 4) != 0 || (desc.size() != 4 && desc.size() != 8)) {
            continue;
        }
        std::uint64_t entry = 0; // little-endian: four bytes fill the lower half
        std::memcpy(&entry, desc.data(), desc.size());
        return entry;
    }
    return std::nullopt;
}

/// What of the file goes where: read and checked as a whole before the first byte is loaded.
struct Plan {
    std::vector<Elf64Phdr> segments;
    AddressWindow range; ///< from the lowest to the highest byte of all segments
    std::uint64_t entry = 0;
    bool pvh = false;
};

std::expected<void, BootErrorKind> add_segment(Plan& plan, const Image& kernel, const Elf64Phdr& header) {
    if (header.p_memsz == 0) return {};
    constexpr auto kLimit = memory::GuestMemory::kLowRamLimit;
    if (header.p_filesz > header.p_memsz || header.p_paddr < kHighMemoryStart || header.p_paddr >= kLimit ||
        header.p_memsz > kLimit - header.p_paddr) {
        return std::unexpected(BootErrorKind::kDamaged);
    }
    if (header.p_offset > kernel.size_bytes() || header.p_filesz > kernel.size_bytes() - header.p_offset) {
        return std::unexpected(BootErrorKind::kTruncated);
    }
    plan.segments.push_back(header);
    return {};
}

std::expected<void, BootErrorKind> read_notes(Plan& plan, const Image& kernel, const Elf64Phdr& header) {
    std::vector<std::byte> notes(std::min(header.p_filesz, kNoteBytesLimit));
    if (!kernel.read(header.p_offset, notes)) return std::unexpected(BootErrorKind::kTruncated);
    if (const auto entry = find_pvh_entry(notes)) {
        plan.entry = *entry;
        plan.pvh = true;
    }
    return {};
}

std::expected<void, BootErrorKind> add_header(Plan& plan, const Image& kernel, const Elf64Phdr& header) {
    switch (header.p_type) {
        case spec::boot::PT_LOAD: return add_segment(plan, kernel, header);
        case spec::boot::PT_NOTE: return read_notes(plan, kernel, header);
        default: return {};
    }
}

std::expected<Plan, BootErrorKind> make_plan(const Image& kernel) {
    const auto file_header = read_file_header(kernel);
    if (!file_header) return std::unexpected(file_header.error());
    const std::uint64_t headers_bytes = std::uint64_t{file_header->e_phnum} * sizeof(Elf64Phdr);
    if (file_header->e_phoff > kernel.size_bytes() || headers_bytes > kernel.size_bytes() - file_header->e_phoff) {
        return std::unexpected(BootErrorKind::kTruncated);
    }
    Plan plan{.segments = {}, .range = {}, .entry = file_header->e_entry};
    for (std::uint64_t i = 0; i < file_header->e_phnum; ++i) {
        Elf64Phdr header{};
        if (!kernel.read_object(file_header->e_phoff + i * sizeof header, header)) {
            return std::unexpected(BootErrorKind::kTruncated);
        }
        if (const auto added = add_header(plan, kernel, header); !added) return std::unexpected(added.error());
    }
    if (plan.segments.empty()) return std::unexpected(BootErrorKind::kDamaged);
    std::uint64_t first = ~std::uint64_t{0}, end = 0;
    for (const auto& segment : plan.segments) {
        first = std::min(first, segment.p_paddr);
        end = std::max(end, segment.p_paddr + segment.p_memsz);
    }
    plan.range = {GuestAddress{first}, end - first};
    if (plan.entry < first || plan.entry >= end) return std::unexpected(BootErrorKind::kDamaged);
    return plan;
}

bool load_segments(const memory::GuestMemory& memory, const Image& kernel, std::span<const Elf64Phdr> segments) {
    return std::ranges::all_of(segments, [&](const Elf64Phdr& segment) {
        const auto to = memory.span(GuestAddress{segment.p_paddr}, segment.p_memsz);
        std::memset(to.data() + segment.p_filesz, 0, to.size() - segment.p_filesz);
        return kernel.read(segment.p_offset, to.first(segment.p_filesz));
    });
}

/// The header of a kernel that has none: what Linux reads of it when it is entered without its bzImage.
spec::boot::SetupHeader make_setup_header() {
    spec::boot::SetupHeader header{};
    header.boot_flag = spec::boot::kBootFlag;
    header.header = spec::boot::kHeaderMagic;
    header.version = spec::boot::kProtocol2_12;
    header.loadflags = spec::boot::loadflags::LOADED_HIGH;
    header.cmdline_size = spec::boot::kLinuxCommandLineLimit;
    return header;
}

} // namespace

std::expected<LoadedKernel, BootError> load_elf_kernel(const memory::GuestMemory& memory, const PlatformLayout& layout,
                                                       const Image& kernel, const Image* initrd,
                                                       const BootParameters& parameters) {
    const auto plan = make_plan(kernel);
    if (!plan) {
        return std::unexpected(BootError{.kind = plan.error(), .file = kernel.name()});
    }
    const GuestAddress kernel_end = plan->range.start + plan->range.length_bytes;
    if (memory.span(plan->range.start, plan->range.length_bytes).empty()) {
        return std::unexpected(BootError{.kind = BootErrorKind::kTooLittleMemory,
                                         .file = kernel.name(),
                                         .needed_bytes = kernel_end.value,
                                         .available_bytes = memory.size_bytes()});
    }
    const auto command_line = write_command_line(memory, parameters.command_line, spec::boot::kLinuxCommandLineLimit);
    if (!command_line) return std::unexpected(command_line.error());
    const auto initrd_place = load_initrd(memory, initrd, kernel_end, memory::GuestMemory::kLowRamLimit - 1);
    if (!initrd_place) return std::unexpected(initrd_place.error());
    if (!load_segments(memory, kernel, plan->segments)) {
        return std::unexpected(BootError{.kind = BootErrorKind::kUnreadable, .file = kernel.name(), .host_errno = EIO});
    }
    LoadedKernel loaded{.entry = {},
                        .format = plan->pvh ? KernelFormat::kElfPvh : KernelFormat::kElf64,
                        .kernel = plan->range,
                        .initrd = *initrd_place,
                        .version = {}};
    const GuestAddress entry{plan->entry};
    if (plan->pvh) {
        const auto start_info = write_start_info(memory, layout, *command_line, *initrd_place, parameters.rsdp);
        loaded.entry = make_protected_mode_entry(memory, entry, start_info);
    } else {
        const auto zero_page = write_zero_page(
            memory, layout, {.header = make_setup_header(), .command_line = *command_line, .initrd = *initrd_place},
            parameters);
        loaded.entry = make_long_mode_entry(memory, entry, zero_page);
    }
    return loaded;
}

} // namespace touka::platform::boot
