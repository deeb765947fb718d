// Resource descriptors, the contents of a _CRS buffer. (ACPI Specification 6.4 §6.4.2 and §6.4.3)
#pragma once

#include <array>
#include <cstdint>

namespace touka::spec::acpi::resource {

/// §6.4.2.1 IRQ Descriptor without flags: edge-triggered, active high, exclusive.
struct [[gnu::packed]] IrqNoFlags {
    std::uint8_t Tag = 0x22;
    std::uint16_t Mask;
};
static_assert(sizeof(IrqNoFlags) == 3);

/// §6.4.2.5 I/O Port Descriptor.
struct [[gnu::packed]] Io {
    std::uint8_t Tag = 0x47;
    std::uint8_t Information = 1; // decodes 16 bits
    std::uint16_t RangeMinimum;
    std::uint16_t RangeMaximum;
    std::uint8_t Alignment;
    std::uint8_t RangeLength;
};
static_assert(sizeof(Io) == 8);

/// §6.4.2.9 End Tag; a checksum of 0 stands for "not checked".
inline constexpr std::array<std::uint8_t, 2> kEndTag{0x79, 0};

/// §6.4.3.4 32-Bit Fixed Memory Range Descriptor.
struct [[gnu::packed]] Memory32Fixed {
    std::uint8_t Tag = 0x86;
    std::uint16_t Length = 9;
    std::uint8_t Information; // bit 0: writable
    std::uint32_t RangeBase;
    std::uint32_t RangeLength;
};
static_assert(sizeof(Memory32Fixed) == 12);

/// §6.4.3.5 Address Space Descriptors: the same fields as words, dwords and qwords.
enum class ResourceType : std::uint8_t { kMemory = 0, kIo = 1, kBusNumber = 2 };

template <class Word, std::uint8_t TagValue>
struct [[gnu::packed]] AddressSpaceDescriptor {
    std::uint8_t Tag = TagValue;
    std::uint16_t Length = 3 + 5 * sizeof(Word);
    resource::ResourceType ResourceType;
    std::uint8_t GeneralFlags;
    std::uint8_t TypeSpecificFlags;
    Word Granularity;
    Word Minimum;
    Word Maximum;
    Word TranslationOffset;
    Word AddressLength;
};
using WordAddressSpace = AddressSpaceDescriptor<std::uint16_t, 0x88>;
using DwordAddressSpace = AddressSpaceDescriptor<std::uint32_t, 0x87>;
using QwordAddressSpace = AddressSpaceDescriptor<std::uint64_t, 0x8A>;
static_assert(sizeof(WordAddressSpace) == 16 && sizeof(DwordAddressSpace) == 26 && sizeof(QwordAddressSpace) == 46);

/// General flags, §6.4.3.5.1: the bridge passes the range on (bit 0 clear, "resource producer").
inline constexpr std::uint8_t kDecodePositive = 0, kMinFixed = 1u << 2, kMaxFixed = 1u << 3;
/// Type-specific flags, §6.4.3.5.5: memory.
inline constexpr std::uint8_t kMemoryReadWrite = 1u << 0;
/// Type-specific flags, §6.4.3.5.5: I/O; ISA and other ports alike.
inline constexpr std::uint8_t kIoEntireRange = 3;

} // namespace touka::spec::acpi::resource
