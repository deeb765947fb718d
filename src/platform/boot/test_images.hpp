// Kernel images made for tests: small, valid, and easy to damage.
#pragma once

#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "spec/boot/elf64.hpp"
#include "spec/boot/linux_boot.hpp"
#include "spec/boot/pvh.hpp"

namespace touka::platform::boot {

using ImageBytes = std::vector<std::byte>;

template <class T>
void put(ImageBytes& image, std::size_t offset, const T& value) {
    std::memcpy(image.data() + offset, &value, sizeof value);
}

inline constexpr std::size_t kTestCodeOffset = 2 * 512, kTestCodeBytes = 4096;

/// A header as Linux 6.1 has it.
inline spec::boot::SetupHeader make_test_header() {
    spec::boot::SetupHeader header{};
    header.setup_sects = 1;
    header.syssize = kTestCodeBytes / 16;
    header.boot_flag = 0xAA55;
    header.jump_opcode = 0xEB;
    header.jump_offset = 0x26C - 0x202;
    header.header = 0x5372'6448;
    header.version = 0x020F;
    header.kernel_version = 0x100; // at 300h
    header.loadflags = 1 | spec::boot::loadflags::CAN_USE_HEAP;
    header.initrd_addr_max = 0x7FFF'FFFF;
    header.kernel_alignment = 0x20'0000;
    header.relocatable_kernel = 1;
    header.xloadflags = 1;
    header.cmdline_size = 2047;
    header.payload_offset = 0x300;
    header.payload_length = 0x100;
    header.pref_address = 0x100'0000;
    header.init_size = 0x10'0000;
    return header;
}

inline ImageBytes make_test_bzimage(const spec::boot::SetupHeader& header = make_test_header()) {
    ImageBytes image(kTestCodeOffset + kTestCodeBytes);
    put(image, 0x1F1, header);
    std::memcpy(image.data() + 0x300, "6.1.0-test #1", 14);
    std::memset(image.data() + kTestCodeOffset, 0xC3, kTestCodeBytes);
    return image;
}

inline constexpr std::uint64_t kTestElfAddress = 0x20'0000, kTestElfFileBytes = 0x200, kTestElfMemoryBytes = 0x3000;
inline constexpr std::size_t kTestElfSegmentOffset = 0x200, kTestElfNoteOffset = 0x100, kTestElfProgramHeaders = 64;

/// One segment, and a PVH note when there is an entry for it.
inline ImageBytes make_test_elf(std::optional<std::uint32_t> pvh_entry = std::nullopt) {
    using namespace spec::boot;
    ImageBytes image(kTestElfSegmentOffset + kTestElfFileBytes);
    std::memset(image.data() + kTestElfSegmentOffset, 0xF4, kTestElfFileBytes);
    Elf64Ehdr header{};
    header.e_ident = {0x7F, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1};
    header.e_type = ET_EXEC;
    header.e_machine = EM_X86_64;
    header.e_version = 1;
    header.e_entry = kTestElfAddress + 0x10;
    header.e_phoff = kTestElfProgramHeaders;
    header.e_ehsize = sizeof header;
    header.e_phentsize = sizeof(Elf64Phdr);
    header.e_phnum = pvh_entry ? 2 : 1;
    put(image, 0, header);
    put(image, kTestElfProgramHeaders,
        Elf64Phdr{.p_type = PT_LOAD,
                  .p_flags = 5,
                  .p_offset = kTestElfSegmentOffset,
                  .p_vaddr = 0,
                  .p_paddr = kTestElfAddress,
                  .p_filesz = kTestElfFileBytes,
                  .p_memsz = kTestElfMemoryBytes,
                  .p_align = 4096});
    if (pvh_entry) {
        put(image, kTestElfProgramHeaders + sizeof(Elf64Phdr),
            Elf64Phdr{.p_type = PT_NOTE,
                      .p_flags = 4,
                      .p_offset = kTestElfNoteOffset,
                      .p_vaddr = 0,
                      .p_paddr = 0,
                      .p_filesz = 48,
                      .p_memsz = 48,
                      .p_align = 4});
        // A note of another kind first: "GNU", 4 bytes.
        put(image, kTestElfNoteOffset, ElfNhdr{4, 4, 3});
        std::memcpy(image.data() + kTestElfNoteOffset + 12, "GNU", 4);
        put(image, kTestElfNoteOffset + 20, ElfNhdr{4, 4, XEN_ELFNOTE_PHYS32_ENTRY});
        std::memcpy(image.data() + kTestElfNoteOffset + 32, "Xen", 4);
        put(image, kTestElfNoteOffset + 36, *pvh_entry);
    }
    return image;
}

} // namespace touka::platform::boot
