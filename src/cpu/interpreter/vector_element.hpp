// Elements of vector registers, for instructions that take them one by one.
#pragma once

#include <cstdint>
#include <cstring>

#include "cpu/interpreter/instruction.hpp"
#include "cpu/interpreter/memory_access.hpp"

namespace touka::cpu::interpreter {

/// The YMM that operand `index` names.
[[nodiscard]] inline std::array<std::uint8_t, 32>& vector_operand(Processor& p, const Instruction& i,
                                                                  std::size_t index) {
    return p.regs.vector[static_cast<std::size_t>(ZydisRegisterGetId(i.operands[index].reg.value)) & 15];
}

/// @return the element, zero-extended from width_bytes (4 or 8).
[[nodiscard]] inline std::uint64_t get_element(const std::array<std::uint8_t, 32>& vector, std::size_t index,
                                               std::size_t width_bytes) {
    std::uint64_t value = 0;
    std::memcpy(&value, vector.data() + index * width_bytes, width_bytes);
    return value;
}
inline void set_element(std::array<std::uint8_t, 32>& vector, std::size_t index, std::size_t width_bytes,
                        std::uint64_t value) {
    std::memcpy(vector.data() + index * width_bytes, &value, width_bytes);
}
/// The sign bit, which is what masks consist of.
[[nodiscard]] inline bool is_chosen(const std::array<std::uint8_t, 32>& mask, std::size_t index,
                                    std::size_t width_bytes) {
    return (mask[(index + 1) * width_bytes - 1] & 0x80) != 0;
}

/// @param access access:: bits. @return false with Processor::fault set.
[[nodiscard]] inline bool load_element(Processor& p, std::uint64_t linear, std::size_t width_bytes, std::uint8_t access,
                                       std::uint64_t& value) {
    if (width_bytes == 8) {
        const auto wide = load<std::uint64_t>(p, linear, access);
        value = wide.value;
        return wide.ok;
    }
    const auto narrow = load<std::uint32_t>(p, linear, access);
    value = narrow.value;
    return narrow.ok;
}
[[nodiscard]] inline bool store_element(Processor& p, std::uint64_t linear, std::size_t width_bytes,
                                        std::uint8_t access, std::uint64_t value) {
    return width_bytes == 8 ? store(p, linear, value, access)
                            : store(p, linear, static_cast<std::uint32_t>(value), access);
}

} // namespace touka::cpu::interpreter
