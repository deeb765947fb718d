#include "platform/boot/elf_kernel.hpp"

#include <gtest/gtest.h>

#include "platform/boot/boot_layout.hpp"
#include "platform/boot/test_images.hpp"
#include "spec/x86/control_registers.hpp"

namespace touka::platform::boot {
namespace {

using namespace spec::boot;

class ElfKernel : public testing::Test {
protected:
    std::expected<LoadedKernel, BootError> load(const ImageBytes& kernel, const Image* initrd = nullptr) {
        return load_kernel(*memory_, layout_, MemoryImage(kernel, "vmlinux"), initrd, parameters_);
    }
    template <class Change>
    BootErrorKind failure_of_header(Change change) {
        auto image = make_test_elf();
        Elf64Ehdr header{};
        std::memcpy(&header, image.data(), sizeof header);
        change(header);
        put(image, 0, header);
        return load(image).error().kind;
    }
    template <class Change>
    BootErrorKind failure_of_segment(Change change) {
        auto image = make_test_elf();
        Elf64Phdr header{};
        std::memcpy(&header, image.data() + kTestElfProgramHeaders, sizeof header);
        change(header);
        put(image, kTestElfProgramHeaders, header);
        return load(image).error().kind;
    }
    template <class T>
    T read(std::uint64_t address) {
        T value{};
        std::memcpy(&value, memory_->base() + address, sizeof value);
        return value;
    }

