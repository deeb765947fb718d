// An NVMe I/O controller with the NVM command set. (NVM Express Base 2.0; NVM Command Set 1.0)
// Absent: metadata but protection information with guards of 16 bits, controller memory buffer, persistent memory
// region, boot partitions, NVM subsystem reset, keep alive, firmware download, self-test, security, write
// uncorrectable.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "devices/nvme/async_events.hpp"
#include "devices/nvme/bounce_buffers.hpp"
#include "devices/nvme/completion_queue.hpp"
#include "devices/nvme/controller_logs.hpp"
#include "devices/nvme/controller_port.hpp"
#include "devices/nvme/controller_state.hpp"
#include "devices/nvme/doorbells.hpp"
#include "devices/nvme/features.hpp"
#include "devices/nvme/namespace.hpp"
#include "devices/nvme/pacer.hpp"
#include "devices/nvme/request.hpp"
#include "devices/nvme/submission_queue.hpp"
#include "devices/nvme/subsystem.hpp"
#include "runtime/guarded.hpp"
#include "runtime/notification.hpp"
#include "runtime/pollable.hpp"
#include "runtime/reactor.hpp"
#include "spec/nvme/registers.hpp"

namespace touka::devices::nvme {

struct Command;

/// Registers, queues and commands of one controller; what transports it is its ControllerPort.
///
/// Threads: the registers have a lock, doorbells are atomics; a write wakes the reactor, where everything else is.
/// Nothing here waits for another controller; a volume that does not answer keeps this controller's reset from ending,
/// since its memory is in use, and nobody else.
class Controller final : private runtime::Pollable {
public:
    static constexpr std::uint8_t kMaximumTransfer = 7; ///< MDTS: 2^7 pages of 4 KiB
    static constexpr std::uint32_t kTransferBytes = 4096u << kMaximumTransfer;
    static constexpr std::uint32_t kQueueEntries = 1024; ///< CAP.MQES + 1
    static constexpr std::uint8_t kMaximumPageShift = 4; ///< CAP.MPSMAX: pages of 4 KiB to 64 KiB

    /// @param subsystem outlives the controller.
    Controller(Subsystem& subsystem, const ControllerConfiguration& configuration, const ControllerContext& context);
    /// Not on the reactor. @pre paused, or nothing in flight.
    ~Controller() override;
    Controller(const Controller&) = delete;
    Controller& operator=(const Controller&) = delete;

    // --- the transport's side ---
    /// Property registers below spec::nvme::kDoorbells. vCPU threads.
    [[nodiscard]] std::uint64_t read_register(std::uint32_t offset, unsigned width_bytes) const;
    void write_register(std::uint32_t offset, unsigned width_bytes, std::uint64_t value);
    /// A write to doorbell number `index`. Any thread.
    void ring(std::size_t index, std::uint32_t value);
    /// Doorbells are other words from now on. @pre disabled, and nobody rings meanwhile.
    void use_doorbells(std::span<std::uint32_t> words);
    /// Returns when what was rung before has been seen. Not on the reactor.
    void settle();
    /// The same without waiting. @param then called on the reactor.
    void when_settled(std::function<void()> then);
    /// Looks at all queues again: bus mastering was granted. Any thread.
    void wake();
    /// Controller level reset by the function: all registers take their reset values. (§3.7.2) Begins at once; is over
    /// when no volume uses the guest's memory any more. Any thread but a volume's callback.
    void function_reset();
    /// No while that is under way. Any thread.
    [[nodiscard]] bool function_ready() const { return !function_resetting_.load(std::memory_order_acquire); }

    // --- lifecycle (control thread) ---
    void pause();
    void resume();
    [[nodiscard]] ControllerState save();
    /// @pre paused.
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const ControllerState& state);
    [[nodiscard]] Pacer& pacer() { return pacer_; } ///< reactor

    // --- the subsystem's side (any thread) ---
    [[nodiscard]] std::uint16_t id() const { return configuration_.id; }
    [[nodiscard]] NamespaceView* view(std::uint32_t nsid) {
        return nsid == 0 || nsid > views_.size() ? nullptr : views_[nsid - 1].get();
    }
    void namespace_changed(std::uint32_t nsid);
    void reservation_notice(std::uint32_t nsid, std::uint8_t type);
    /// A secondary controller became available, or ceased to be. (§8.26.3)
    void set_online(bool online);
    void post(std::function<void()> work) { context_.reactor.post(std::move(work)); }

