// Memory as one requester sees it. Devices reach guest memory through this alone (rule T5).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <span>
#include <utility>

#include "memory/dma_holds.hpp"
#include "memory/dma_uses.hpp"
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
///
/// Memory can be taken away from a requester. So who holds spans from one moment to another, as while the host reads
/// into them, holds a use as well: it begins before the spans are translated and ends when they are no longer touched.
/// Who keeps a translation without a use, as of a ring, begins one for each access and translates anew when the
/// generation is another. Who holds memory for as long as a request takes names it in a hold, which begins within the
/// use; so nobody waits for it but who takes that memory away.
class DmaSpace {
public:
    DmaSpace() = default;
    virtual ~DmaSpace() = default;
    DmaSpace(const DmaSpace&) = delete;
    DmaSpace& operator=(const DmaSpace&) = delete;

    /// The host memory behind as many bytes from `address` on as lie together, up to length_bytes: callers loop.
    /// Spans are good as long as a use that began before.
    /// @pre length_bytes > 0.  @return 1 ..= length_bytes bytes, or the fault.
    [[nodiscard]] virtual std::expected<std::span<std::byte>, DmaFault>
    translate(Iova address, std::uint64_t length_bytes, DmaAccess access) = 0;

    /// To be called when the device has stored into spans that it got for kWrite, before it tells the guest.
    virtual void written(std::span<const std::byte> host_memory) = 0;

    /// Copies out of or into the space; on a fault nothing or a prefix was copied. Also reaches what has no host memory
    /// to translate to.
    [[nodiscard]] virtual std::expected<void, DmaFault> read(Iova address, std::span<std::byte> to);
    [[nodiscard]] virtual std::expected<void, DmaFault> write(Iova address, std::span<const std::byte> from);

    [[nodiscard]] DmaUses::Use use() { return shared_->uses.begin(); }
    /// Begins a hold of its ranges.  @pre within a use that began before they were translated; the hold ends before the
    /// space does.
    void hold(DmaHold& hold) {
        hold.active_ = true;
        begin_hold(hold);
    }
    /// Another one after memory was taken away. @pre within a use.
    [[nodiscard]] std::uint64_t generation() const { return shared_->generation.load(); }

protected:
    /// One that stands before another and translates through it: a use of either is one of both, so that whoever takes
    /// memory away from one waits for both. @param behind outlives it.
    explicit DmaSpace(DmaSpace& behind) : shared_(behind.shared_) {}

    /// Something that `translate` gave is no longer granted: it has to refuse it already.
    /// @param done called once, perhaps before this returns, when nobody uses what was translated before.
    void revoked(std::function<void()> done) {
        ++shared_->generation;
        shared_->uses.when_over(std::move(done));
    }

    /// Where holds are uses, as they are unless a space knows better: that they can last.
    virtual void begin_hold(DmaHold& hold) { hold.use_ = shared_->uses.begin(); }
    /// For a space that asks `holds` after a revocation.
    static void begin_hold_in(DmaHolds& holds, DmaHold& hold) {
        hold.holds_ = &holds;
        holds.begin(hold);
    }

private:
    struct Shared {
        DmaUses uses;
        std::atomic<std::uint64_t> generation{0};
    };
    Shared own_;
    Shared* const shared_ = &own_;
};

class GuestMemory;

/// The space of a device without an IOMMU: bus addresses are guest physical addresses.
class IdentityDmaSpace final : public DmaSpace {
public:
    explicit IdentityDmaSpace(GuestMemory& memory) : memory_(memory) {}
    [[nodiscard]] std::expected<std::span<std::byte>, DmaFault> translate(Iova address, std::uint64_t length_bytes,
                                                                          DmaAccess access) override;
    void written(std::span<const std::byte> host_memory) override;

protected:
    void begin_hold(DmaHold&) override {} // nobody takes RAM away

private:
    GuestMemory& memory_;
};

} // namespace touka::memory
