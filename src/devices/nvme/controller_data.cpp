#include <algorithm>
#include <cstring>
#include <utility>

#include "devices/nvme/command_set.hpp"
#include "devices/nvme/controller.hpp"
#include "devices/nvme/data_pointer.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;
using memory::DmaAccess;

// --- data ---

Status Controller::map(Request& request, std::uint64_t length_bytes, DmaAccess access, std::uint64_t metadata_bytes) {
    if (length_bytes > kTransferBytes) return Status::kInvalidField;
    request.data.clear();
    request.hold.end();
    request.hold_due = false;
    const auto use = working_ ? memory::DmaUses::Use() : context_.dma.use();
    const DataMapping mapping{context_.dma, access, page_bytes_, request.hold};
    Status status = map_data(mapping, request.command, length_bytes, request.queue->id() != 0, request.data);
    if (status == Status::kSuccess && metadata_bytes > 0) {
        status = map_metadata(mapping, request.command, metadata_bytes, request.data);
    }
    if (status != Status::kSuccess) {
        request.hold.end(); // what was found until something was not is not touched
    } else if (working_) {
        unheld_.push_back(&request);
        request.hold_due = true;
    } else {
        context_.dma.hold(request.hold);
    }
    return status;
}

/// Most commands are over by now, and never needed a hold of their own.
void Controller::hold_what_lasts() {
    for (Request* const request : unheld_) {
        if (std::exchange(request->hold_due, false)) context_.dma.hold(request->hold);
    }
    unheld_.clear();
}

Status Controller::send(Request& request, std::span<const std::byte> bytes, std::uint64_t room) {
    bytes = bytes.first(std::min<std::uint64_t>(bytes.size(), room));
    if (bytes.empty()) return Status::kSuccess;
    if (const Status status = map(request, bytes.size(), DmaAccess::kWrite); status != Status::kSuccess) return status;
    for (const iovec& piece : request.data.pieces()) {
        std::memcpy(piece.iov_base, bytes.data(), piece.iov_len);
        bytes = bytes.subspan(piece.iov_len);
    }
    stored(request);
    return Status::kSuccess;
}

Status Controller::receive(Request& request, std::span<std::byte> bytes) {
    if (bytes.empty()) return Status::kSuccess;
    if (const Status status = map(request, bytes.size(), DmaAccess::kRead); status != Status::kSuccess) return status;
    for (const iovec& piece : request.data.pieces()) {
        std::memcpy(bytes.data(), piece.iov_base, piece.iov_len);
        bytes = bytes.subspan(piece.iov_len);
    }
    return Status::kSuccess;
}

void Controller::stored(Request& request) {
    for (const iovec& piece : request.data.pieces()) {
        context_.dma.written({static_cast<const std::byte*>(piece.iov_base), piece.iov_len});
    }
}

// --- volumes ---

Status Controller::open_namespace(Request& request, std::uint8_t needed) {
    NamespaceView* const found = view(request.command.nsid);
    if (found == nullptr) return Status::kInvalidNamespaceOrFormat;
    auto use = found->uses.begin(); // before the look: who changes the access waits for those who began before
    const std::uint8_t access = found->access.load(std::memory_order_acquire);
    if ((access & NamespaceView::kAttached) == 0) {
        return subsystem_.find(request.command.nsid) == nullptr ? Status::kInvalidNamespaceOrFormat
                                                                : Status::kInvalidField;
    }
    if (found->ns->formatting.load(std::memory_order_acquire)) return Status::kFormatInProgress;
    const bool of_pair = request.second != nullptr || request.exclusive != nullptr;
    const bool moves_data = request.queue->id() != 0 && request.command.opcode != std::to_underlying(IoOpcode::kFlush);
    if (moves_data && !of_pair && found->ns->exclusive.load()) return kBehindPair; // pairs with start_pair()
    if ((access & needed) != needed) return Status::kReservationConflict;
    if ((needed & NamespaceView::kWritable) != 0 && found->ns->geometry().read_only) {
        return Status::kNamespaceWriteProtected;
    }
    if (found->volume(context_.reactor) == nullptr) return Status::kNamespaceNotReady;
    request.ns = found;
    request.namespace_use = std::move(use);
    return Status::kSuccess;
}

