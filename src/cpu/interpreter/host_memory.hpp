// Guest RAM as the host's processor sees it: each load and store is one host instruction of its size, so that the
// guest's plain accesses are as atomic and as ordered as on hardware (AMD64 APM vol. 2 rev. 3.42 §7.3). Other threads
// write the same bytes at any time; assembly keeps the compiler from assuming otherwise.
#pragma once

#include <cstddef>

namespace touka::cpu::interpreter::host {

template <std::size_t Size>
using Bytes = unsigned char[Size];

/// The bytes behind a pointer, as operand of an assembly instruction.
template <class T>
[[gnu::always_inline]] inline Bytes<sizeof(T)>& bytes(std::byte* address) {
    return *reinterpret_cast<Bytes<sizeof(T)>*>(address);
}

template <class T>
[[nodiscard, gnu::always_inline]] inline T load(std::byte* address) {
    T value;
    asm volatile("mov %[m], %[v]" : [v] "=r"(value) : [m] "m"(bytes<T>(address)));
    return value;
}

template <class T>
[[gnu::always_inline]] inline void store(std::byte* address, T value) {
    asm volatile("mov %[v], %[m]" : [m] "=m"(bytes<T>(address)) : [v] "r"(value));
}

} // namespace touka::cpu::interpreter::host
