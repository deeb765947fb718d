#include "cpu/interpreter/code_memory.hpp"

#include <cpuid.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

namespace touka::cpu::interpreter {
namespace {

/// The sanitizer of function calls reads the bytes before a function; before the first one there must be some.
constexpr std::size_t kLeadBytes = 16;

} // namespace

// A shared anonymous mapping, duplicated: unlike a memfd's, Linux' perf takes it for generated code.
CodeMemory::CodeMemory(std::size_t size_bytes) {
    void* writable =
        ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (writable == MAP_FAILED) return;
    void* executable = ::mremap(writable, 0, size_bytes, MREMAP_MAYMOVE);
    if (executable == MAP_FAILED || ::mprotect(executable, size_bytes, PROT_READ | PROT_EXEC) != 0) {
        if (executable != MAP_FAILED) ::munmap(executable, size_bytes);
        ::munmap(writable, size_bytes);
        return;
    }
    writable_ = static_cast<std::uint8_t*>(writable);
    executable_ = static_cast<const std::uint8_t*>(executable);
    size_bytes_ = size_bytes;
    used_bytes_ = kLeadBytes;
}

CodeMemory::~CodeMemory() {
    if (size_bytes_ == 0) return;
    ::munmap(writable_, size_bytes_);
    ::munmap(const_cast<std::uint8_t*>(executable_), size_bytes_);
}

const void* CodeMemory::add(std::span<const std::uint8_t> code) {
    constexpr std::size_t kAlignment = 16;
    const std::size_t room = (code.size() + kAlignment - 1) & ~(kAlignment - 1);
    if (room > size_bytes_ - used_bytes_) return nullptr;
    std::memcpy(writable_ + used_bytes_, code.data(), code.size());
    const void* place = executable_ + used_bytes_;
    used_bytes_ += room;
    return place;
}

void CodeMemory::map_ahead() {
    const std::size_t start = mapped_bytes_;
    const std::size_t length_bytes = std::min(kAheadBytes, size_bytes_ - start);
    mapped_bytes_ += length_bytes;
    if (length_bytes == 0) return;
    // Hints: what fails is mapped when it is touched.
    ::madvise(writable_ + start, length_bytes, MADV_POPULATE_WRITE);
    ::madvise(const_cast<std::uint8_t*>(executable_) + start, length_bytes, MADV_POPULATE_READ);
}

void CodeMemory::clear() {
    used_bytes_ = size_bytes_ == 0 ? 0 : kLeadBytes;
    // The bytes will change through another address than they ran at, which the processor notices for sure only
    // after a serialising instruction. (SDM vol. 3 rev. 084 §9.1.3)
    unsigned a = 0, b = 0, c = 0, d = 0;
    __cpuid(0, a, b, c, d);
}

} // namespace touka::cpu::interpreter