void Controller::submit(Request& request, storage::BlockOperation operation, std::uint64_t offset_bytes,
                        std::uint64_t length_bytes, std::span<const iovec> buffers, Request::Continuation then) {
    request.then = then;
    storage::BlockRequest& block = request.block;
    if (!block.complete) { // once for each slot of a queue
        block.complete = [this, &request](storage::BlockStatus status) { request.then(*this, request, status); };
    }
    block.operation = operation;
    block.offset_bytes = offset_bytes;
    block.length_bytes = length_bytes;
    block.buffers = buffers;
    NamespaceView& target = *request.ns;
    if (!target.uncommitted) {
        target.uncommitted = true;
        uncommitted_.push_back(&target);
    }
    target.opened_volume()->submit(block);
    if (!working_) commit_volumes();
}

Outcome Controller::with_bounce(Request& request, Outcome (*start)(Controller&, Request&)) {
    request.start = start;
    return bounce_buffers_.take(request) ? start(*this, request) : std::nullopt;
}

// --- queues ---

void Controller::add_queue(const CompletionQueue::Setup& setup) {
    completion_queues_[setup.id] = std::make_unique<CompletionQueue>(setup);
    doorbells_.set(2 * std::size_t{setup.id} + 1, 0);
    queues_in_use_ = std::max(queues_in_use_, std::size_t{setup.id} + 1);
}

void Controller::add_queue(const SubmissionQueue::Setup& setup, CompletionQueue& completions) {
    submission_queues_[setup.id] = std::make_unique<SubmissionQueue>(setup, completions);
    doorbells_.set(2 * std::size_t{setup.id}, 0);
    queues_in_use_ = std::max(queues_in_use_, std::size_t{setup.id} + 1);
    ++completions.submission_queues;
}

void Controller::remove_completion_queue(std::uint16_t id) {
    std::erase(unsignalled_, completion_queues_[id].get());
    completion_queues_[id].reset();
}

Outcome Controller::remove_submission_queue(SubmissionQueue& queue, Request& deletion) {
    queue.deletion = &deletion;
    if (queue.in_flight() == 0) context_.reactor.post([this, id = queue.id()] { finish_deletion(id); });
    return std::nullopt;
}

bool Controller::has_io_queues() const {
    const auto exists = [](const auto& queue) { return queue != nullptr; };
    return std::any_of(submission_queues_.begin() + 1, submission_queues_.end(), exists) ||
           std::any_of(completion_queues_.begin() + 1, completion_queues_.end(), exists);
}

bool Controller::abort(SubmissionQueue& queue, std::uint16_t cid) {
    const auto parked = std::ranges::find_if(event_requests_, [&](const Request* request) {
        return request->queue == &queue && request->command.cid == cid;
    });
    if (parked == event_requests_.end()) return false; // what the volume works on ends soon by itself
    Request& request = **parked;
    event_requests_.erase(parked);
    ++active_;
    complete(request, Status::kAbortRequested);
    return true;
}

bool Controller::park_event_request(Request& request) {
    if (event_requests_.size() >= AsyncEvents::kRequestLimit) return false;
    event_requests_.push_back(&request);
    --active_;
    return true;
}

void Controller::tell_events() {
    while (!paused_ && phase_ == Phase::kEnabled && !event_requests_.empty()) {
        const auto event = events_.take();
        if (!event) return;
        Request& request = *event_requests_.front();
        event_requests_.erase(event_requests_.begin());
        ++active_;
        request.dw0 = event->type | std::uint32_t{event->information} << 8 | std::uint32_t{event->log_page} << 16;
        complete(request, Status::kSuccess);
    }
}

void Controller::use_shadow_doorbells(std::uint64_t doorbells, std::uint64_t event_indices) {
    shadow_doorbells_ = doorbells;
    event_indices_ = event_indices;
}

} // namespace touka::devices::nvme
