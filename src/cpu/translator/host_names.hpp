// Names for what translated code refers to by numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/translator/thunks.hpp"

namespace touka::cpu::translator {

class HostNames {
public:
    HostNames(const FrameOffsets& offsets, const Thunks& thunks);

    /// What lies at a distance from RSP: "frame.table", "regs.r8", "status+1". Empty when nothing does that translated
    /// code has to do with.
    [[nodiscard]] std::string frame_member(std::int64_t displacement) const;
    /// What lies at a distance from the slot of a LookasideTable's tag.
    [[nodiscard]] static std::string_view table_member(std::int64_t displacement);
    /// @return nullopt when no thunk begins there.
    [[nodiscard]] std::optional<std::string_view> thunk(const void* code) const;

private:
    struct Member {
        std::size_t offset, size_bytes;
        std::string name;
    };
    struct Thunk {
        const void* code;
        std::string_view name;
    };
    std::vector<Member> members_;
    std::vector<Thunk> thunks_;
};

} // namespace touka::cpu::translator
