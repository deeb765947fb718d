#include "instructions/guest_tables.hpp"

#include <cstring>
#include <span>

#include "instructions/vector_state.hpp"
#include "spec/x86/control_registers.hpp"
#include "spec/x86/msr.hpp"

namespace touka::tests::instructions {
namespace {

using cpu::SegmentName;
using cpu::SegmentState;
using spec::GuestAddress;

// Guest-physical places.
constexpr std::uint64_t kPml4 = 0x1000, kUserPdpt = 0x2000, kUserPd = 0x3000, kUserPt = 0x4000, kSystemPdpt = 0x5000,
                        kSystemPd = 0x6000, kGdt = 0x8000, kIdt = kIdtPhysical, kTss = 0xA000, kRing0StackEnd = 0xE000,
                        kStubs = 0x1'0000;
constexpr std::uint64_t kStubBytes = 16;
constexpr std::uint16_t kKernelCodeSelector = 0x10, kTssSelector = kTaskStateSelector;
constexpr std::uint64_t kPresent = 1, kWrite = 2, kUser = 4, kLarge = 0x80, kNoExecute = std::uint64_t{1} << 63;
constexpr std::uint16_t kUserCode64Attributes = 0xA0FB, kUserCode32Attributes = 0xC0FB, kUserDataAttributes = 0xC0F3;

void put64(memory::GuestMemory& memory, std::uint64_t address, std::uint64_t value) {
    std::memcpy(memory.span(GuestAddress{address}, 8).data(), &value, 8);
}

void write_page_tables(memory::GuestMemory& memory) {
    put64(memory, kPml4, kUserPdpt | kPresent | kWrite | kUser);
    put64(memory, kUserPdpt, kUserPd | kPresent | kWrite | kUser);
    put64(memory, kUserPd + (kCodePage >> 21) * 8, kUserPt | kPresent | kWrite | kUser);
    for (std::size_t n = 0; n < kPages.size(); ++n) {
        const std::uint64_t rights = (kPages[n].writable ? kWrite : 0) | (kPages[n].executable ? 0 : kNoExecute);
        const std::uint64_t index = (kPages[n].linear >> 12) & 511;
        put64(memory, kUserPt + index * 8, (kTestPagesPhysical + n * kPageBytes) | kPresent | kUser | rights);
    }
    put64(memory, kPml4 + 256 * 8, kSystemPdpt | kPresent | kWrite);
    put64(memory, kSystemPdpt, kSystemPd | kPresent | kWrite);
    put64(memory, kSystemPd, kPresent | kWrite | kLarge);
}

void write_descriptors(memory::GuestMemory& memory) {
    put64(memory, kGdt + kKernelCodeSelector, 0x00AF'9B00'0000'FFFF);
    put64(memory, kGdt + 0x18, 0x00CF'9300'0000'FFFF);
    put64(memory, kGdt + (kUserCode32Selector & ~7u), 0x00CF'FB00'0000'FFFF);
    put64(memory, kGdt + (kUserDataSelector & ~7u), 0x00CF'F300'0000'FFFF);
    put64(memory, kGdt + (kUserCode64Selector & ~7u), 0x00AF'FB00'0000'FFFF);
    put64(memory, kGdt + (kAbsentSelector & ~7u), 0x00CF'7300'0000'FFFF);
    constexpr std::uint64_t kTssLinear = kSystemLinear + kTss;
    put64(memory, kGdt + kTssSelector,
          0x0000'8B00'0000'0067 | (kTssLinear & 0xFF'FFFF) << 16 | (kTssLinear >> 24 & 0xFF) << 56);
    put64(memory, kGdt + kTssSelector + 8, kTssLinear >> 32);
    put64(memory, kTss + 0x24, kSystemLinear + kRing0StackEnd); // IST1
    put64(memory, kTss + 4, kSystemLinear + kRing0StackEnd);    // RSP0
    constexpr std::uint16_t kNoPorts = 0x68;                    // the I/O permission map begins behind the limit
    std::memcpy(memory.span(GuestAddress{kTss + 0x66}, 2).data(), &kNoPorts, 2);
    for (std::uint64_t vector = 0; vector < 256; ++vector) {
        const std::uint64_t stub = kStubs + vector * kStubBytes, linear = kSystemLinear + stub;
        const bool from_user = vector == 3 || vector == 4; // INT3, INTO
        const std::uint64_t type = from_user ? 0xEE00 : 0x8E00;
        put64(memory, kIdt + vector * 16,
              (linear & 0xFFFF) | std::uint64_t{kKernelCodeSelector} << 16 | type << 32 |
                  (linear >> 16 & 0xFFFF) << 48);
        put64(memory, kIdt + vector * 16 + 8, linear >> 32);
        put64(memory, stub, 0xFDEB'F400'E6 | vector << 8); // out vector, al; hlt; jmp to hlt
    }
}

SegmentState segment(std::uint16_t selector, std::uint16_t attributes) {
    return {.selector = selector, .attributes = attributes, .unusable = false, .limit = 0xFFFF'FFFF, .base = 0};
}

std::vector<std::uint8_t> xsave_image(const Registers& r) {
    std::vector<std::uint8_t> image(vector_area_bytes());
    put_vectors(r, std::as_writable_bytes(std::span(image)));
    return image;
}

} // namespace

void write_guest_tables(memory::GuestMemory& memory) {
    write_page_tables(memory);
    write_descriptors(memory);
}

cpu::CpuState initial_state(const Case& test) {
    namespace x86 = spec::x86;
    cpu::CpuState s;
    s.gpr = test.before.gpr;
    s.rip = test.before.rip;
    s.rflags = test.before.rflags;
    for (auto name : {SegmentName::kEs, SegmentName::kDs}) {
        s.seg(name) = segment(kUserDataSelector, kUserDataAttributes); // as the host's
    }
    for (auto name : {SegmentName::kFs, SegmentName::kGs}) s.seg(name) = SegmentState{.unusable = true};
    s.seg(SegmentName::kCs) = test.compat ? segment(kUserCode32Selector, kUserCode32Attributes)
                                          : segment(kUserCode64Selector, kUserCode64Attributes);
    s.seg(SegmentName::kSs) = segment(kUserDataSelector, kUserDataAttributes);
    s.tr = {
        .selector = kTssSelector, .attributes = 0x8B, .unusable = false, .limit = 0x67, .base = kSystemLinear + kTss};
    s.ldtr = {.unusable = true};
    s.gdtr = {.limit = 0x4F, .base = kSystemLinear + kGdt};
    s.idtr = {.limit = 0xFFF, .base = kSystemLinear + kIdt};
    s.cr0 = x86::cr0::PE | x86::cr0::MP | x86::cr0::ET | x86::cr0::NE | x86::cr0::WP | x86::cr0::AM | x86::cr0::PG;
    s.cr3 = kPml4;
    s.cr4 = x86::cr4::PAE | x86::cr4::OSFXSR | x86::cr4::OSXMMEXCPT | x86::cr4::OSXSAVE | x86::cr4::PGE;
    s.dr[6] = 0xFFFF'0FF0;
    s.dr[7] = 0x400;
    s.xcr0 = vector_components();
    s.xsave = xsave_image(test.before);
    s.msrs = {{x86::msr::kEfer, x86::efer::SCE | x86::efer::LME | x86::efer::LMA | x86::efer::NXE}};
    return s;
}

} // namespace touka::tests::instructions
