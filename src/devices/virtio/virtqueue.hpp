// A split virtqueue, the device's side. (Virtual I/O Device 1.2 §2.7)
// Absent: packed rings, in-order use, resetting one queue.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <vector>

#include "devices/virtio/descriptor_chain.hpp"
#include "devices/virtio/ring_part.hpp"
#include "memory/dma_space.hpp"
#include "spec/virtio/split_queue.hpp"

namespace touka::devices::virtio {

/// Where the driver put a queue.
struct QueueSetup {
    std::uint16_t size = 0; ///< in descriptors
    memory::Iova descriptors, driver_area, device_area;
};

/// How far a queue has got: what survives when the machine moves.
struct QueuePosition {
    std::uint16_t next_avail = 0;
    std::uint16_t next_used = 0;
    void describe(auto& archive) { archive(next_avail, next_used); }
};

/// Keeps in mind which chains are in flight, where it survives this process: another one can go on with them.
class ChainJournal {
public:
    virtual ~ChainJournal() = default;
    virtual void taken(std::uint16_t head) = 0;
    virtual void returned(std::uint16_t head) = 0;
    /// The driver sees all that were returned. @param used_index as it is in the ring now.
    virtual void published(std::uint16_t used_index) = 0;
};

/// What a driver can do wrong with a queue. After any of them the device needs a reset.
enum class QueueError {
    kBadSize,              ///< 0, not a power of two, or more than the device offered
    kMisaligned,           ///< one of its parts
    kRingOutsideMemory,    ///< one of its parts is not wholly RAM that the device may reach
    kIndexJump,            ///< the available index moved by more than the queue holds
    kTooManyInFlight,      ///< more chains handed over than the queue holds, without waiting for their return
    kDescriptorOutOfTable, ///< a head or next beyond the table
    kLoop,                 ///< a chain longer than its table, or than any device asks for
    kBadIndirect,          ///< not negotiated, nested, followed by another, empty, odd-sized or too long
    kReadableAfterWritable,
    kBufferOutsideMemory,
    kTooScattered,   ///< a part of a chain lies in more pieces of memory than any transfer of a real device has
    kFoundElsewhere, ///< by the process that works on the queue, which says no more
};

/// Reads the driver's rings, hands out its chains and returns them. Every ring word is read once and checked; a queue
/// that has failed stays silent until it is started again. Used from one reactor's thread.
///
/// Memory order: avail.idx is loaded with acquire, so that the entries and descriptors that the driver stored before
/// it are seen; used.idx is stored with release or stronger after the elements. In publish() and enable_notifications()
/// the store of one index and the load of the other side's word are sequentially consistent, as the driver's barriers
/// make its own, so that not both sides sleep.
///
/// The rings are reached within uses of the space, and translated anew when memory was taken from it.
class Virtqueue {
public:
    /// @param dma the device's view of memory, outlives the queue.  @param size_limit a power of two, 32768 at most.
    Virtqueue(memory::DmaSpace& dma, std::uint16_t size_limit) : dma_(dma), size_limit_(size_limit) {}

    [[nodiscard]] std::expected<void, QueueError> start(const QueueSetup& setup, std::uint64_t features,
                                                        const QueuePosition& position = {});
    /// Goes on after a process that ended with chains in flight. After `start`, before the first pop.
    /// @param heads come first, in this order; `position` counted them as taken.  @param journal outlives the running.
    void resume(std::vector<std::uint16_t> heads, ChainJournal& journal);
    void stop();
    [[nodiscard]] bool running() const { return running_; }

    /// Takes the next chain that the driver made available. @return false when there is none.
    [[nodiscard]] std::expected<bool, QueueError> pop(DescriptorChain& chain);
    /// Gives the chains popped last back, as if they had never been taken; they will come again.
    void undo_pop(std::span<DescriptorChain> chains);

    /// Returns a chain, whose memory is not to be touched any more. The driver sees it after publish(), and nothing of
    /// it on a queue that failed or was stopped.
    /// @param written_bytes how many of its writable bytes, from the first on, were stored.
    void push_used(DescriptorChain& chain, std::uint32_t written_bytes);
    /// Shows the driver what was pushed. @return whether it wants an interrupt for it.
    [[nodiscard]] bool publish();

    /// Asks the driver to be quiet while the device looks at the queue anyway, or to notify again.
    void disable_notifications();
    /// @return true when chains came in the meantime: look again before sleeping.
    [[nodiscard]] bool enable_notifications();
    /// The device looks at the queue all the time until it says otherwise: `consume` leaves the driver quiet.
    void set_polled(bool polled) { polled_ = polled; }