    // --- the commands' side (reactor) ---
    [[nodiscard]] Subsystem& subsystem() { return subsystem_; }
    [[nodiscard]] const ControllerConfiguration& configuration() const { return configuration_; }
    [[nodiscard]] Features& features() { return features_; }
    [[nodiscard]] AsyncEvents& events() { return events_; }
    [[nodiscard]] ControllerLogs& logs() { return logs_; }
    [[nodiscard]] std::uint64_t now_ns() const { return context_.reactor.now_ns(); }
    [[nodiscard]] std::uint64_t powered_ns() const { return now_ns() - made_ns_; } ///< since this was made
    [[nodiscard]] std::uint32_t page_bytes() const { return page_bytes_; }
    [[nodiscard]] std::uint16_t queue_limit() const { return queue_limit_; } ///< pairs, the admin one included
    [[nodiscard]] std::uint16_t vector_limit() const { return vector_limit_; }
    struct EntryShifts {
        std::uint8_t submission, completion;
    };
    /// CC.IOSQES and CC.IOCQES.
    [[nodiscard]] EntryShifts entry_shifts() const {
        const spec::nvme::Cc cc{registers_.lock()->cc};
        return {cc.get(spec::nvme::cc::IOSQES), cc.get(spec::nvme::cc::IOCQES)};
    }

    /// Not everything that there is: a virtual function's guest manages nothing that others have.
    [[nodiscard]] bool offers(const Command& command) const;
    /// The command moves so many bytes: those after it may have to wait.
    void charge(std::uint64_t bytes) {
        if (pacer_.limited()) pacer_.charge_bytes(now_ns(), bytes);
    }
    /// Ends a command that did not end in its handler.
    void complete(Request& request, spec::nvme::Status status);
    /// Guest memory of the command's data pointer into request.data. @param access as the device sees it.
    /// @param metadata_bytes so many at MPTR come after the data.
    [[nodiscard]] spec::nvme::Status map(Request& request, std::uint64_t length_bytes, memory::DmaAccess access,
                                         std::uint64_t metadata_bytes = 0);
    /// Stores `bytes` where the command wants them, as many as `room` at most.
    [[nodiscard]] spec::nvme::Status send(Request& request, std::span<const std::byte> bytes, std::uint64_t room);
    /// Fetches all of `bytes` from the command's data.
    [[nodiscard]] spec::nvme::Status receive(Request& request, std::span<std::byte> bytes);
    /// Tells the guest's memory that request.data was stored into.
    void stored(Request& request);
    /// The command's volume works; `then` follows. @pre request.ns is set.
    void submit(Request& request, storage::BlockOperation operation, std::uint64_t offset_bytes,
                std::uint64_t length_bytes, std::span<const iovec> buffers, Request::Continuation then);
    /// Calls `start` when the request has a bounce buffer, perhaps at once.
    [[nodiscard]] Outcome with_bounce(Request& request, Outcome (*start)(Controller&, Request&));
    /// The namespace of an I/O command or one of its kind, attached and usable; also begins the use of it.
    /// @param needed bits of NamespaceView. @return kSuccess and request.ns is set.
    [[nodiscard]] spec::nvme::Status open_namespace(Request& request, std::uint8_t needed);
    [[nodiscard]] bool attached(std::uint32_t nsid) {
        const NamespaceView* const found = view(nsid);
        return found != nullptr && (found->access.load(std::memory_order_acquire) & NamespaceView::kAttached) != 0;
    }
    [[nodiscard]] memory::DmaSpace& dma() { return context_.dma; }
    [[nodiscard]] runtime::Reactor& reactor() { return context_.reactor; }

    [[nodiscard]] SubmissionQueue* submission_queue(std::uint32_t id) {
        return id < submission_queues_.size() ? submission_queues_[id].get() : nullptr;
    }
    [[nodiscard]] CompletionQueue* completion_queue(std::uint32_t id) {
        return id < completion_queues_.size() ? completion_queues_[id].get() : nullptr;
    }
    void add_queue(const CompletionQueue::Setup& setup);
    void add_queue(const SubmissionQueue::Setup& setup, CompletionQueue& completions);
    void remove_completion_queue(std::uint16_t id);
    /// Ends what waits in the queue; `deletion` is completed when the rest is done.
    [[nodiscard]] Outcome remove_submission_queue(SubmissionQueue& queue, Request& deletion);
    [[nodiscard]] bool has_io_queues() const;
    /// @return whether one more may be outstanding.
    [[nodiscard]] bool park_event_request(Request& request);
    [[nodiscard]] bool abort(SubmissionQueue& queue, std::uint16_t cid);
    void tell_events();
    /// A fused pair is over: what was held back begins. Reactor
    void resume_behind_pairs();
    void use_shadow_doorbells(std::uint64_t doorbells, std::uint64_t event_indices);

private:
    enum class Phase { kDisabled, kEnabled, kResetting };

    // controller.cpp: life
    void registers_changed();
    void enable();
    [[nodiscard]] bool start_queues(const RegisterFile& registers);
    void take_limits();
    void take_state(const ControllerState& state);
    void begin_reset(bool whole_function);
    void finish_reset();
    void begin_shutdown();
    void finish_shutdown();
    void fail();
    void settle_down();
    [[nodiscard]] bool idle() const { return active_ == 0 && flushes_left_ == 0; }

