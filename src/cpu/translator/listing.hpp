// A translated block as text, guest and host form beside each other.
#pragma once

#include <Zydis/Zydis.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cpu/translator/host_names.hpp"
#include "cpu/translator/translation_observer.hpp"

namespace touka::cpu::translator {

/// One instruction of translated code.
struct HostInstruction {
    std::int64_t at = 0; ///< from Translation::code
    ZydisDecodedInstruction info{};
    std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands{};

    /// Of a relative jump or call: what it leads to, as a distance from Translation::code.
    [[nodiscard]] std::optional<std::int64_t> target() const;
};

/// The same text wherever it is made: names take the place of addresses and of distances in the Frame, jumps are shown
/// by what they lead to in the end.
///
///     "block:01A" the block at offset 01A of the same page; "single:01A" its twin without groups of accesses;
///     "fill", "exit_link" a thunk, by way of a stub; "L1" a place in the block itself
///
/// The first line has the numbers of instructions: of the guest; of the host on the way from the entry without a look
/// at requests to the end of the last guest instruction, without the jump onward; in stubs. A guest instruction is a
/// line of its bytes and its disassembly; the lines indented behind it are its host code.
/// @pre the block's jumps are not linked yet.
class Listing {
public:
    enum class Detail {
        kMain, ///< the way through the block that is taken when nothing is in its way
        kWhole ///< entries, way through, stubs
    };
    /// @param block outlives this.
    Listing(const TranslatedBlock& block, Detail detail);

    [[nodiscard]] std::string text() const;
    /// The whole block's.
    [[nodiscard]] const std::vector<HostInstruction>& instructions() const { return instructions_; }

private:
    void decode(std::int64_t from, std::int64_t to);
    void append(std::string& text, std::int64_t from, std::int64_t to) const;
    [[nodiscard]] std::string host_text(const HostInstruction& i) const;
    [[nodiscard]] std::string operand_text(const HostInstruction& i, const ZydisDecodedOperand& o) const;
    [[nodiscard]] std::string memory_text(const ZydisDecodedOperand& o) const;
    [[nodiscard]] std::string target_text(std::int64_t target) const;
    [[nodiscard]] std::string stub_text(std::int64_t target) const;
    [[nodiscard]] std::optional<std::string_view> thunk_at(std::int64_t target) const;
    [[nodiscard]] std::size_t count(std::int64_t from, std::int64_t to) const;
    [[nodiscard]] std::int64_t stubs_end() const { return block_.outline.stubs + block_.outline.stub_bytes; }

    const TranslatedBlock& block_;
    Detail detail_;
    std::int64_t main_;  ///< where the way through begins
    std::int64_t start_; ///< where the text begins
    HostNames names_;
    std::vector<HostInstruction> instructions_;
    std::vector<std::int64_t> labels_; ///< places in front of the stubs that jumps of the text lead to, ascending
};

} // namespace touka::cpu::translator
