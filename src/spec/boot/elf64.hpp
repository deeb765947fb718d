// The ELF-64 object file format, as far as loading an executable needs it.
// (ELF-64 Object File Format version 1.5 draft 2 §3 "ELF Header", §6 "Program header table"; System V gABI 4.1 ch. 5
//  "Note Section"; x86-64 psABI 1.0 §4.1)
#pragma once

#include <array>
#include <cstdint>

namespace touka::spec::boot {

struct Elf64Ehdr {
    std::array<std::uint8_t, 16> e_ident;
    std::uint16_t e_type;
    std::uint16_t e_machine;
    std::uint32_t e_version;
    std::uint64_t e_entry;
    std::uint64_t e_phoff;
    std::uint64_t e_shoff;
    std::uint32_t e_flags;
    std::uint16_t e_ehsize;
    std::uint16_t e_phentsize;
    std::uint16_t e_phnum;
    std::uint16_t e_shentsize;
    std::uint16_t e_shnum;
    std::uint16_t e_shstrndx;
};
static_assert(sizeof(Elf64Ehdr) == 64);

struct Elf64Phdr {
    std::uint32_t p_type;
    std::uint32_t p_flags;
    std::uint64_t p_offset;
    std::uint64_t p_vaddr;
    std::uint64_t p_paddr;
    std::uint64_t p_filesz;
    std::uint64_t p_memsz;
    std::uint64_t p_align;
};
static_assert(sizeof(Elf64Phdr) == 56);

/// Name and descriptor follow, each padded to four bytes.
struct ElfNhdr {
    std::uint32_t n_namesz;
    std::uint32_t n_descsz;
    std::uint32_t n_type;
};
static_assert(sizeof(ElfNhdr) == 12);

inline constexpr std::array<std::uint8_t, 4> kElfMagic{0x7F, 'E', 'L', 'F'};
inline constexpr std::size_t EI_CLASS = 4, EI_DATA = 5;
inline constexpr std::uint8_t ELFCLASS32 = 1, ELFCLASS64 = 2, ELFDATA2LSB = 1;
inline constexpr std::uint16_t ET_EXEC = 2, ET_DYN = 3, EM_386 = 3, EM_X86_64 = 62;
inline constexpr std::uint32_t PT_LOAD = 1, PT_NOTE = 4;

} // namespace touka::spec::boot
