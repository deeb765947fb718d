// Memory as one requester sees it. Devices reach guest memory through this alone (rule T5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "spec/address.hpp"

namespace touka::memory {

using spec::GuestAddress;
using spec::Iova;

enum class DmaAccess { kRead, kWrite }; ///< as the device sees it: kWrite changes guest memory

/// Why a device's access was blocked. The device reports it as its specification says; nobody crashes.
struct DmaFault {
    Iova address; ///< first byte that could not be reached
    DmaAccess access;
};

/// A requester's view of memory: identity without an IOMMU, the VT-d tables with one, the shared regions
/// for a device in another process. Any thread.
class DmaSpace {
public:
    virtual ~DmaSpace() = default;

    /// The host memory behind as many bytes from `address` on as lie together, up to length_bytes: callers loop.
    /// Spans stay valid for the life of the machine.
    /// @pre length_bytes > 0.  @return 1 ..= length_bytes bytes, or the fault.
    [[nodiscard]] virtual std::expected<std::span<std::byte>, DmaFault>
    translate(Iova address, std::uint64_t length_bytes, DmaAccess access) = 0;

    /// To be called when the device has stored into spans that it got for kWrite, before it tells the guest.
    virtual void written(std::span<const std::byte> host_memory) = 0;

    /// Copies out of or into the space; on a fault nothing or a prefix was copied.
    [[nodiscard]] std::expected<void, DmaFault> read(Iova address, std::span<std::byte> to);
    [[nodiscard]] std::expected<void, DmaFault> write(Iova address, std::span<const std::byte> from);
};

class GuestMemory;

/// The space of a device without an IOMMU: bus addresses are guest physical addresses.
class IdentityDmaSpace final : public DmaSpace {
public:
    explicit IdentityDmaSpace(GuestMemory& memory) : memory_(memory) {}
    [[nodiscard]] std::expected<std::span<std::byte>, DmaFault> translate(Iova address, std::uint64_t length_bytes,
                                                                          DmaAccess access) override;
    void written(std::span<const std::byte> host_memory) override;

private:
    GuestMemory& memory_;
};

} // namespace touka::memory
