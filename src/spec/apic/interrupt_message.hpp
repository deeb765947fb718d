// What travels between I/O APIC, MSI-capable devices and local APICs. (Intel SDM vol. 3 rev. 084 §11.6.1 figure 11-12,
// §11.11.1 message address register, §11.11.2 message data register)
#pragma once

#include <cstdint>

#include "spec/register.hpp"

namespace touka::spec::apic {

/// ICR, redirection entries, LVT entries and MSI data all encode it alike. (SDM vol. 3 §11.6.1)
enum class DeliveryMode : std::uint8_t {
    kFixed = 0,
    kLowestPriority = 1,
    kSmi = 2,
    kNmi = 4,
    kInit = 5,
    kStartUp = 6,
    kExtInt = 7,
};

/// Vectors below it are reserved for exceptions; an APIC that is handed one reports an error. (SDM vol. 3 §11.5.2)
inline constexpr std::uint8_t kFirstLegalVector = 16;
/// A physical destination of 8 bits that means every local APIC. (SDM vol. 3 §11.6.2.1)
inline constexpr std::uint32_t kBroadcast8 = 0xFF;
/// The same in the 32 bits of x2APIC mode. (SDM vol. 3 §11.12.9)
inline constexpr std::uint32_t kBroadcast32 = 0xFFFF'FFFF;

/// Message address: FEEx'xxxxh.
using MessageAddress = Register<std::uint64_t, struct MessageAddressTag>;
namespace message_address {
inline constexpr Field<MessageAddressTag, 2, 1, bool> DESTINATION_MODE; // 1: logical
inline constexpr Field<MessageAddressTag, 3, 1, bool> REDIRECTION_HINT; // 1: lowest priority of the destination
// Bits 14:8 of the destination, which SDM calls reserved; hypervisors offer them to guests as the extended
// destination ID (KVM's CPUID bit KVM_FEATURE_MSI_EXT_DEST_ID).
inline constexpr Field<MessageAddressTag, 5, 7> EXTENDED_DESTINATION_ID;
inline constexpr Field<MessageAddressTag, 12, 8> DESTINATION_ID;
inline constexpr Field<MessageAddressTag, 20, 12> PREFIX;
inline constexpr std::uint32_t kPrefix = 0xFEE;
} // namespace message_address
static_assert(MessageAddress{0xFEE0'3000}.get(message_address::DESTINATION_ID) == 3);
static_assert(MessageAddress{0xFEE0'3000}.get(message_address::PREFIX) == message_address::kPrefix);

using MessageData = Register<std::uint32_t, struct MessageDataTag>;
namespace message_data {
inline constexpr Field<MessageDataTag, 0, 8, std::uint8_t> VECTOR;
inline constexpr Field<MessageDataTag, 8, 3, DeliveryMode> DELIVERY_MODE;
inline constexpr Field<MessageDataTag, 14, 1, bool> LEVEL;
inline constexpr Field<MessageDataTag, 15, 1, bool> TRIGGER_MODE; // 1: level
} // namespace message_data
static_assert(MessageData{0x4041}.get(message_data::VECTOR) == 0x41);

} // namespace touka::spec::apic
