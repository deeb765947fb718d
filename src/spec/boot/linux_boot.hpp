// What an x86 Linux kernel image says about itself and what its loader hands to it.
// (Linux 6.1 Documentation/x86/boot.rst "The Linux/x86 Boot Protocol" 2.15, §"The Real-Mode Kernel Header";
//  Documentation/x86/zero-page.rst "Zero Page"; all fields little-endian)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace touka::spec::boot {

/// The setup header: at offset 1F1h of the image and of the zero page alike.
struct [[gnu::packed]] SetupHeader {
    std::uint8_t setup_sects;     // 1F1h: size of the real-mode setup in 512-byte sectors; 0 means 4
    std::uint16_t root_flags;     // 1F2h
    std::uint32_t syssize;        // 1F4h: size of the protected-mode code in 16-byte paragraphs
    std::uint16_t ram_size;       // 1F8h: obsolete
    std::uint16_t vid_mode;       // 1FAh
    std::uint16_t root_dev;       // 1FCh: obsolete
    std::uint16_t boot_flag;      // 1FEh: AA55h
    std::uint8_t jump_opcode;     // 200h
    std::uint8_t jump_offset;     // 201h: the header ends at 202h + this
    std::uint32_t header;         // 202h: "HdrS"
    std::uint16_t version;        // 206h: major in the high byte
    std::uint32_t realmode_swtch; // 208h
    std::uint16_t start_sys_seg;  // 20Ch: obsolete
    std::uint16_t kernel_version; // 20Eh: offset of the version string, less 200h
    std::uint8_t type_of_loader;  // 210h
    std::uint8_t loadflags;       // 211h
    std::uint16_t setup_move_size;
    std::uint32_t code32_start; // 214h
    std::uint32_t ramdisk_image;
    std::uint32_t ramdisk_size;
    std::uint32_t bootsect_kludge;
    std::uint16_t heap_end_ptr;
    std::uint8_t ext_loader_ver;
    std::uint8_t ext_loader_type;
    std::uint32_t cmd_line_ptr;     // 228h
    std::uint32_t initrd_addr_max;  // 22Ch: the highest address that a byte of the initrd may have
    std::uint32_t kernel_alignment; // 230h
    std::uint8_t relocatable_kernel;
    std::uint8_t min_alignment;
    std::uint16_t xloadflags;   // 236h
    std::uint32_t cmdline_size; // 238h: the longest command line, without its terminating zero
    std::uint32_t hardware_subarch;
    std::uint64_t hardware_subarch_data;
    std::uint32_t payload_offset; // 248h: of the compressed kernel, from the start of the protected-mode code
    std::uint32_t payload_length;
    std::uint64_t setup_data;   // 250h: first of a list of SetupDataHeader
    std::uint64_t pref_address; // 258h
    std::uint32_t init_size;    // 260h: memory that the kernel needs from its load address before it reads the map
    std::uint32_t handover_offset;
    std::uint32_t kernel_info_offset;
};
static_assert(sizeof(SetupHeader) == 0x26C - 0x1F1);
static_assert(0x1F1 + offsetof(SetupHeader, header) == 0x202 && 0x1F1 + offsetof(SetupHeader, cmdline_size) == 0x238 &&
              0x1F1 + offsetof(SetupHeader, init_size) == 0x260);

inline constexpr std::uint64_t kSetupHeaderOffset = 0x1F1;
inline constexpr std::uint16_t kBootFlag = 0xAA55;
inline constexpr std::uint32_t kHeaderMagic = 0x5372'6448; // "HdrS"
inline constexpr std::uint16_t kProtocol2_12 = 0x020C;     // the first with xloadflags
inline constexpr std::uint8_t kLoaderUndefined = 0xFF;     // type_of_loader: no number assigned
inline constexpr std::uint64_t kSectorSize = 512;
/// Distance from the start of the protected-mode code to the 64-bit entry point (§"64-bit Boot Protocol").
inline constexpr std::uint64_t kEntry64Offset = 0x200;

namespace loadflags {
inline constexpr std::uint8_t LOADED_HIGH = 1u << 0, QUIET_FLAG = 1u << 5, KEEP_SEGMENTS = 1u << 6,
                              CAN_USE_HEAP = 1u << 7;
}
namespace xloadflags {
inline constexpr std::uint16_t XLF_KERNEL_64 = 1u << 0, XLF_CAN_BE_LOADED_ABOVE_4G = 1u << 1;
}

enum class E820Type : std::uint32_t { kRam = 1, kReserved = 2, kAcpiReclaimable = 3, kAcpiNvs = 4 };

struct [[gnu::packed]] E820Entry {
    std::uint64_t addr;
    std::uint64_t size;
    E820Type type;
};
static_assert(sizeof(E820Entry) == 20);

/// The zero page. What is left unnamed stays zero: no screen, no APM, no disk parameters, no EFI.
struct [[gnu::packed]] BootParams {
    std::array<std::uint8_t, 0x70> screen_info_to_ist_info;
    std::uint64_t acpi_rsdp_addr; // 070h
    std::array<std::uint8_t, 0x0C0 - 0x078> hd_info_to_olpc;
    std::uint32_t ext_ramdisk_image; // 0C0h: upper half
    std::uint32_t ext_ramdisk_size;
    std::uint32_t ext_cmd_line_ptr;
    std::array<std::uint8_t, 0x1E8 - 0x0CC> edid_to_alt_mem;
    std::uint8_t e820_entries; // 1E8h
    std::array<std::uint8_t, 0x1F1 - 0x1E9> keyboard_to_sentinel;
    SetupHeader hdr; // 1F1h
    std::array<std::uint8_t, 0x2D0 - 0x26C> edd_signatures;
    std::array<E820Entry, 128> e820_table; // 2D0h
    std::array<std::uint8_t, 0x1000 - 0xCD0> edd_table;
};
static_assert(sizeof(BootParams) == 4096);
static_assert(offsetof(BootParams, hdr) == kSetupHeaderOffset && offsetof(BootParams, e820_table) == 0x2D0);

/// One piece of the setup_data list; `len` bytes follow. (boot.rst, setup_data)
struct [[gnu::packed]] SetupDataHeader {
    std::uint64_t next;
    std::uint32_t type;
    std::uint32_t len;
};
static_assert(sizeof(SetupDataHeader) == 16);
inline constexpr std::uint32_t kSetupRngSeed = 9; // SETUP_RNG_SEED (Linux 6.1 arch/x86/include/uapi/asm/bootparam.h)

/// Flat segments of the loader's GDT (§"64-bit Boot Protocol": __BOOT_CS, __BOOT_DS).
inline constexpr std::uint16_t kBootCs = 0x10, kBootDs = 0x18;
/// COMMAND_LINE_SIZE less its terminating zero, for images that have no setup header to say it.
inline constexpr std::uint32_t kLinuxCommandLineLimit = 2047;

} // namespace touka::spec::boot
