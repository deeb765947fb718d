#include "scsi/tape/tape_modes.hpp"

#include "scsi/parameter_data.hpp"
#include "spec/scsi/sequential_access.hpp"

namespace touka::scsi {

using namespace spec::scsi;

namespace {

constexpr std::uint8_t kInformationalExceptions = 0x1C;
// Device Configuration mode page, counted from what follows PAGE LENGTH. (SSC-5, "Device Configuration mode page")
constexpr std::size_t kIdentifierBits = 6, kEarlyWarningBits = 8;
constexpr std::uint8_t kLogicalObjectIdentifiersSupported = 0x40, kEndOfDataGenerated = 0x10,
                       kSynchronizeAtEarlyWarning = 0x08, kSoftwareWriteProtect = 0x04;
/// PSUM: partitions are measured in megabytes; MEDIUM FORMAT RECOGNITION: format recognized.
constexpr std::uint8_t kMegabytes = 0x10, kFormatRecognized = 0x01;

ModePage fixed_page(std::vector<std::uint8_t> content) {
    ModePage page;
    page.changeable.resize(content.size());
    page.current = std::move(content);
    return page;
}

} // namespace

TapeModes::TapeModes(DeviceServer& server, std::uint8_t density_code)
    : density_code_(density_code),
      pages_(server,
             {.device_specific = [this] { return device_specific(); },
              .set_device_specific = [this](std::uint8_t value) { return set_device_specific(value); },
              .block_descriptor =
                  [this](bool) {
                      return ParameterData().byte(density_code_).zeros(4).number(block_length_bytes_, 3).take();
                  },
              .set_block_descriptor =
                  [this](std::span<const std::uint8_t> descriptor) { return set_block_descriptor(descriptor); }}) {
    server.add_observer(*this);
    pages_.add_page(tape_page::kReadWriteErrorRecovery, 0, fixed_page(std::vector<std::uint8_t>(10)));
    pages_.add_page(tape_page::kDataCompression, 0, fixed_page(std::vector<std::uint8_t>(14)));
    std::vector<std::uint8_t> configuration(14);
    configuration[kIdentifierBits] = kLogicalObjectIdentifiersSupported;
    configuration[kEarlyWarningBits] = kEndOfDataGenerated | kSynchronizeAtEarlyWarning;
    ModePage device_configuration = fixed_page(std::move(configuration));
    device_configuration.changeable[kEarlyWarningBits] = kSoftwareWriteProtect;
    pages_.add_page(tape_page::kDeviceConfiguration, 0, std::move(device_configuration));
    pages_.add_page(tape_page::kMediumPartition, 0, fixed_page({0, 0, kMegabytes, kFormatRecognized, 0, 0}));
    constexpr std::uint8_t kDisableExceptions = 0x08;
    pages_.add_page(kInformationalExceptions, 0, fixed_page({kDisableExceptions, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
}

void TapeModes::set_medium(std::uint8_t density_code, bool write_protected) {
    density_code_ = density_code;
    write_protected_ = write_protected;
}

bool TapeModes::software_write_protect() const {
    const auto configuration = pages_.page(tape_page::kDeviceConfiguration);
    return pages_.software_write_protect() || (configuration[kEarlyWarningBits] & kSoftwareWriteProtect) != 0;
}

void TapeModes::logical_unit_reset() {
    block_length_bytes_ = 0;
    buffered_mode_ = 1;
}

std::uint8_t TapeModes::device_specific() const {
    const bool write_protected = write_protected_ || software_write_protect();
    return static_cast<std::uint8_t>((write_protected ? kTapeWriteProtected : 0) | buffered_mode_ << 4);
}

/// Buffered modes 0 to 2; WP is ignored, and there is one speed. (SSC-5, "Device-specific parameter")
std::optional<Sense> TapeModes::set_device_specific(std::uint8_t value) {
    const auto mode = static_cast<std::uint8_t>(value >> 4 & 0x7);
    if (mode > 2 || (value & 0x0F) != 0) return Sense::invalid_field_in_parameters(2);
    buffered_mode_ = mode;
    return std::nullopt;
}

/// One descriptor of 8 bytes, for the medium as a whole and a density that changes nothing.
std::optional<Sense> TapeModes::set_block_descriptor(std::span<const std::uint8_t> descriptor) {
    if (descriptor.size() != 8) return Sense::invalid_field_in_parameters(3);
    const std::uint8_t density = descriptor[0];
    if (density != 0 && density != kNoDensityChange && density != density_code_) {
        return Sense::invalid_field_in_parameters(4);
    }
    block_length_bytes_ = static_cast<std::uint32_t>(load_number(descriptor.subspan(5, 3)));
    return std::nullopt;
}

} // namespace touka::scsi
