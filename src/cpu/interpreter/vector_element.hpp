// Elements of vector registers, for instructions that take them one by one.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>

#include "cpu/interpreter/instruction.hpp"
#include "cpu/interpreter/memory_access.hpp"

namespace touka::cpu::interpreter {

using YmmBytes = std::array<std::uint8_t, 32>;
/// A vector register, or a memory operand, whatever its length.
struct alignas(64) VectorBytes : std::array<std::uint8_t, 64> {};

[[nodiscard]] inline std::size_t register_number(const Instruction& i, std::size_t index) {
    return static_cast<std::size_t>(ZydisRegisterGetId(i.operands[index].reg.value));
}

/// The YMM that operand `index` names. @pre VEX or legacy encoding.
[[nodiscard]] inline YmmBytes& vector_operand(Processor& p, const Instruction& i, std::size_t index) {
    return p.regs.vector[register_number(i, index) & 15];
}
/// What VEX-encoded instructions do to the register that they write.
inline void clear_hi256(Processor& p, const Instruction& i, std::size_t index) {
    p.regs.zmm_hi256[register_number(i, index) & 15].fill(0);
}

/// All of register 0 to 31.
[[nodiscard]] inline VectorBytes read_vector(const RegisterFile& regs, std::size_t number) {
    VectorBytes bytes;
    if (number >= regs.vector.size()) {
        std::memcpy(bytes.data(), regs.hi16_zmm[number & 15].data(), bytes.size());
        return bytes;
    }
    std::memcpy(bytes.data(), regs.vector[number].data(), sizeof(YmmBytes));
    std::memcpy(bytes.data() + sizeof(YmmBytes), regs.zmm_hi256[number].data(), sizeof(YmmBytes));
    return bytes;
}
inline void write_vector(RegisterFile& regs, std::size_t number, const VectorBytes& bytes) {
    if (number >= regs.vector.size()) {
        std::memcpy(regs.hi16_zmm[number & 15].data(), bytes.data(), bytes.size());
        return;
    }
    std::memcpy(regs.vector[number].data(), bytes.data(), sizeof(YmmBytes));
    std::memcpy(regs.zmm_hi256[number].data(), bytes.data() + sizeof(YmmBytes), sizeof(YmmBytes));
    regs.hi256_in_use = true;
}

/// @return the element, zero-extended from width_bytes (1, 2, 4 or 8).
[[nodiscard]] inline std::uint64_t get_element(std::span<const std::uint8_t> vector, std::size_t index,
                                               std::size_t width_bytes) {
    std::uint64_t value = 0;
    std::memcpy(&value, vector.data() + index * width_bytes, width_bytes);
    return value;
}
inline void set_element(std::span<std::uint8_t> vector, std::size_t index, std::size_t width_bytes,
                        std::uint64_t value) {
    std::memcpy(vector.data() + index * width_bytes, &value, width_bytes);
}
/// The sign bit, which is what masks in vector registers consist of.
[[nodiscard]] inline bool is_chosen(const YmmBytes& mask, std::size_t index, std::size_t width_bytes) {
    return (mask[(index + 1) * width_bytes - 1] & 0x80) != 0;
}

/// @param access access:: bits. @return false with Processor::fault set.
[[nodiscard]] inline bool load_element(Processor& p, std::uint64_t linear, std::size_t width_bytes, std::uint8_t access,
                                       std::uint64_t& value) {
    const auto take = [&](const auto& loaded) {
        value = loaded.value;
        return loaded.ok;
    };
    switch (width_bytes) {
        case 1: return take(load<std::uint8_t>(p, linear, access));
        case 2: return take(load<std::uint16_t>(p, linear, access));
        case 4: return take(load<std::uint32_t>(p, linear, access));
        default: return take(load<std::uint64_t>(p, linear, access));
    }
}
[[nodiscard]] inline bool store_element(Processor& p, std::uint64_t linear, std::size_t width_bytes,
                                        std::uint8_t access, std::uint64_t value) {
    switch (width_bytes) {
        case 1: return store(p, linear, static_cast<std::uint8_t>(value), access);
        case 2: return store(p, linear, static_cast<std::uint16_t>(value), access);
        case 4: return store(p, linear, static_cast<std::uint32_t>(value), access);
        default: return store(p, linear, value, access);
    }
}

} // namespace touka::cpu::interpreter
