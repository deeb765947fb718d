#include "devices/nvme/submission_queue.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace touka::devices::nvme {

using namespace spec::nvme;
using memory::Iova;

SubmissionQueue::SubmissionQueue(const Setup& setup, CompletionQueue& completions)
    : setup_(setup), completions_(completions), request_count_(std::min(setup.size, kRequestLimit) + 1),
      segments_(std::make_unique_for_overwrite<iovec[]>(request_count_ * kSegmentStride)),
      requests_(std::make_unique<Request[]>(request_count_)) {
    for (std::uint32_t i = request_count_; i > 0; --i) {
        Request& request = requests_[i - 1];
        request.queue = this;
        request.data = SegmentList({segments_.get() + (i - 1) * kSegmentStride, kSegmentLimit});
        request.next = free_;
        free_ = &request;
    }
}

Request* SubmissionQueue::fetch(memory::DmaSpace& dma) {
    SubmissionEntry entry;
    const Iova base{setup_.base};
    const auto place = window_.at(dma, base + (std::uint64_t{head_} << kSubmissionEntryShift), sizeof entry,
                                  base + (std::uint64_t{setup_.size} << kSubmissionEntryShift));
    if (place.size() != sizeof entry) return nullptr;
    std::memcpy(&entry, place.data(), sizeof entry);
    std::atomic_signal_fence(std::memory_order_seq_cst); // what is checked is the copy
    head_ = head_ + 1 == setup_.size ? 0 : head_ + 1;
    Request& request = take();
    request.command = entry;
    return &request;
}

Request& SubmissionQueue::take() {
    Request& request = *free_;
    free_ = request.next;
    request.next = nullptr;
    request.dw0 = request.dw1 = 0;
    request.ns = nullptr;
    request.data.clear();
    request.then = nullptr;
    request.start = nullptr;
    request.second = nullptr;
    request.exclusive = nullptr;
    request.step = request.step_count = 0;
    request.position = 0;
    request.busy = true;
    ++in_flight_;
    return request;
}

void SubmissionQueue::give_back(Request& request) {
    request.hold.end();
    request.hold_due = false;
    request.busy = false;
    request.next = free_;
    free_ = &request;
    --in_flight_;
    request.namespace_use.end(); // last: somebody may be told who waited for it
}

} // namespace touka::devices::nvme
