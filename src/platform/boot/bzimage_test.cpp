#include "platform/boot/bzimage.hpp"

#include <gtest/gtest.h>

#include "platform/boot/boot_layout.hpp"
#include "platform/boot/test_images.hpp"
#include "spec/x86/control_registers.hpp"

namespace touka::platform::boot {
namespace {

using spec::boot::BootParams;
using spec::boot::SetupHeader;

constexpr std::uint64_t kMiB = 1024 * 1024;

class BzImage : public testing::Test {
protected:
    std::expected<LoadedKernel, BootError> load(const ImageBytes& kernel, const Image* initrd = nullptr) {
        return load_kernel(*memory_, layout_, MemoryImage(kernel, "vmlinuz"), initrd, parameters_);
    }
    /// Loads a valid image whose header was changed.
    template <class Change>
    BootErrorKind failure_of(Change change) {
        auto header = make_test_header();
        change(header);
        const auto loaded = load(make_test_bzimage(header));
        EXPECT_FALSE(loaded.has_value());
        return loaded ? BootErrorKind{} : loaded.error().kind;
    }
    BootParams zero_page() {
        BootParams page{};
        std::memcpy(&page, memory_->base() + kZeroPageAddress.value, sizeof page);
        return page;
    }

    std::unique_ptr<memory::GuestMemory> memory_ = memory::GuestMemory::create(64 * kMiB).value();
    PlatformLayout layout_;
    BootParameters parameters_{.command_line = "console=ttyS0", .rsdp = GuestAddress{0xE'0000}, .random_seed = {}};
};

TEST_F(BzImage, LoadsTheCodeWhereItWantsToBe) {
    const auto image = make_test_bzimage();
    const auto loaded = load(image).value();
    EXPECT_EQ(loaded.format, KernelFormat::kBzImage);
    EXPECT_EQ(loaded.kernel, (AddressWindow{GuestAddress{0x100'0000}, 0x10'0000}));
    EXPECT_EQ(loaded.version, "6.1.0-test #1");
    EXPECT_EQ(std::memcmp(memory_->base() + 0x100'0000, image.data() + kTestCodeOffset, kTestCodeBytes), 0);
}

TEST_F(BzImage, EntersIn64BitModeAsTheBootProtocolSays) {
    auto state = load(make_test_bzimage())->entry;
    using namespace spec::x86;
    EXPECT_EQ(state.rip, 0x100'0200u);
    EXPECT_EQ(state.reg(cpu::Gpr::kRsi), kZeroPageAddress.value);
    EXPECT_EQ(state.rflags & rflags::IF, 0u);
    EXPECT_EQ(state.cr0 & (cr0::PE | cr0::PG), cr0::PE | cr0::PG);
    EXPECT_EQ(state.cr4, cr4::PAE);
    EXPECT_EQ(state.msrs.back(), (cpu::MsrValue{0xC000'0080, efer::LME | efer::LMA}));
    EXPECT_EQ(state.seg(cpu::SegmentName::kCs).selector, 0x10);
    EXPECT_EQ(state.seg(cpu::SegmentName::kDs).selector, 0x18);
    EXPECT_EQ(state.seg(cpu::SegmentName::kSs).selector, 0x18);
    const auto* gdt = memory_->base() + state.gdtr.base;
    std::uint64_t code = 0, data = 0;
    std::memcpy(&code, gdt + 0x10, 8);
    std::memcpy(&data, gdt + 0x18, 8);
    EXPECT_EQ(code, 0x00AF'9B00'0000'FFFFu);
    EXPECT_EQ(data, 0x00CF'9300'0000'FFFFu);
}

TEST_F(BzImage, MapsTheFirstFourGibibytesToThemselves) {
    const auto state = load(make_test_bzimage())->entry;
    const auto entry = [&](std::uint64_t table, std::uint64_t index) {
        std::uint64_t value = 0;
        std::memcpy(&value, memory_->base() + (table & ~0xFFFull) + index * 8, 8);
        return value;
    };
    for (const std::uint64_t address : {0x0ull, 0x100'0000ull, 0x7FE0'0000ull, 0xFFE0'0000ull}) {
        const auto pdpt = entry(state.cr3, 0), directory = entry(pdpt, address >> 30);
        EXPECT_EQ(entry(directory, address >> 21 & 511), address | 0x83);
    }
    EXPECT_EQ(entry(state.cr3, 1), 0u);
    EXPECT_EQ(entry(entry(state.cr3, 0), 4), 0u);
}

TEST_F(BzImage, HandsOverHeaderCommandLineAndRsdp) {
    ASSERT_TRUE(load(make_test_bzimage()));
    const auto page = zero_page();
    EXPECT_EQ(page.hdr.header, spec::boot::kHeaderMagic);
    EXPECT_EQ(page.hdr.type_of_loader, 0xFF);
    EXPECT_EQ(page.hdr.loadflags, spec::boot::loadflags::LOADED_HIGH);
    EXPECT_EQ(page.hdr.code32_start, 0x100'0000u);
    EXPECT_EQ(page.hdr.init_size, 0x10'0000u);
    EXPECT_EQ(page.acpi_rsdp_addr, 0xE'0000u);
    EXPECT_STREQ(reinterpret_cast<const char*>(memory_->base() + page.hdr.cmd_line_ptr), "console=ttyS0");
    EXPECT_EQ(page.hdr.ramdisk_size, 0u);
    EXPECT_EQ(page.hdr.setup_data, 0u);
}

TEST_F(BzImage, KeepsTablesAndEcamOutOfTheRamThatItReports) {
    ASSERT_TRUE(load(make_test_bzimage()));
    const auto page = zero_page();
    ASSERT_EQ(page.e820_entries, 5);
    const auto is = [&](std::size_t i, std::uint64_t addr, std::uint64_t size, spec::boot::E820Type type) {
        const auto entry = page.e820_table[i];
        return entry.addr == addr && entry.size == size && entry.type == type;
    };
    EXPECT_TRUE(is(0, 0, 0xA'0000, spec::boot::E820Type::kRam));
    EXPECT_TRUE(is(1, 0xE'0000, 0x1'0000, spec::boot::E820Type::kReserved));
    EXPECT_TRUE(is(2, 0xF'0000, 0x1'0000, spec::boot::E820Type::kReserved));
    EXPECT_TRUE(is(3, 0x10'0000, 63 * kMiB, spec::boot::E820Type::kRam));
    EXPECT_TRUE(is(4, 0xB000'0000, 0x400'0000, spec::boot::E820Type::kReserved));
}

TEST_F(BzImage, GivesTheRandomSeedAsSetupData) {
    parameters_.random_seed.emplace();
    parameters_.random_seed->fill(std::byte{0x5A});
    ASSERT_TRUE(load(make_test_bzimage()));
    spec::boot::SetupDataHeader header{};
    const auto* data = memory_->base() + zero_page().hdr.setup_data;
    std::memcpy(&header, data, sizeof header);
    EXPECT_EQ(header.next, 0u);
    EXPECT_EQ(header.type, 9u);
    EXPECT_EQ(header.len, 32u);
    EXPECT_EQ(data[sizeof header + 31], std::byte{0x5A});
}

TEST_F(BzImage, PutsTheInitrdAtTheTopOfRam) {
    const ImageBytes bytes(5000, std::byte{0x77});
    const MemoryImage initrd(bytes);
    const auto loaded = load(make_test_bzimage(), &initrd).value();
    EXPECT_EQ(loaded.initrd, (AddressWindow{GuestAddress{64 * kMiB - 8192}, 5000}));
    EXPECT_EQ(memory_->base()[loaded.initrd.last().value], std::byte{0x77});
    EXPECT_EQ(zero_page().hdr.ramdisk_image, 64 * kMiB - 8192);
    EXPECT_EQ(zero_page().hdr.ramdisk_size, 5000u);
}

TEST_F(BzImage, PutsTheInitrdBelowTheHighestAddressThatTheKernelAllows) {
    const ImageBytes bytes(4096);
    const MemoryImage initrd(bytes);
    auto header = make_test_header();
    header.initrd_addr_max = 0x1FF'FFFF;
    EXPECT_EQ(load(make_test_bzimage(header), &initrd)->initrd.start, GuestAddress{0x1FF'F000});
}

TEST_F(BzImage, SaysHowMuchMemoryAnInitrdNeedsBesideTheKernel) {
    const ImageBytes bytes(48 * kMiB);
    const MemoryImage initrd(bytes, "initrd.img");
    const auto error = load(make_test_bzimage(), &initrd).error();
    EXPECT_EQ(error.kind, BootErrorKind::kInitrdDoesNotFit);
    EXPECT_EQ(error.needed_bytes, (17 + 48) * kMiB);
    EXPECT_EQ(describe(error), "initrd.img: the initial RAM disk does not fit: at least 65 MiB of memory are needed "
                               "beside the kernel, the machine has 64 MiB");
}

TEST_F(BzImage, RefusesAnInitrdThatNoAmountOfMemoryWouldFit) {
    const ImageBytes bytes(kMiB);
    const MemoryImage initrd(bytes);
    auto header = make_test_header();
    header.initrd_addr_max = 0x117'FFFF; // half a MiB beyond the kernel
    const auto error = load(make_test_bzimage(header), &initrd).error();
    EXPECT_EQ(error.kind, BootErrorKind::kInitrdDoesNotFit);
    EXPECT_EQ(error.needed_bytes, 0u);
}

TEST_F(BzImage, SaysHowMuchMemoryTheKernelNeeds) {
    auto header = make_test_header();
    header.init_size = 0x400'0000;
    const auto error = load(make_test_bzimage(header)).error();
    EXPECT_EQ(error.kind, BootErrorKind::kTooLittleMemory);
    EXPECT_EQ(describe(error), "vmlinuz: too little memory: the kernel needs 80 MiB to start, the machine has 64 MiB");
}

TEST_F(BzImage, RefusesACommandLineThatTheKernelWouldCut) {
    parameters_.command_line.assign(2047, 'a');
    EXPECT_TRUE(load(make_test_bzimage()));
    parameters_.command_line.push_back('a');
    const auto error = load(make_test_bzimage()).error();
    EXPECT_EQ(error.kind, BootErrorKind::kCommandLineTooLong);
    EXPECT_EQ(describe(error), "the kernel command line is 2048 bytes long, the kernel takes 2047");
}

TEST_F(BzImage, TellsWhatIsWrongWithAKernelThatItCannotStart) {
    EXPECT_EQ(failure_of([](SetupHeader& h) { h.boot_flag = 0; }), BootErrorKind::kNotAKernel);
    EXPECT_EQ(failure_of([](SetupHeader& h) { h.header = 0; }), BootErrorKind::kNotAKernel);
    EXPECT_EQ(failure_of([](SetupHeader& h) { h.version = 0x20B; }), BootErrorKind::kNot64Bit);
    EXPECT_EQ(failure_of([](SetupHeader& h) { h.xloadflags = 0; }), BootErrorKind::kNot64Bit);
    EXPECT_EQ(failure_of([](SetupHeader& h) { h.loadflags = 0; }), BootErrorKind::kNot64Bit);
    EXPECT_EQ(failure_of([](SetupHeader& h) { h.syssize = 0; }), BootErrorKind::kDamaged);
    EXPECT_EQ(failure_of([](SetupHeader& h) { h.syssize += 1; }), BootErrorKind::kTruncated);
    EXPECT_EQ(failure_of([](SetupHeader& h) { h.syssize = 0xFFFF'FFFF; }), BootErrorKind::kTruncated);
    EXPECT_EQ(failure_of([](SetupHeader& h) { h.setup_sects = 64; }), BootErrorKind::kTruncated);
    EXPECT_EQ(failure_of([](SetupHeader& h) { h.payload_length = 0xFFFF'FFFF; }), BootErrorKind::kDamaged);
    EXPECT_EQ(failure_of([](SetupHeader& h) { h.pref_address = 0x1000; }), BootErrorKind::kDamaged);
    EXPECT_EQ(failure_of([](SetupHeader& h) { h.pref_address = ~0ull; }), BootErrorKind::kDamaged);
    EXPECT_EQ(failure_of([](SetupHeader& h) { h.init_size = 0xFFFF'FFFF; }), BootErrorKind::kDamaged);
    EXPECT_EQ(failure_of([](SetupHeader& h) { h.jump_offset = 8; }), BootErrorKind::kDamaged);
}

TEST_F(BzImage, SurvivesBeingCutAnywhere) {
    const auto image = make_test_bzimage();
    for (std::size_t length = 0; length < image.size(); length += 7) {
        const auto loaded = load(ImageBytes(image.begin(), image.begin() + static_cast<std::ptrdiff_t>(length)));
        // Up to 15 bytes of padding may be missing.
        EXPECT_EQ(loaded.has_value(), length + 15 >= image.size()) << length;
    }
}

TEST_F(BzImage, TellsACompressedFileFromAKernel) {
    ImageBytes gzip(1024);
    put(gzip, 0, std::uint16_t{0x8B1F});
    EXPECT_EQ(load(gzip).error().kind, BootErrorKind::kCompressedKernel);
}

TEST_F(BzImage, NeedsMoreThanConventionalMemory) {
    memory_ = memory::GuestMemory::create(kMiB).value();
    EXPECT_EQ(load(make_test_bzimage()).error().kind, BootErrorKind::kTooLittleMemory);
}

TEST_F(BzImage, ReportsRamAboveFourGibibytes) {
    memory_ = memory::GuestMemory::create(memory::GuestMemory::kLowRamLimit + 32 * kMiB).value();
    ASSERT_TRUE(load(make_test_bzimage()));
    const auto page = zero_page();
    const auto last = page.e820_table[static_cast<std::size_t>(page.e820_entries - 1)];
    EXPECT_EQ(last.addr, 0x1'0000'0000u);
    EXPECT_EQ(last.size, 32 * kMiB);
}

TEST(FileImage, SaysWhyAFileCannotBeLoaded) {
    EXPECT_EQ(FileImage::open("/nowhere/vmlinuz").error().kind, BootErrorKind::kNoSuchFile);
    EXPECT_EQ(FileImage::open("/tmp").error().kind, BootErrorKind::kNotRegularFile);
    EXPECT_EQ(FileImage::open("/dev/null").error().kind, BootErrorKind::kNotRegularFile);
    EXPECT_EQ(describe(FileImage::open("/nowhere/vmlinuz").error()), "/nowhere/vmlinuz: no such file");
}

} // namespace
} // namespace touka::platform::boot