    /// avail.idx as the driver has it now. @pre running.
    [[nodiscard]] std::uint16_t load_avail_index();
    [[nodiscard]] std::uint16_t size() const { return setup_.size; }
    /// Chains popped and not pushed back.
    [[nodiscard]] std::uint16_t in_flight() const { return in_flight_; }
    /// @pre nothing in flight and all published.
    [[nodiscard]] QueuePosition position() const { return {next_avail_, next_used_}; }

    /// Hands chains to `handle` until the queue is empty or `budget` chains were taken, keeping the driver quiet
    /// meanwhile, and afterwards if the queue is polled. A guest that takes memory away waits for the end of the turn:
    /// `handle` begins work, and leaves its end to others. @param next_chain returns the DescriptorChain& to fill.
    /// @return true when the budget ran out first: come again.
    template <class NextChain, class Handle>
    [[nodiscard]] std::expected<bool, QueueError> consume(unsigned budget, NextChain next_chain, Handle handle) {
        const Turn turn(*this);
        do {
            disable_notifications();
            for (;; --budget) {
                if (budget == 0) return true;
                DescriptorChain& chain = next_chain();
                const auto popped = pop(chain);
                if (!popped) return std::unexpected(popped.error());
                if (!*popped) break;
                handle(chain);
            }
        } while (!polled_ && enable_notifications());
        return false;
    }
    /// As `consume`, in batches of which each is twice as large as the one before: what comes of the first is published
    /// while the rest is still to be done, so that a driver that has to wake up does so meanwhile, and has new chains
    /// when the rest is done. @param batch_over begins what a batch waits for, and publishes; after the last one, too.
    template <class NextChain, class Handle, class BatchOver>
    [[nodiscard]] std::expected<bool, QueueError> consume_in_batches(unsigned budget, NextChain next_chain,
                                                                     Handle handle, BatchOver batch_over) {
        for (unsigned batch = kFirstBatch;; batch *= 2) {
            const unsigned count = std::min(batch, budget);
            const auto more = consume(count, next_chain, handle);
            batch_over();
            budget -= count;
            if (!more || !*more || budget == 0) return more;
        }
    }

private:
    static constexpr unsigned kFirstBatch = 8;

    /// One use of the space for all that happens in a turn.
    class Turn {
    public:
        explicit Turn(Virtqueue& queue) : queue_(queue), use_(queue.dma_.use()) { queue_.in_turn_ = true; }
        ~Turn() { queue_.in_turn_ = false; }
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;

    private:
        Virtqueue& queue_;
        memory::DmaUses::Use use_;
    };
    [[nodiscard]] memory::DmaUses::Use use() { return in_turn_ ? memory::DmaUses::Use() : dma_.use(); }

    [[nodiscard]] std::unexpected<QueueError> fail(QueueError error);
    // @pre for all that touch rings: within a use.
    [[nodiscard]] std::expected<void, QueueError> map_rings();
    [[nodiscard]] std::expected<void, QueueError> map_part(RingPart& part, memory::Iova address,
                                                           std::uint64_t length_bytes, std::uint64_t alignment,
                                                           memory::DmaAccess access);
    /// Follows the space when memory was taken from it. @return false when the rings are out of reach, which the next
    /// pop reports.
    [[nodiscard]] bool rings_ready() {
        if (dma_.generation() == generation_) [[likely]]
            return !broken_;
        return map_rings_again();
    }
    [[nodiscard]] bool map_rings_again();
    [[nodiscard]] std::expected<bool, QueueError> take(DescriptorChain& chain);
    [[nodiscard]] std::expected<void, QueueError> walk(std::uint16_t head, DescriptorChain& chain);
    [[nodiscard]] std::expected<void, QueueError> add_buffer(const spec::virtio::Descriptor& descriptor,
                                                             DescriptorChain& chain);
    /// Tells the space what of the used ring was stored; the ring may be many pages.
    void mark_used(std::uint64_t offset, std::uint64_t length_bytes);
    void mark_elements(std::uint16_t from);

    memory::DmaSpace& dma_;
    std::uint16_t size_limit_;
    bool running_ = false;
    bool in_turn_ = false;
    bool polled_ = false;
    bool event_index_ = false;
    bool indirect_ = false;
    QueueSetup setup_;
    RingPart descriptors_, avail_, used_;
    std::uint64_t generation_ = 0;     // of the space, in which they were translated
    std::optional<QueueError> broken_; // not reported yet
    std::vector<std::uint16_t> again_; // of a process before this one, the next one last
    ChainJournal* journal_ = nullptr;
    std::uint16_t next_avail_ = 0;     // free-running, as the ring's indices are
    std::uint16_t next_used_ = 0;      // includes what is not published yet
    std::uint16_t published_used_ = 0; // what used.idx says
    std::uint16_t in_flight_ = 0;
};

} // namespace touka::devices::virtio
