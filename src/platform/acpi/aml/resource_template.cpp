#include "platform/acpi/aml/resource_template.hpp"

#include <bit>

#include "spec/acpi/resource.hpp"

namespace touka::platform::acpi::aml {
namespace {

using namespace spec::acpi::resource;

constexpr std::uint64_t kFourGiB = 0x1'0000'0000;

template <class Descriptor, class Word>
Descriptor make_window(ResourceType type, std::uint8_t type_flags, Word first, Word last) {
    Descriptor descriptor{};
    descriptor.ResourceType = type;
    descriptor.GeneralFlags = kDecodePositive | kMinFixed | kMaxFixed;
    descriptor.TypeSpecificFlags = type_flags;
    descriptor.Minimum = first;
    descriptor.Maximum = last;
    descriptor.AddressLength = static_cast<Word>(last - first + 1);
    return descriptor;
}

} // namespace

template <class Descriptor>
ResourceTemplate& ResourceTemplate::add(const Descriptor& descriptor) {
    const auto raw = std::bit_cast<std::array<std::uint8_t, sizeof(Descriptor)>>(descriptor);
    bytes_.insert(bytes_.end(), raw.begin(), raw.end());
    return *this;
}

ResourceTemplate& ResourceTemplate::io(std::uint16_t first, std::uint8_t length) {
    return add(Io{.RangeMinimum = first, .RangeMaximum = first, .Alignment = 1, .RangeLength = length});
}
ResourceTemplate& ResourceTemplate::irq(unsigned number) {
    return add(IrqNoFlags{.Mask = static_cast<std::uint16_t>(1u << number)});
}
ResourceTemplate& ResourceTemplate::memory_fixed(AddressWindow window) {
    if (window.start.value + window.length_bytes > kFourGiB) {
        return add(make_window<QwordAddressSpace>(ResourceType::kMemory, kMemoryReadWrite, window.start.value,
                                                  window.last().value));
    }
    return add(Memory32Fixed{.Information = 1,
                             .RangeBase = static_cast<std::uint32_t>(window.start.value),
                             .RangeLength = static_cast<std::uint32_t>(window.length_bytes)});
}
ResourceTemplate& ResourceTemplate::bus_numbers(std::uint16_t first, std::uint16_t last) {
    return add(make_window<WordAddressSpace>(ResourceType::kBusNumber, 0, first, last));
}
ResourceTemplate& ResourceTemplate::io_window(std::uint16_t first, std::uint16_t last) {
    return add(make_window<WordAddressSpace>(ResourceType::kIo, kIoEntireRange, first, last));
}
ResourceTemplate& ResourceTemplate::memory_window(AddressWindow window) {
    if (window.last().value < kFourGiB) {
        return add(make_window<DwordAddressSpace>(ResourceType::kMemory, kMemoryReadWrite,
                                                  static_cast<std::uint32_t>(window.start.value),
                                                  static_cast<std::uint32_t>(window.last().value)));
    }
    return add(make_window<QwordAddressSpace>(ResourceType::kMemory, kMemoryReadWrite, window.start.value,
                                              window.last().value));
}

Value ResourceTemplate::build() const {
    Bytes all = bytes_;
    all.insert(all.end(), kEndTag.begin(), kEndTag.end());
    return buffer(all);
}

} // namespace touka::platform::acpi::aml
