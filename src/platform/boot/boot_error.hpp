#pragma once

#include <cstdint>
#include <string>

namespace touka::platform::boot {

enum class BootErrorKind {
    kNoSuchFile,
    kUnreadable,     ///< host_errno says why
    kNotRegularFile, ///< a directory, pipe or device
    kEmptyFile,
    kNotAKernel,         ///< neither a bzImage nor an ELF executable for x86-64
    kCompressedKernel,   ///< an archive of a kernel (gzip, xz, zstd, ...), which nobody would unpack
    kNot64Bit,           ///< a kernel, but one that starts in 16- or 32-bit mode only
    kTruncated,          ///< the file ends before what its header says
    kDamaged,            ///< the header contradicts itself
    kTooLittleMemory,    ///< needed_bytes of RAM would be enough
    kInitrdDoesNotFit,   ///< needed_bytes of RAM would be enough; 0 when no amount would be
    kCommandLineTooLong, ///< needed_bytes: its length; available_bytes: the limit
};

struct BootError {
    BootErrorKind kind{};
    std::string file{}; ///< the file that it is about; empty: none
    std::uint64_t needed_bytes = 0;
    std::uint64_t available_bytes = 0;
    int host_errno = 0;
};

/// One sentence for the person who started the machine: what is wrong, and what to do where that is known.
[[nodiscard]] std::string describe(const BootError& error);

} // namespace touka::platform::boot
