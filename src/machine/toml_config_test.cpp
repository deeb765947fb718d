#include "machine/toml_config.hpp"

#include <gtest/gtest.h>

namespace touka::machine {
namespace {

std::string failure(std::string_view text) {
    const auto config = parse_toml(text, "vm.toml");
    return config ? "no error" : describe(config.error());
}

TEST(TomlConfig, ReadsEveryKey) {
    const auto config = parse_toml(R"(
name = "db1"
engine = "kvm"
memory = "1.5G"
cpus = 4
kernel = "/boot/vmlinuz"
initrd = "initrd.img"
append = "console=ttyS0"
shutdown-grace = 5
iommu = true

[[device]]
type = "disk"
path = "root.raw"
read-only = true
direct = true
serial = "ROOT"

[[device]]
type = "nvme"
path = "fast.raw"
vfs = 4
ats = false

[[device]]
type = "vfio-user"
socket = "/run/pf.sock"
rom = "card.rom"
ats = true

[[device]]
type = "vfio"
address = "03:00.1"
rom = "off"
iommufd = false

[[device]]
type = "net"
forward = ["tcp:127.0.0.1:2222-:22"]
restricted = true
mac = "52:54:00:12:34:56"

[[device]]
type = "net"
backend = "tap"
interface = "tap0"

[[device]]
type = "rng"
enabled = false

[[device]]
type = "balloon"

[[device]]
type = "console"
)",
                                   "/vms/vm.toml")
                            .value();
    EXPECT_EQ(config.name, "db1");
    EXPECT_EQ(config.engine, EngineChoice::kKvm);
    EXPECT_EQ(config.memory_bytes, 1536ull << 20);
    EXPECT_EQ(config.cpu_count, 4u);
    EXPECT_EQ(config.kernel, "/boot/vmlinuz");
    EXPECT_EQ(config.initrd, "/vms/initrd.img");
    EXPECT_EQ(config.command_line, "console=ttyS0");
    EXPECT_EQ(config.shutdown_grace_s, 5u);
    ASSERT_EQ(config.disks.size(), 1u);
    EXPECT_EQ(config.disks[0].path, "/vms/root.raw");
    EXPECT_TRUE(config.disks[0].read_only);
    EXPECT_TRUE(config.disks[0].direct);
    EXPECT_EQ(config.disks[0].serial, "ROOT");
    ASSERT_EQ(config.networks.size(), 2u);
    const auto& user = std::get<UserNetwork>(config.networks[0].backend);
    EXPECT_EQ(user.forwards, std::vector<std::string>{"tcp:127.0.0.1:2222-:22"});
    EXPECT_TRUE(user.restricted);
    EXPECT_EQ(config.networks[0].mac, "52:54:00:12:34:56");
    EXPECT_EQ(std::get<TapNetwork>(config.networks[1].backend).interface, "tap0");
    EXPECT_FALSE(config.entropy);
    EXPECT_TRUE(config.balloon);
    EXPECT_TRUE(config.virtio_console);
    ASSERT_EQ(config.cards.size(), 3u);
    EXPECT_EQ(std::get<NvmeDevice>(config.cards[0]).virtual_functions, 4u);
    EXPECT_FALSE(std::get<NvmeDevice>(config.cards[0]).address_translation);
    EXPECT_EQ(std::get<VfioUserDevice>(config.cards[1]).socket, "/run/pf.sock");
    EXPECT_TRUE(std::get<VfioUserDevice>(config.cards[1]).address_translation);
    EXPECT_EQ(std::get<VfioDevice>(config.cards[2]).address, "0000:03:00.1");
    EXPECT_TRUE(std::get<VfioUserDevice>(config.cards[1]).rom.ends_with("card.rom"));
    EXPECT_EQ(std::get<VfioDevice>(config.cards[2]).rom, kNoRom);
    EXPECT_EQ(std::get<VfioDevice>(config.cards[2]).iommufd, false);
    EXPECT_TRUE(config.iommu);
}

TEST(TomlConfig, ReadsTheControlSocketAndFreeSlots) {
    const auto config = parse_toml("control = \"run/db1.sock\"\nslots = 2\n", "/vms/vm.toml").value();
    EXPECT_EQ(config.control_socket, "/vms/run/db1.sock");
    EXPECT_EQ(config.free_slots, 2u);
    EXPECT_FALSE(parse_toml("slots = 13\n", "vm.toml").has_value());
    EXPECT_FALSE(parse_toml("", "vm.toml").value().free_slots.has_value());
}

TEST(TomlConfig, KeepsTheDefaultsOfWhatIsNotSaid) {
    const auto config = parse_toml("", "vm.toml").value();
    EXPECT_EQ(config.name, MachineConfig{}.name);
    EXPECT_EQ(config.memory_bytes, MachineConfig{}.memory_bytes);
    EXPECT_TRUE(config.entropy);
}

TEST(TomlConfig, PointsAtBrokenSyntax) {
    const auto error = parse_toml("name = \"x\"\ncpus = = 2\n", "vm.toml").error();
    EXPECT_EQ(error.file, "vm.toml");
    EXPECT_EQ(error.line, 2u);
    EXPECT_EQ(error.column, 8u);
    EXPECT_FALSE(error.text.empty());
}

TEST(TomlConfig, SuggestsTheKeyThatWasMeant) {
    EXPECT_EQ(failure("name = \"x\"\nmemroy = \"1G\"\n"),
              "vm.toml:2:1: unknown key \"memroy\" (did you mean \"memory\"?)");
    EXPECT_EQ(failure("[[device]]\ntype = \"disk\"\npath = \"x\"\nreadonly = true\n"),
              "vm.toml:4:1: unknown key \"readonly\" of a disk device (did you mean \"read-only\"?)");
    EXPECT_EQ(failure("[[device]]\ntype = \"rng\"\nxxxxxx = 1\n"),
              "vm.toml:3:1: unknown key \"xxxxxx\" of a rng device (known are type, enabled)");
}

TEST(TomlConfig, NamesTheTypeThatAValueMustHave) {
    EXPECT_EQ(failure("cpus = \"2\""), "vm.toml:1:8: cpus must be a whole number, not text (write cpus = 1)");
    EXPECT_EQ(failure("memory = 1024"), "vm.toml:1:10: memory must be text, not a number (write memory = \"...\")");
    EXPECT_EQ(failure("device = 1"),
              "vm.toml:1:10: device must be an array of tables, not a number (write [[device]])");
    EXPECT_EQ(failure("[device]\ntype = \"disk\""),
              "vm.toml:1:1: device must be an array of tables, not a table (write [[device]])");
    EXPECT_EQ(failure("[[device]]\ntype = \"net\"\nforward = [1]"),
              "vm.toml:3:12: forward must be a list of texts, not a number (write forward = [\"...\"])");
}

TEST(TomlConfig, RefusesImpossibleValuesWhereTheyStand) {
    EXPECT_EQ(failure("cpus = 0"), "vm.toml:1:8: cpus: 0 is not in 1 to 255");
    EXPECT_EQ(failure("cpus = -9223372036854775808"), "vm.toml:1:8: cpus: -9223372036854775808 is not in 1 to 255");
    EXPECT_EQ(failure("memory = \"lots\""),
              "vm.toml:1:10: memory: \"lots\" is not a size: write a size like 512M, 2G or 1.5G");
    EXPECT_EQ(failure("engine = \"warp\""),
              "vm.toml:1:10: engine: \"warp\" is not an engine: auto, kvm, translator or interpreter");
    EXPECT_EQ(failure("[[device]]\ntype = \"net\"\nmac = \"1\""),
              "vm.toml:3:7: mac: \"1\" is not a MAC address like 52:54:00:12:34:56");
}

TEST(TomlConfig, WantsATypeThatItKnowsForEveryDevice) {
    EXPECT_EQ(failure("[[device]]\npath = \"x\"\n"),
              "vm.toml:1:1: a device without a type (write type = \"disk\", \"scsi\", \"net\", \"rng\", ...)");
    EXPECT_EQ(failure("[[device]]\ntype = \"dsk\"\n"),
              "vm.toml:2:8: unknown type of device \"dsk\" (did you mean \"disk\"?)");
    EXPECT_EQ(failure("[[device]]\ntype = \"disk\"\n"), "vm.toml:1:1: disk device: \"path\" is missing");
}

TEST(TomlConfig, SaysThatAFileIsNotThere) {
    EXPECT_EQ(describe(load_toml("/nowhere/vm.toml").error()), "/nowhere/vm.toml: no such file");
    EXPECT_EQ(describe(load_toml("/tmp").error()), "/tmp: cannot be read: Is a directory");
}

} // namespace
} // namespace touka::machine
