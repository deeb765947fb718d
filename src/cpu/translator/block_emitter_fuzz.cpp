// Any bytes as a page of guest code, from decoding to host code: nothing breaks, and what comes out keeps its promises.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>

#include "cpu/interpreter/program_fixture.hpp"
#include "cpu/translator/block_emitter.hpp"
#include "cpu/translator/vcpu_region.hpp"

namespace {

using namespace touka::cpu;
using namespace touka::cpu::translator;
using touka::spec::kPageSize;

void require(bool holds) {
    if (!holds) std::abort();
}

/// Where code is emitted to, made once.
struct Workshop {
    interpreter::ProgramMachine machine;
    std::unique_ptr<VcpuMemory, void (*)(VcpuMemory*)> vcpu =
        make_vcpu_memory(*machine.memory, machine.bus, machine.port, machine.p.cpuid);
    FrameOffsets offsets{*vcpu};
    interpreter::CodeMemory code{1 << 20};
    Thunks thunks = make_thunks(code, offsets, {});
    std::optional<BlockEmitter> emitter{std::in_place, code, offsets, thunks};
    std::size_t first_byte = code.used_bytes();
    SideTables tables{vcpu->frame.far_keys, code.size_bytes()};
};

void check_block(const GuestBlock& block, std::uint16_t offset) {
    require(block.count > 0 && block.count <= GuestBlock::kMaxInstructions);
    require(block.group_count <= GuestBlock::kMaxGroups);
    for (std::size_t n = 0; n < block.count; ++n) {
        require(block.instructions[n].offset == offset);
        offset = block.instructions[n].next_offset();
    }
    for (std::size_t n = 0; n < block.group_count; ++n)
        require(block.groups[n].low < block.groups[n].high &&
                block.groups[n].high - block.groups[n].low <= GuestBlock::kMaxGroupBytes);
}

void check_code(const Translation& t, const SideTables& tables, const BlockOutline& outline, Workshop& workshop) {
    const std::span sites = tables.fault_sites.span();
    require(t.code_bytes <= BlockEmitter::kMaxPartBytes && outline.stub_bytes <= BlockEmitter::kMaxPartBytes);
    for (const std::uint16_t entry :
         {t.entries.home, t.entries.home_without_poll, t.entries.flags, t.entries.flags_without_poll})
        require(entry < t.code_bytes);
    require(t.first_fault_site == 0 && t.fault_site_count == sites.size());
    for (std::size_t n = 0; n < sites.size(); ++n) {
        require(sites[n].at < t.code_bytes);
        require(n == 0 || sites[n - 1].at < sites[n].at);
    }
    const std::uint8_t* writable = workshop.code.writable_alias(t.code);
    for (const Link& link : tables.links.span()) {
        const bool from_block = link.site > writable && link.site + 4 <= writable + t.code_bytes;
        const std::uint8_t* stubs = writable + outline.stubs;
        require(from_block || (link.site > stubs && link.site + 4 <= stubs + outline.stub_bytes));
        require(link.target < kPageSize && link.page == t.page);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Workshop workshop;
    static const auto block = std::make_unique<GuestBlock>();
    if (size < 3 || size > 1024) return 0;

    const bool supervisor = (data[0] & 1) != 0, grouped = (data[0] & 2) != 0, at_the_end = (data[0] & 4) != 0;
    const std::span<const std::uint8_t> code(data + 1, size - 1);
    // In the middle of a page, or so that its last bytes lie on the next.
    const std::size_t start = at_the_end ? kPageSize - 1 - data[0] / 8 % code.size() : 0x100;
    std::array<std::uint8_t, 2 * kPageSize> bytes{};
    std::ranges::copy(code, bytes.begin() + static_cast<std::ptrdiff_t>(start));

    Translation t;
    t.page = 5;
    t.offset = static_cast<std::uint16_t>(start);
    t.mode = supervisor ? BlockMode::kSupervisor : BlockMode::kUser;
    t.grouped = grouped;
    const std::span page(bytes.data(), kPageSize);
    if (decode_guest_block(page, t.offset, supervisor, grouped, *block) == DecodeResult::kNeedsNextPage) {
        t.second_page = 6;
        require(decode_guest_block(bytes, t.offset, supervisor, grouped, *block) == DecodeResult::kDone);
    }
    check_block(*block, t.offset);

    if (workshop.code.free_space().size() < BlockEmitter::kMaxBytes) {
        workshop.code.clear();
        workshop.code.commit(workshop.first_byte - workshop.code.used_bytes()); // the thunks stay
        workshop.emitter.emplace(workshop.code, workshop.offsets, workshop.thunks);
    }
    workshop.tables.clear();
    workshop.emitter->emit(*block, t, workshop.tables);
    check_code(t, workshop.tables, workshop.emitter->outline(), workshop);
    return 0;
}