    std::unique_ptr<memory::GuestMemory> memory_ = memory::GuestMemory::create(32 << 20).value();
    PlatformLayout layout_;
    BootParameters parameters_{.command_line = "quiet", .rsdp = GuestAddress{0xE'0000}, .random_seed = {}};
};

TEST_F(ElfKernel, LoadsSegmentsAtPhysicalAddressesAndClearsTheRest) {
    std::memset(memory_->base() + kTestElfAddress, 0xEE, kTestElfMemoryBytes);
    const auto loaded = load(make_test_elf()).value();
    EXPECT_EQ(loaded.kernel, (AddressWindow{GuestAddress{kTestElfAddress}, kTestElfMemoryBytes}));
    EXPECT_EQ(read<std::uint8_t>(kTestElfAddress + kTestElfFileBytes - 1), 0xF4);
    EXPECT_EQ(read<std::uint8_t>(kTestElfAddress + kTestElfFileBytes), 0);
    EXPECT_EQ(read<std::uint8_t>(kTestElfAddress + kTestElfMemoryBytes - 1), 0);
}

TEST_F(ElfKernel, WithoutANoteIsEnteredIn64BitModeWithAZeroPage) {
    auto loaded = load(make_test_elf()).value();
    EXPECT_EQ(loaded.format, KernelFormat::kElf64);
    EXPECT_EQ(loaded.entry.rip, kTestElfAddress + 0x10);
    EXPECT_NE(loaded.entry.cr0 & spec::x86::cr0::PG, 0u);
    EXPECT_EQ(loaded.entry.reg(cpu::Gpr::kRsi), kZeroPageAddress.value);
    const auto page = read<BootParams>(kZeroPageAddress.value);
    EXPECT_EQ(page.hdr.boot_flag, kBootFlag);
    EXPECT_STREQ(reinterpret_cast<const char*>(memory_->base() + page.hdr.cmd_line_ptr), "quiet");
}

TEST_F(ElfKernel, WithAPvhNoteIsEnteredIn32BitModeWithAStartInfo) {
    auto loaded = load(make_test_elf(0x20'0100)).value();
    auto& entry = loaded.entry;
    EXPECT_EQ(loaded.format, KernelFormat::kElfPvh);
    EXPECT_EQ(entry.rip, 0x20'0100u);
    EXPECT_EQ(entry.cr0 & (spec::x86::cr0::PE | spec::x86::cr0::PG), spec::x86::cr0::PE);
    EXPECT_EQ(entry.cr4, 0u);
    EXPECT_EQ(entry.seg(cpu::SegmentName::kCs).attributes, 0xC09B);
    const auto info = read<HvmStartInfo>(entry.reg(cpu::Gpr::kRbx));
    EXPECT_EQ(info.magic, XEN_HVM_START_MAGIC_VALUE);
    EXPECT_EQ(info.version, 1u);
    EXPECT_EQ(info.nr_modules, 0u);
    EXPECT_EQ(info.rsdp_paddr, 0xE'0000u);
    EXPECT_EQ(info.memmap_entries, 5u);
    EXPECT_EQ(read<HvmMemmapTableEntry>(info.memmap_paddr).size, 0xA'0000u);
    EXPECT_STREQ(reinterpret_cast<const char*>(memory_->base() + info.cmdline_paddr), "quiet");
}

TEST_F(ElfKernel, GetsTheInitrdAsPvhModule) {
    const ImageBytes bytes(100, std::byte{1});
    const MemoryImage initrd(bytes);
    auto loaded = load(make_test_elf(0x20'0100), &initrd).value();
    const auto info = read<HvmStartInfo>(loaded.entry.reg(cpu::Gpr::kRbx));
    ASSERT_EQ(info.nr_modules, 1u);
    const auto module = read<HvmModlistEntry>(info.modlist_paddr);
    EXPECT_EQ(module.paddr, loaded.initrd.start.value);
    EXPECT_EQ(module.size, 100u);
}

TEST_F(ElfKernel, TellsWhatIsWrongWithAFileThatItCannotStart) {
    EXPECT_EQ(failure_of_header([](Elf64Ehdr& h) { h.e_machine = 183; }), BootErrorKind::kNotAKernel);
    EXPECT_EQ(failure_of_header([](Elf64Ehdr& h) { h.e_type = 1; }), BootErrorKind::kNotAKernel);
    EXPECT_EQ(failure_of_header([](Elf64Ehdr& h) {
                  h.e_ident[EI_CLASS] = ELFCLASS32;
                  h.e_machine = EM_386;
              }),
              BootErrorKind::kNot64Bit);
    EXPECT_EQ(failure_of_header([](Elf64Ehdr& h) { h.e_phoff = ~0ull - 8; }), BootErrorKind::kTruncated);
    EXPECT_EQ(failure_of_header([](Elf64Ehdr& h) { h.e_phnum = 65; }), BootErrorKind::kDamaged);
    EXPECT_EQ(failure_of_header([](Elf64Ehdr& h) { h.e_phentsize = 1; }), BootErrorKind::kDamaged);
    EXPECT_EQ(failure_of_header([](Elf64Ehdr& h) { h.e_entry = 0xFFFF'FFFF'8100'0000; }), BootErrorKind::kDamaged);
}

TEST_F(ElfKernel, RefusesSegmentsThatLeaveTheFileOrTheMemory) {
    EXPECT_EQ(failure_of_segment([](Elf64Phdr& h) { h.p_offset = ~0ull; }), BootErrorKind::kTruncated);
    EXPECT_EQ(failure_of_segment([](Elf64Phdr& h) { h.p_filesz = kTestElfFileBytes + 1; }), BootErrorKind::kTruncated);
    EXPECT_EQ(failure_of_segment([](Elf64Phdr& h) { h.p_memsz = 1; }), BootErrorKind::kDamaged);
    EXPECT_EQ(failure_of_segment([](Elf64Phdr& h) { h.p_memsz = ~0ull; }), BootErrorKind::kDamaged);
    EXPECT_EQ(failure_of_segment([](Elf64Phdr& h) { h.p_paddr = 0x9000; }), BootErrorKind::kDamaged);
    EXPECT_EQ(failure_of_segment([](Elf64Phdr& h) { h.p_paddr = ~0ull; }), BootErrorKind::kDamaged);
    EXPECT_EQ(failure_of_segment([](Elf64Phdr& h) { h.p_memsz = 64 << 20; }), BootErrorKind::kTooLittleMemory);
    EXPECT_EQ(failure_of_segment([](Elf64Phdr& h) { h.p_type = 0; }), BootErrorKind::kDamaged);
}

TEST_F(ElfKernel, SurvivesBeingCutAnywhere) {
    const auto image = make_test_elf(0x20'0100);
    for (std::size_t length = 4; length < image.size(); ++length) {
        EXPECT_FALSE(load(ImageBytes(image.begin(), image.begin() + static_cast<std::ptrdiff_t>(length)))) << length;
    }
}

TEST_F(ElfKernel, IgnoresANoteWhoseSizesWouldWrap) {
    auto image = make_test_elf(0x20'0100);
    put(image, kTestElfNoteOffset, ElfNhdr{0xFFFF'FFFF, 0xFFFF'FFFF, 3});
    EXPECT_EQ(load(image)->format, KernelFormat::kElf64);
}

} // namespace
} // namespace touka::platform::boot
