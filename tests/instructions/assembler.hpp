// Instructions put together to code with jumps in it.
#pragma once

#include <Zydis/Zydis.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

namespace touka::tests::instructions {

/// An operand as ZydisEncoder wants it.
[[nodiscard]] ZydisEncoderOperand reg(ZydisRegister value);
[[nodiscard]] ZydisEncoderOperand immediate(std::int64_t value);
[[nodiscard]] ZydisEncoderOperand memory(ZydisRegister base, std::int64_t displacement, std::size_t size_bytes,
                                         ZydisRegister index = ZYDIS_REGISTER_NONE, unsigned scale = 0);

/// Code of 64-bit mode, from its first byte to its last.
class Assembler {
public:
    using Label = std::size_t;

    /// @return false when there is no such instruction; nothing was added. May be ignored where there is one for sure.
    bool add(ZydisMnemonic mnemonic, std::initializer_list<ZydisEncoderOperand> operands,
             ZydisInstructionAttributes prefixes = 0);
    void add(const std::vector<std::uint8_t>& bytes) { code_.insert(code_.end(), bytes.begin(), bytes.end()); }

    [[nodiscard]] Label make_label();
    void put(Label label) { places_[label] = code_.size(); }
    /// JMP, CALL or Jcc with a displacement of 32 bits; LEA of the label's address into RAX.
    void jump(Label to) { add_relative({0xE9}, to); }
    void call(Label to) { add_relative({0xE8}, to); }
    void jump_if(unsigned condition, Label to) {
        add_relative({0x0F, static_cast<std::uint8_t>(0x80 | condition)}, to);
    }
    void load_address(Label of) { add_relative({0x48, 0x8D, 0x05}, of); }

    [[nodiscard]] std::size_t size_bytes() const { return code_.size(); }
    /// @pre all labels are put.
    [[nodiscard]] std::vector<std::uint8_t> finish();

private:
    struct Reference {
        std::size_t at; ///< of the displacement
        Label label;
    };

    void add_relative(const std::vector<std::uint8_t>& opcode, Label to);

    std::vector<std::uint8_t> code_;
    std::vector<std::size_t> places_;
    std::vector<Reference> references_;
};

} // namespace touka::tests::instructions
