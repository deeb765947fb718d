// What an instruction starts from and what it leaves, on any executor.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace touka::tests::instructions {

/// Pages that exist, in the order of Memory::pages; everything around them is unmapped. The same linear addresses on
/// the host and in the guest, all for user mode.
struct PageLayout {
    std::uint64_t linear;
    bool writable;
    bool executable;
};
inline constexpr std::uint64_t kPageBytes = 4096;
inline constexpr std::uint64_t kCodePage = 0x1000'0000, kStackPage = 0x1001'0000, kDataPages = 0x1002'0000,
                               kReadOnlyPage = 0x1002'2000, kEdgePage = 0x1003'0000;
inline constexpr std::array<PageLayout, 7> kPages = {{
    {kCodePage, false, true}, // followed by the second code page
    {kStackPage, true, false},
    {kDataPages, true, false},
    {kDataPages + kPageBytes, true, false}, // followed by the read-only page
    {kReadOnlyPage, false, false},
    {kEdgePage, true, false}, // followed by nothing
    {kCodePage + kPageBytes, false, true},
}};
/// Where single instructions lie; the rest of the code pages is INT3, so that every way out of them ends in a trap.
inline constexpr std::uint64_t kEntry = kCodePage + 0x800;

struct Memory {
    std::array<std::array<std::uint8_t, kPageBytes>, kPages.size()> pages;
    /// The byte at a linear address, or nullptr where nothing is mapped.
    [[nodiscard]] std::uint8_t* at(std::uint64_t linear) {
        for (std::size_t n = 0; n < kPages.size(); ++n) {
            if (linear - kPages[n].linear < kPageBytes) return &pages[n][linear - kPages[n].linear];
        }
        return nullptr;
    }
};

struct Registers {
    std::array<std::uint64_t, 16> gpr{};
    std::uint64_t rip = kEntry;
    std::uint64_t rflags = 0x202;
    std::uint32_t mxcsr = 0x1F80;
    /// Without AVX-512 YMM0 to YMM15, and zeros.
    std::array<std::array<std::uint8_t, 64>, 32> zmm{};
    std::array<std::uint64_t, 8> k{};
    std::uint16_t fcw = 0x37F, fsw = 0;
    std::uint8_t ftw = 0; ///< abridged: 1 = register in use
    std::array<std::array<std::uint8_t, 10>, 8> st{};
};

/// An instruction, or a program of many, with its surroundings. Runs at CPL 3, in 64-bit or (compat) 32-bit code.
struct Case {
    bool compat = false;
    std::vector<std::uint8_t> bytes; ///< at before.rip
    Registers before;
    Memory memory;
    std::string note; ///< for reports: where the operands were put
    /// Bytes of memory whose content the manuals leave open, or that are the host's own: not compared.
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ignored; ///< linear, length
    std::uint64_t ignored_flags = 0;                              ///< RFLAGS bits
    /// Which byte of a long operand a page fault names is microcode's choice: only its page is compared.
    bool cr2_by_page = false;
    bool ignores_mxcsr_flags = false; ///< with #XM
};

/// How it ended: always by an exception; #BP when the instruction completed.
struct Result {
    static constexpr unsigned kShutdown = 256; ///< triple fault
    static constexpr unsigned kLost = 257;     ///< ended up where no exception of CPL 3 leads
    static constexpr unsigned kDiffered = 258; ///< the engine's check of itself found a difference, and told stderr
    Registers after;
    Memory memory;
    unsigned vector = 0;
    std::uint32_t error_code = 0;
    std::uint64_t cr2 = 0; ///< page faults only, else 0
};

} // namespace touka::tests::instructions
