#include "devices/passthrough/rom_image.hpp"

#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "devices/passthrough/passthrough_fixture.hpp"

namespace touka::devices::passthrough {
namespace {

using test::TestTransport;

constexpr std::uint32_t kRom = spec::pci::kExpansionRomOffset;

std::vector<std::byte> pattern(std::size_t bytes) {
    std::vector<std::byte> image(bytes);
    for (std::size_t i = 0; i < bytes; ++i) image[i] = static_cast<std::byte>(i * 7 + i / 256);
    return image;
}

TEST(RomImage, IsTheDevicesReadWhileItDecodesItsMemory) {
    TestTransport transport;
    EXPECT_TRUE(read_device_rom(transport).value().empty()) << "it has none";
    transport.rom = pattern(100'000);
    EXPECT_EQ(read_device_rom(transport).value(), transport.rom);
    EXPECT_EQ(transport.config[4], 0) << "as before";
}

TEST(RomImage, ThatCannotBeReadIsAnErrorAndLeavesTheDeviceAsItWas) {
    TestTransport transport;
    transport.rom = pattern(4096);
    transport.refuses_rom = true;
    EXPECT_FALSE(read_device_rom(transport));
    EXPECT_EQ(transport.config[4], 0);
    transport.refuses_rom = false;
    transport.rom.resize((std::size_t{16} << 20) + 1);
    EXPECT_FALSE(read_device_rom(transport)) << "no function has so much";
}

TEST(RomImage, IsAFilesOfOneByteToSixteenMebibytes) {
    std::string folder = (std::filesystem::temp_directory_path() / "touka-rom-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    const std::string path = folder + "/a.rom";
    EXPECT_FALSE(read_rom_file(path));
    const auto image = pattern(3000);
    std::ofstream(path).write(reinterpret_cast<const char*>(image.data()), 3000);
    EXPECT_EQ(read_rom_file(path).value(), image);
    std::filesystem::resize_file(path, 0);
    EXPECT_FALSE(read_rom_file(path));
    std::filesystem::resize_file(path, (16 << 20) + 1);
    EXPECT_FALSE(read_rom_file(path));
    EXPECT_FALSE(read_rom_file(folder));
    std::filesystem::remove_all(folder);
}

class PassthroughRom : public test::PassthroughTest {
protected:
    void SetUp() override {
        rom_ = pattern(5000);
        PassthroughTest::SetUp();
    }
};

TEST_F(PassthroughRom, IsDecodedWhileItAndMemorySpaceAreEnabled) {
    const std::uint64_t at = read(kRom, 4);
    ASSERT_NE(at, 0u);
    EXPECT_EQ(at % 8192, 0u);
    EXPECT_EQ(memory_.read(at, 4), 0xFFFF'FFFFu);
    write(kRom, 4, static_cast<std::uint32_t>(at) | 1);
    EXPECT_EQ(read(kRom, 4), at | 1);
    std::uint32_t wanted = 0;
    std::memcpy(&wanted, rom_.data() + 0x104, 4);
    EXPECT_EQ(memory_.read(at + 0x104, 4), wanted);
    memory_.write(at + 0x104, 4, 0); // is read only
    EXPECT_EQ(memory_.read(at + 0x104, 4), wanted);
    EXPECT_EQ(memory_.read(at + 5000, 4), 0xFFFF'FFFFu) << "behind the image";
    EXPECT_EQ(memory_.read(at + 4998, 4) >> 16, 0xFFFFu);
    write(4, 2, 0);
    EXPECT_EQ(memory_.read(at, 4), 0xFFFF'FFFFu);
    EXPECT_TRUE(std::ranges::none_of(transport_.written_config, [](std::uint32_t byte) {
        return byte >= kRom && byte < kRom + 4;
    })) << "the device's own address is its bus'";
}

TEST_F(PassthroughRom, TellsItsSize) {
    write(kRom, 4, 0xFFFF'F800);
    EXPECT_EQ(read(kRom, 4), 0xFFFF'E000u) << "8 KiB";
    rom_.clear();
    start();
    write(kRom, 4, 0xFFFF'FFFF);
    EXPECT_EQ(read(kRom, 4), 0u);
}

} // namespace
} // namespace touka::devices::passthrough
