#include "platform/boot/boot_error.hpp"

#include <fmt/format.h>

#include <cstring>

namespace touka::platform::boot {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

std::uint64_t mebibytes(std::uint64_t bytes) { return bytes / kMiB + (bytes % kMiB != 0 ? 1 : 0); }

} // namespace

std::string describe(const BootError& error) {
    const auto& file = error.file;
    switch (error.kind) {
        case BootErrorKind::kNoSuchFile: return fmt::format("{}: no such file", file);
        case BootErrorKind::kUnreadable: return fmt::format("{}: cannot be read: {}", file, strerror(error.host_errno));
        case BootErrorKind::kNotRegularFile: return fmt::format("{}: not a regular file", file);
        case BootErrorKind::kEmptyFile: return fmt::format("{}: the file is empty", file);
        case BootErrorKind::kNotAKernel:
            return fmt::format("{}: not a kernel: expected an x86 bzImage (vmlinuz) or an x86-64 ELF file", file);
        case BootErrorKind::kCompressedKernel:
            return fmt::format("{}: a compressed file, not a kernel: unpack it first, or give the bzImage (vmlinuz)",
                               file);
        case BootErrorKind::kNot64Bit:
            return fmt::format("{}: a kernel without a 64-bit entry: give an x86-64 kernel of Linux 3.8 or later",
                               file);
        case BootErrorKind::kTruncated:
            if (error.needed_bytes == 0) return fmt::format("{}: the file is cut off", file);
            return fmt::format("{}: the file is cut off: its header promises {} bytes, it has {}", file,
                               error.needed_bytes, error.available_bytes);
        case BootErrorKind::kDamaged: return fmt::format("{}: the kernel is damaged: its header makes no sense", file);
        case BootErrorKind::kTooLittleMemory:
            return fmt::format("{}: too little memory: the kernel needs {} MiB to start, the machine has {} MiB", file,
                               mebibytes(error.needed_bytes), error.available_bytes / kMiB);
        case BootErrorKind::kInitrdDoesNotFit:
            if (error.needed_bytes == 0) {
                return fmt::format("{}: the initial RAM disk is too big for the addresses that the kernel allows",
                                   file);
            }
            return fmt::format("{}: the initial RAM disk does not fit: at least {} MiB of memory are needed beside "
                               "the kernel, the machine has {} MiB",
                               file, mebibytes(error.needed_bytes), error.available_bytes / kMiB);
        case BootErrorKind::kCommandLineTooLong:
            return fmt::format("the kernel command line is {} bytes long, the kernel takes {}", error.needed_bytes,
                               error.available_bytes);
    }
    return {};
}

} // namespace touka::platform::boot
