#include "cpu/translator/host_names.hpp"

#include <Zydis/Zydis.h>
#include <fmt/format.h>

#include <algorithm>

#include "cpu/translator/lookaside_table.hpp"

namespace touka::cpu::translator {

HostNames::HostNames(const FrameOffsets& o, const Thunks& t)
    : members_{{o.status, 2, "status"},
               {o.system_flags, 8, "system_flags"},
               {o.requests, 4, "requests"},
               {o.interrupt_waiting, 4, "interrupt_waiting"},
               {o.fs_base, 8, "fs.base"},
               {o.gs_base, 8, "gs.base"},
               {o.kernel_gs_base, 8, "msr.kernel_gs_base"},
               {o.tsc_offset, 8, "msr.tsc_offset"},
               {o.tsc_aux, 8, "msr.tsc_aux"},
               {o.cr4, 8, "cr4"},
               {o.x87_place, 1, "x87_place"},
               {o.rip_base, 8, "frame.rip_base"},
               {o.table, 8, "frame.table"},
               {o.open_table, 8, "frame.open_table"},
               {o.closed_table, 8, "frame.closed_table"},
               {o.jump_generation, 8, "frame.jump_generation"},
               {o.jumps + offsetof(JumpSlot, key), 8, "frame.jumps.key"},
               {o.jumps + offsetof(JumpSlot, code), 8, "frame.jumps.code"},
               {o.far_keys, kFarLinks * sizeof(FarKey), "frame.far_keys"},
               {o.jump_code, 8, "frame.jump_code"},
               {o.sse_off, 4, "frame.sse_off"},
               {o.avx_off, 4, "frame.avx_off"},
               {o.avx512_off, 4, "frame.avx512_off"},
               {o.exit_data, 4, "frame.exit_data"}},
      thunks_{{t.exit_interpret, "exit_interpret"},
              {t.exit_request, "exit_request"},
              {t.exit_unvectored, "exit_unvectored"},
              {t.exit_jump_miss, "exit_jump_miss"},
              {t.exit_x87, "exit_x87"},
              {t.exit_fault, "exit_fault"},
              {t.exit_fault_flags, "exit_fault_flags"},
              {t.exit_lookup, "exit_lookup"},
              {t.far_jump, "far_jump"},
              {t.exit_link, "exit_link"},
              {t.exit_link_flags, "exit_link_flags"},
              {t.fill, "fill"},
              {t.interpret, "interpret"},
              {t.transfer, "transfer"},
              {t.load_vectors, "load_vectors"},
              {t.load_avx512, "load_avx512"}} {
    for (unsigned n = 0; n < 16; ++n) {
        const auto reg = static_cast<ZydisRegister>(ZYDIS_REGISTER_RAX + n);
        members_.push_back({o.gpr + std::size_t{n} * 8, 8, fmt::format("regs.{}", ZydisRegisterGetString(reg))});
    }
    for (unsigned n = 0; n < 6; ++n) {
        const auto reg = static_cast<ZydisRegister>(ZYDIS_REGISTER_ES + n);
        members_.push_back(
            {o.selectors + n * sizeof(SegmentState), 2, fmt::format("{}.selector", ZydisRegisterGetString(reg))});
    }
}

std::string HostNames::frame_member(std::int64_t displacement) const {
    const auto at = static_cast<std::size_t>(displacement);
    const auto found = std::ranges::find_if(
        members_, [at](const Member& m) { return at >= m.offset && at - m.offset < m.size_bytes; });
    if (found == members_.end()) return {};
    return at == found->offset ? found->name : fmt::format("{}+{}", found->name, at - found->offset);
}

std::string_view HostNames::table_member(std::int64_t displacement) {
    if (displacement == LookasideTable::kReadTagsOffset) return "table.read_tags";
    if (displacement == LookasideTable::kWriteTagsOffset) return "table.write_tags";
    return displacement == LookasideTable::kHostPagesOffset ? "table.host_pages" : "";
}

std::optional<std::string_view> HostNames::thunk(const void* code) const {
    const auto found = std::ranges::find(thunks_, code, &Thunk::code);
    return found == thunks_.end() ? std::nullopt : std::optional(found->name);
}

} // namespace touka::cpu::translator