    // arbitration.cpp
    [[nodiscard]] bool run_queues();
    [[nodiscard]] unsigned run_class(unsigned queue_class, unsigned limit);
    [[nodiscard]] unsigned class_of(const SubmissionQueue& queue) const;
    [[nodiscard]] bool ready(const SubmissionQueue& queue) const;
    [[nodiscard]] bool paced();

    // controller_work.cpp: queues
    void woken();
    void work();
    void take_doorbells();
    bool take_polled_doorbells();
    /// @return whether there may be more.
    [[nodiscard]] bool run();
    [[nodiscard]] bool poll() override;
    /// Nobody tells of a write to a word; what enables the controller is a message.
    [[nodiscard]] bool fall_asleep() override { return paused_ || phase_ != Phase::kEnabled; }
    void wake_up() override {}
    void on_doorbell(std::size_t index);
    [[nodiscard]] bool run_one(SubmissionQueue& queue);
    [[nodiscard]] Request* fetch(SubmissionQueue& queue);
    void begin(Request& request);

    // fused.cpp: Compare and Write
    void run_fused(SubmissionQueue& queue, Request& first);
    void start_pair(Request& first);
    void compare_first(Request& first);
    void run_second(Request& second, spec::nvme::Status first_status);
    void end_exclusive(Namespace& ns);

    // controller_work.cpp again
    [[nodiscard]] Outcome execute(Request& request);
    void read_shadow_doorbells();
    void write_event_index(std::size_t index, std::uint32_t value);
    /// A doorbell's word in a page of the guest's. @pre within a use. @return null: it cannot be reached.
    [[nodiscard]] std::uint32_t* shared_word(std::uint64_t page, std::size_t index, memory::DmaAccess access);
    void signal_posted();
    void post_completion(Request& request, spec::nvme::Status status);
    void post_gathered();
    void hold_what_lasts();
    void finish_request(Request& request);
    void start_bounced(Request& request);
    void finish_deletion(std::uint16_t id);
    void after_post(CompletionQueue& queue, CompletionQueue::Posted posted);
    void commit_volumes();
    void signal_completions(bool time_is_up = false);
    void update_pin();
    void log_error(const Request& request, spec::nvme::Status status);

    Subsystem& subsystem_;
    const ControllerConfiguration configuration_;
    ControllerContext context_;
    mutable runtime::Guarded<RegisterFile> registers_;
    std::atomic<bool> online_{true};
    std::atomic<bool> function_resetting_{false};
    Doorbells doorbells_;
    runtime::Notification wake_;
    std::atomic<bool> waking_{false}; // a wake-up is on its way; pairs with work()
    std::unique_ptr<runtime::Reactor::Watch> watch_;
    std::unique_ptr<runtime::Reactor::Polling> polling_; // of doorbells, if they are polled
    std::vector<std::unique_ptr<NamespaceView>> views_;  // nsid - 1; never changes

    const std::uint64_t made_ns_ = context_.reactor.now_ns();

    // Reactor
    Phase phase_ = Phase::kDisabled;
    bool paused_ = true;
    bool failed_ = false;
    bool shutting_down_ = false;
    bool restoring_ = false;
    std::uint32_t page_bytes_ = 4096;
    std::uint16_t queue_limit_ = 0, vector_limit_ = 0;
    std::vector<std::unique_ptr<SubmissionQueue>> submission_queues_;
    std::vector<std::unique_ptr<CompletionQueue>> completion_queues_;
    bool weighted_ = false;                   // CC.AMS
    std::array<std::size_t, 5> next_queue_{}; // of each class: where the round goes on
    std::size_t queues_in_use_ = 0;           // the greatest number of a queue, and one more
    bool working_ = false;                    // volumes are committed and interrupts sent at the end
    bool gathering_ = false;                  // completions are posted together, when all volumes are committed
    bool signal_posted_ = false;              // interrupts are sent in the reactor\'s next turn
    std::size_t active_ = 0;                  // requests, but event requests that wait
    std::vector<Request*> event_requests_;
    std::vector<Request*> behind_pairs_; // fused ones
    std::vector<NamespaceView*> uncommitted_;
    std::vector<CompletionQueue*> unsignalled_;
    std::vector<CompletionQueue*> gathered_; // with entries for post_gathered()
    std::vector<Request*> unheld_;           // that were mapped in this turn
    std::unique_ptr<runtime::Timer> coalescing_timer_, pacing_timer_;
    bool coalescing_armed_ = false;
    BounceBuffers bounce_buffers_;
    Features features_;
    AsyncEvents events_;
    ControllerLogs logs_;
    Pacer pacer_;
    std::uint64_t shadow_doorbells_ = 0, event_indices_ = 0;
    std::vector<storage::BlockRequest> flushes_; // of a shutdown
    std::size_t flushes_left_ = 0;

    // pause() waits until the last request is done; the mutex guards idle_.
    std::mutex idle_mutex_;
    std::condition_variable idle_changed_;
    bool idle_ = true;
};

} // namespace touka::devices::nvme
