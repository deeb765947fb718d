#include "devices/virtio/scsi_request_queue.hpp"

namespace touka::devices::virtio {

ScsiRequestQueue::ScsiRequestQueue(ScsiPort& port, unsigned index) : port_(port), index_(index) {
    requests_.reserve(kSize + 1u);
    free_.reserve(kSize + 1u);
}

ScsiRequest& ScsiRequestQueue::next() {
    if (free_.empty()) free_.push_back(requests_.emplace_back(std::make_unique<ScsiRequest>(*this)).get());
    return *free_.back();
}

bool ScsiRequestQueue::process(unsigned budget) {
    processing_ = true;
    const auto more = port_.transport->queue(index_).consume_in_batches(
        budget, [this]() -> DescriptorChain& { return next().chain(); },
        [this](DescriptorChain&) {
            ScsiRequest& request = *free_.back();
            free_.pop_back();
            request.start(port_);
        },
        [this] {
            port_.bus.commit();
            port_.transport->publish(index_);
        });
    processing_ = false;
    if (!more) port_.transport->fail(more.error());
    return more.value_or(false);
}

void ScsiRequestQueue::abort_if(const scsi::Nexus& nexus, scsi::Lun lun, bool any_tag, std::uint64_t tag) {
    for (const auto& request : requests_) request->abort_if(nexus, lun, any_tag, tag);
}

void ScsiRequestQueue::finish(ScsiRequest& request, std::uint32_t written_bytes) {
    port_.transport->queue(index_).push_used(request.chain(), written_bytes);
    free_.push_back(&request);
    if (!processing_) port_.transport->publish(index_);
    port_.end();
}

} // namespace touka::devices::virtio
