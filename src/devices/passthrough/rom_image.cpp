#include "devices/passthrough/rom_image.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>

#include "platform/pci/expansion_rom.hpp"
#include "runtime/unique_fd.hpp"
#include "spec/pci/config_header.hpp"

namespace touka::devices::passthrough {

using namespace spec::vfio;
using platform::ExpansionRom;
using spec::pci::Command;

namespace {

using Image = std::expected<std::vector<std::byte>, std::string>;

constexpr std::size_t kStepBytes = 64 * 1024;

/// The device's Command register with Memory Space Enable set, as it was when this is over: without it the kernel gives
/// no ROM.
class Decoding {
public:
    explicit Decoding(DeviceTransport& transport) : transport_(transport) {
        was_read_ =
            transport.read(VFIO_PCI_CONFIG_REGION_INDEX, spec::pci::offset::kCommand, bytes(before_)).has_value();
        put(Command{before_}.set(spec::pci::command::MEMORY_SPACE, true).raw);
    }
    ~Decoding() { put(before_); }
    Decoding(const Decoding&) = delete;
    Decoding& operator=(const Decoding&) = delete;

private:
    static std::span<std::byte> bytes(std::uint16_t& value) { return std::as_writable_bytes(std::span(&value, 1)); }
    void put(std::uint16_t value) {
        if (!was_read_) return;
        (void)transport_.write(VFIO_PCI_CONFIG_REGION_INDEX, spec::pci::offset::kCommand, bytes(value));
    }
    DeviceTransport& transport_;
    std::uint16_t before_ = 0;
    bool was_read_ = false;
};

} // namespace

Image read_device_rom(DeviceTransport& transport) {
    const std::uint64_t bytes = transport.region_bytes(VFIO_PCI_ROM_REGION_INDEX);
    if (bytes == 0) return {};
    if (bytes > ExpansionRom::kLargestBytes) return std::unexpected("it is larger than a function can have");
    const Decoding decoding(transport);
    std::vector<std::byte> image(bytes);
    for (std::size_t at = 0; at < image.size(); at += kStepBytes) {
        const auto part = std::span(image).subspan(at, std::min(kStepBytes, image.size() - at));
        if (!transport.read(VFIO_PCI_ROM_REGION_INDEX, at, part)) return std::unexpected("the device does not give it");
    }
    return image;
}

Image read_rom_file(const std::string& path) {
    const auto failed = [&] { return std::unexpected(fmt::format("{}: {}", path, std::strerror(errno))); };
    const runtime::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status{};
    if (!file || ::fstat(file.get(), &status) != 0) return failed();
    const auto bytes = static_cast<std::uint64_t>(status.st_size);
    if (!S_ISREG(status.st_mode) || bytes == 0 || bytes > ExpansionRom::kLargestBytes) {
        return std::unexpected(fmt::format("{}: an expansion ROM is a file of 1 byte to 16 MiB", path));
    }
    std::vector<std::byte> image(bytes);
    std::size_t done = 0;
    while (done < image.size()) {
        const ssize_t count = ::read(file.get(), image.data() + done, image.size() - done);
        if (count < 0) return failed();
        if (count == 0) return std::unexpected(fmt::format("{}: it became shorter while it was read", path));
        done += static_cast<std::size_t>(count);
    }
    return image;
}

} // namespace touka::devices::passthrough
