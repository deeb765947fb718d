// Loads a kernel straight into guest RAM, without firmware.
//
// Knows bzImage (Linux boot protocol 2.12 or later, by its 64-bit entry), ELF with a PVH note and plain x86-64 ELF
// (Linux vmlinux). Absent: 16- and 32-bit Linux entries, Multiboot, EFI executables without a setup header,
// decompression of anything (a bzImage unpacks itself), initial RAM disks above 4 GiB.
#pragma once

#include <array>
#include <cstddef>
#include <expected>
#include <optional>
#include <string>

#include "cpu/cpu_state.hpp"
#include "memory/guest_memory.hpp"
#include "platform/boot/boot_error.hpp"
#include "platform/boot/image.hpp"
#include "platform/platform_layout.hpp"

namespace touka::platform::boot {

enum class KernelFormat { kBzImage, kElfPvh, kElf64 };

/// What the kernel is to be told.
struct BootParameters {
    std::string command_line{};
    GuestAddress rsdp{}; ///< 0: no ACPI
    /// Entropy for the kernel's random number generator, so that it is ready at once; for bzImage and plain ELF.
    std::optional<std::array<std::byte, 32>> random_seed{};
};

/// The loaded kernel: the state for the boot processor, and what lies where.
struct LoadedKernel {
    cpu::CpuState entry;
    KernelFormat format{};
    AddressWindow kernel; ///< what the kernel needs at its start, beyond the file's bytes
    AddressWindow initrd; ///< empty: none
    std::string version;  ///< what a bzImage calls itself: "6.1.0-28-cloud-amd64 (...) #1 SMP ..."
};

/// Loads the kernel and, where given, the initial RAM disk, and leaves the boot data in conventional memory.
/// Called before the processors run; may be called again to start the machine anew.
/// @param initrd null: none.
[[nodiscard]] std::expected<LoadedKernel, BootError> load_kernel(const memory::GuestMemory& memory,
                                                                 const PlatformLayout& layout, const Image& kernel,
                                                                 const Image* initrd, const BootParameters& parameters);

/// The same, from files of the host.
/// @param initrd_path empty: none.
[[nodiscard]] std::expected<LoadedKernel, BootError>
load_kernel(const memory::GuestMemory& memory, const PlatformLayout& layout, const std::string& kernel_path,
            const std::string& initrd_path, const BootParameters& parameters);

} // namespace touka::platform::boot
