// Sharing virtqueues with another process. (Vhost-user Protocol, QEMU docs/interop/vhost-user.rst; the rings and
// feature bits that it shares: Virtual I/O Device 1.2 §2.7, §6) Numbers are in the host's byte order.
#pragma once

#include <cstddef>
#include <cstdint>

namespace touka::spec::virtio {

/// "Front-end message types".
enum class VhostUserRequest : std::uint32_t {
    kGetFeatures = 1,
    kSetFeatures = 2,
    kSetOwner = 3,
    kResetOwner = 4,
    kSetMemTable = 5,
    kSetLogBase = 6,
    kSetLogFd = 7,
    kSetVringNum = 8,
    kSetVringAddr = 9,
    kSetVringBase = 10,
    kGetVringBase = 11,
    kSetVringKick = 12,
    kSetVringCall = 13,
    kSetVringErr = 14,
    kGetProtocolFeatures = 15,
    kSetProtocolFeatures = 16,
    kGetQueueNum = 17,
    kSetVringEnable = 18,
    kGetConfig = 24,
    kSetConfig = 25,
    kGetInflightFd = 31,
    kSetInflightFd = 32,
    kResetDevice = 34,
    kGetMaxMemSlots = 36,
    kAddMemReg = 37,
    kRemMemReg = 38,
};

/// "Header"; `size` bytes of payload follow.
struct VhostUserHeader {
    std::uint32_t request;
    std::uint32_t flags;
    std::uint32_t size;
};
static_assert(sizeof(VhostUserHeader) == 12);
inline constexpr std::uint32_t kVhostUserVersion = 1, kVhostUserVersionMask = 3, kVhostUserReply = 4,
                               kVhostUserNeedReply = 8;

/// Among the virtio feature bits: the protocol's own ones exist; stores into guest memory are logged.
inline constexpr std::uint64_t VHOST_USER_F_PROTOCOL_FEATURES = 1ull << 30, VHOST_F_LOG_ALL = 1ull << 26;

/// "Protocol features".
inline constexpr std::uint64_t VHOST_USER_PROTOCOL_F_MQ = 1 << 0, VHOST_USER_PROTOCOL_F_LOG_SHMFD = 1 << 1,
                               VHOST_USER_PROTOCOL_F_REPLY_ACK = 1 << 3, VHOST_USER_PROTOCOL_F_CONFIG = 1 << 9,
                               VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD = 1 << 12,
                               VHOST_USER_PROTOCOL_F_RESET_DEVICE = 1 << 13,
                               VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 1 << 15;

/// "A vring state description".
struct VhostUserVringState {
    std::uint32_t index;
    std::uint32_t num;
};
static_assert(sizeof(VhostUserVringState) == 8);

/// "A vring address description"; the three are user addresses.
struct VhostUserVringAddress {
    std::uint32_t index;
    std::uint32_t flags;
    std::uint64_t descriptor;
    std::uint64_t used;
    std::uint64_t available;
    std::uint64_t log;
};
static_assert(sizeof(VhostUserVringAddress) == 40);

/// Payload of kSetVringKick and its kin: the index, and whether no descriptor comes with it.
inline constexpr std::uint64_t kVhostUserVringIndexMask = 0xFF, kVhostUserNoDescriptor = 0x100;

/// "Memory regions description": the number of regions, padding, and as many of these; one alone has padding before it.
struct VhostUserMemoryRegion {
    std::uint64_t guest_address;
    std::uint64_t size;
    std::uint64_t user_address;
    std::uint64_t mmap_offset;
};
static_assert(sizeof(VhostUserMemoryRegion) == 32);
struct VhostUserMemoryHeader {
    std::uint32_t region_count;
    std::uint32_t padding;
};
inline constexpr std::size_t kVhostUserRegionLimit = 8;

/// "Virtio device config space"; `size` bytes follow.
struct VhostUserConfigHeader {
    std::uint32_t offset;
    std::uint32_t size;
    std::uint32_t flags;
};
static_assert(sizeof(VhostUserConfigHeader) == 12);
inline constexpr std::size_t kVhostUserConfigLimit = 256;

/// "Log description".
struct VhostUserLog {
    std::uint64_t size;
    std::uint64_t offset;
};
inline constexpr std::uint64_t kVhostUserLogPage = 0x1000;

/// "Inflight description".
struct VhostUserInflight {
    std::uint64_t mmap_size;
    std::uint64_t mmap_offset;
    std::uint16_t num_queues;
    std::uint16_t queue_size;
    std::uint32_t padding; // structures are as long as their alignment makes them
};
static_assert(sizeof(VhostUserInflight) == 24);

/// "Inflight I/O tracking": a split queue's region is this and one entry for each descriptor.
struct VhostUserInflightQueue {
    std::uint64_t features;
    std::uint16_t version;
    std::uint16_t desc_num;
    std::uint16_t last_batch_head;
    std::uint16_t used_idx;
};
struct VhostUserInflightDescriptor {
    std::uint8_t inflight;
    std::uint8_t padding[5];
    std::uint16_t next;
    std::uint64_t counter;
};
static_assert(sizeof(VhostUserInflightQueue) == 16 && sizeof(VhostUserInflightDescriptor) == 16);

} // namespace touka::spec::virtio
